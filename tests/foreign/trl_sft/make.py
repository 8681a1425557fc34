"""Write a one-layer language model with random weights, its tokenizer, and a JSONL corpus into the current folder."""

import json
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

WORDS = ["the", "a", "cat", "dog", "house", "sees", "likes", "finds", "small", "big", "red", "blue", "bird", "tree"]
vocabulary = {word: number for number, word in enumerate(["<pad>", "<s>", "</s>", "<unk>", *WORDS])}

tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
).save_pretrained("model")

torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=len(vocabulary),
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=1,
    num_attention_heads=2,
    max_position_embeddings=64,
    pad_token_id=0,
    bos_token_id=1,
    eos_token_id=2,
)
LlamaForCausalLM(config).save_pretrained("model")

rng = random.Random(0)
corpus = Path("corpus")
corpus.mkdir()
for split, size in (("train", 48), ("test", 16)):
    lines = [json.dumps({"text": " ".join(rng.choices(WORDS, k=12))}) for _ in range(size)]
    (corpus / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
