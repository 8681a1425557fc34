"""Three tiny backbones with their tokenizers, made on the spot from a seed: `from_pretrained` reads them.

python models.py --output backbones     # backbones/distilbert, bert and deberta
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import torch
from resumes import LABELS, vocabulary
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoConfig, AutoModelForTokenClassification, PreTrainedTokenizerFast, logging

logging.disable_progress_bar()
logging.set_verbosity_error()  # that the head is new is the point

FOLDER = Path(__file__).parent / "backbones"
_LABELS = {"id2label": dict(enumerate(LABELS)), "label2id": {label: at for at, label in enumerate(LABELS)}}
_SIZE = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64}
#: What each family calls its sizes and needs besides.
BACKBONES = {
    "distilbert": ("distilbert", {"n_layers": 2, "n_heads": 2, "dim": 32, "hidden_dim": 64}),
    "bert": ("bert", _SIZE),
    "deberta": (
        "deberta-v2",
        {**_SIZE, "relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False},
    ),
}
#: What each family calls the number of its layers, and its dropout.
LAYERS = {"distilbert": "n_layers", "bert": "num_hidden_layers", "deberta": "num_hidden_layers"}
DROPOUT = {"distilbert": "dropout", "bert": "hidden_dropout_prob", "deberta": "hidden_dropout_prob"}


def _tokenizer() -> PreTrainedTokenizerFast:
    """A word a token, between two marks."""
    ids = {word: number for number, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *vocabulary()])}
    made = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


def make(name: str, folder: Path = FOLDER, seed: int = 0) -> Path:
    """The folder of a backbone, which is made if it is not there; whoever makes it at the same time makes the same."""
    target = folder / name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    kind, sizes = BACKBONES[name]
    tokenizer = _tokenizer()
    config = AutoConfig.for_model(
        kind, vocab_size=len(tokenizer), pad_token_id=0, max_position_embeddings=64, **sizes, **_LABELS
    )
    torch.manual_seed(seed)
    partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder))
    AutoModelForTokenClassification.from_config(config).save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    try:
        os.replace(partial, target)
    except OSError:  # somebody else was faster
        shutil.rmtree(partial)
    return target


def main() -> None:
    """Make all of them."""
    parser = argparse.ArgumentParser(description="Make a tiny DistilBERT, BERT and DeBERTa.")
    parser.add_argument("--output", type=Path, default=FOLDER)
    args = parser.parse_args()
    for name in BACKBONES:
        print(make(name, args.output))


if __name__ == "__main__":
    main()
