"""Sentences as numbers: a tensor each of words, of what is padding, of the right criterion and the right evidence."""

from __future__ import annotations

import torch
from posts import CRITERIA, Sentence
from torch import Tensor
from transformers import PreTrainedTokenizerFast


def encode(
    sentences: list[Sentence], tokenizer: PreTrainedTokenizerFast, length: int, *, cls: int
) -> dict[str, Tensor]:
    """Sentences of one length.

    What lies behind it is cut off; evidence that was cut off cannot be learned, and still counts where it is scored.

    Args:
        sentences: To be encoded.
        tokenizer: One word, one token.
        length: Words, with the marks of beginning and end.
        cls: The mark that stands for the whole sentence.

    Returns:
        ``ids``, ``there`` (not padding), ``mark`` (place of that mark), ``criterion``, ``first`` and ``last`` (place of the
        evidence, or of the mark), and the same without a cut as ``gold_first``, ``gold_last``.
    """
    rows = [tokenizer(" ".join(one.words), truncation=True, max_length=length)["input_ids"] for one in sentences]
    ids, there = torch.zeros(len(rows), length, dtype=torch.long), torch.zeros(len(rows), length, dtype=torch.bool)
    for number, row in enumerate(rows):
        ids[number, : len(row)], there[number, : len(row)] = torch.tensor(row), True
    mark = (ids == cls).int().argmax(1)
    before = (mark == 0).long()  # BERT's mark comes first, XLNet's last
    words = there.sum(1) - 2
    gold = torch.tensor([one.span or (-1, -1) for one in sentences]) + before[:, None]
    none = torch.tensor([one.span is None for one in sentences])
    gold[none] = mark[none, None]
    lost = ~none & (gold[:, 1] - before >= words)
    seen = torch.where(lost[:, None], mark[:, None], gold)
    criterion = torch.tensor([one.criterion for one in sentences])
    return {
        "ids": ids, "there": there, "mark": mark, "criterion": criterion, "first": seen[:, 0], "last": seen[:, 1],
        "gold_first": gold[:, 0], "gold_last": gold[:, 1],
    }  # fmt: skip


def weights_of(criteria: Tensor, kind: str) -> Tensor:
    """How much a sentence of each criterion weighs: ``none``: alike; ``balanced``: the rarer the more; ``root``: between."""
    counts = torch.bincount(criteria, minlength=len(CRITERIA)).clamp(min=1).float()
    power = {"none": 0.0, "root": 0.5, "balanced": 1.0}[kind]
    weights = (counts.mean() / counts) ** power
    return weights / weights.mean()
