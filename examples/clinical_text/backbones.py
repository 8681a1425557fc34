"""Four tiny encoders with their tokenizers, made on the spot: half a minute of reading unlabelled posts each, from a seed.

    python backbones.py                    # backbones/bert, roberta, deberta and xlnet: from_pretrained reads each
    python backbones.py --steps 0          # as they are born

`train.py` makes the one that it needs, if nobody did before.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import torch
from posts import load_sentences, vocabulary
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForMaskedLM,
    DebertaV2Config,
    DebertaV2ForMaskedLM,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    XLNetConfig,
    XLNetLMHeadModel,
    logging,
)

logging.disable_progress_bar()
logging.set_verbosity_error()  # the poolers that BERT and RoBERTa would bring are not used here

FOLDER = Path(__file__).parent / "backbones"
NAMES = ("bert", "roberta", "deberta", "xlnet")
STEPS = 600  # of 64 sentences: about half a minute of one core
_SIZE = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
_SPECIAL = {  # what each family calls its marks: padding, unknown, beginning, end, mask
    "bert": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    "roberta": ("<pad>", "<unk>", "<s>", "</s>", "<mask>"),
    "deberta": ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    "xlnet": ("<pad>", "<unk>", "<cls>", "<sep>", "<mask>"),
}


def tokenizer_of(name: str) -> PreTrainedTokenizerFast:
    """A word a token, between the marks of that family; XLNet's come at the end."""
    pad, unknown, first, last, mask = marks = _SPECIAL[name]
    ids = {word: number for number, word in enumerate([*marks, *vocabulary()])}
    made = Tokenizer(models.WordLevel(ids, unk_token=unknown))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    made.post_processor = processors.TemplateProcessing(
        single=f"$A {last} {first}" if name == "xlnet" else f"{first} $A {last}",
        special_tokens=[(first, ids[first]), (last, ids[last])],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=pad, unk_token=unknown, cls_token=first, sep_token=last, mask_token=mask
    )


def newborn(name: str, words: int) -> torch.nn.Module:
    """The encoder with a head that guesses masked words, untrained. Two layers, 64 wide, about 0.1 million weights."""
    common = {"vocab_size": words, "max_position_embeddings": 80, "pad_token_id": 0, **_SIZE}
    if name == "bert":
        return BertForMaskedLM(BertConfig(**common))
    if name == "roberta":
        return RobertaForMaskedLM(RobertaConfig(**common, bos_token_id=2, eos_token_id=3))
    if name == "deberta":
        own = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_biased_input": False}
        return DebertaV2ForMaskedLM(DebertaV2Config(**common, **own))
    own = {"d_model": 64, "n_layer": 2, "n_head": 2, "d_inner": 128, "pad_token_id": 0, "bos_token_id": 2}
    return XLNetLMHeadModel(XLNetConfig(vocab_size=words, eos_token_id=3, **own))


def read_posts(model: torch.nn.Module, tokenizer: PreTrainedTokenizerFast, steps: int) -> float:
    """Guess masked words for so many steps; the mean loss of the last tenth. Of four masked words one stays or is any other."""
    texts = [" ".join(sentence.words) for sentence in load_sentences("unlabelled")]
    data = tokenizer(texts, padding=True, return_tensors="pt")
    words = (data.input_ids >= len(tokenizer.all_special_tokens)).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=max(steps, 1))
    losses = [0.0]
    model.train()
    for _ in range(steps):
        rows = torch.randint(len(texts), (64,))
        ids, hidden = data.input_ids[rows], torch.rand(data.input_ids[rows].shape) < 0.2 * words[rows]
        shown = ids.masked_fill(hidden & (torch.rand(ids.shape) < 0.8), tokenizer.mask_token_id)
        loss = model(
            input_ids=shown, attention_mask=data.attention_mask[rows], labels=ids.masked_fill(~hidden, -100)
        ).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    last = losses[-max(steps // 10, 1) :]
    return sum(last) / len(last)


def make(name: str, folder: Path = FOLDER, steps: int = STEPS, seed: int = 0) -> Path:
    """The folder of an encoder, which is made if it is not there; whoever makes it at the same time makes the same."""
    target = folder / name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    tokenizer = tokenizer_of(name)
    model = newborn(name, len(tokenizer))
    loss = read_posts(model, tokenizer, steps)
    torch.set_rng_state(state)
    partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=folder))
    model.base_model.save_pretrained(partial)
    tokenizer.save_pretrained(partial)
    try:
        os.replace(partial, target)
    except OSError:  # somebody else was faster
        shutil.rmtree(partial)
    print(f"{target}: loss {loss:.2f} after {steps} steps", flush=True)
    return target


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make tiny BERT, RoBERTa, DeBERTa and XLNet.")
    parser.add_argument("--output", type=Path, default=FOLDER)
    parser.add_argument("--steps", type=int, default=STEPS, help="of masked words in 64 sentences; 0: random weights")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for wanted in NAMES:
        make(wanted, args.output, args.steps, args.seed)
