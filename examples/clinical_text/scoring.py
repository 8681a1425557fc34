"""How well sentences are read: macro-F1 over criteria, of names and of evidence, and how far confidence is from being right."""

from __future__ import annotations

from argparse import Namespace

import numpy as np
import torch
from posts import CRITERIA
from torch import Tensor


def point(first: Tensor, last: Tensor, mark: Tensor, longest: int, bias: float) -> tuple[Tensor, Tensor]:
    """The best stretch of at most so many words, ``(n, 2)``, or the mark twice where none is better; and how sure that is.

    Args:
        first, last: Scores of each word, ``(n, length)``.
        mark: Whose place means that there is no evidence, ``(n,)``.
        longest: Words of a stretch.
        bias: Added to the score of none.
    """
    rows, length = torch.arange(len(first)), first.shape[1]
    pairs = first.log_softmax(-1)[:, :, None] + last.log_softmax(-1)[:, None, :]
    none = pairs[rows, mark, mark] + bias
    allowed = (
        torch.ones(length, length, dtype=torch.bool, device=first.device).triu().tril(longest - 1).expand_as(pairs)
    )
    allowed = allowed.clone()
    allowed[rows, mark], allowed[rows, :, mark] = False, False
    best, place = pairs.masked_fill(~allowed, -torch.inf).flatten(1).max(1)
    found = torch.stack([place // length, place % length], 1)
    empty = none >= best
    found[empty] = mark[empty, None]
    return found, torch.where(empty, none, best).exp().clamp(max=1.0)


def macro_f1(said: np.ndarray, true: np.ndarray) -> float:
    """The mean F1 of all criteria, rare ones alike; one that is never said and never true is left out."""
    scores = []
    for number in range(len(CRITERIA)):
        hit = np.sum((said == number) & (true == number))
        either = np.sum(said == number) + np.sum(true == number)
        if either:
            scores.append(2 * hit / either)
    return float(np.mean(scores))


def overlap_f1(said: np.ndarray, true: np.ndarray, none: np.ndarray) -> np.ndarray:
    """For each sentence, the F1 of the words between two ends; where one of both says that there is none, 0 or 1."""
    common = np.minimum(said[:, 1], true[:, 1]) - np.maximum(said[:, 0], true[:, 0]) + 1
    f1 = 2 * np.maximum(common, 0) / (said[:, 1] - said[:, 0] + true[:, 1] - true[:, 0] + 2)
    said_none, true_none = said[:, 0] == none, true[:, 0] == none
    return np.where(said_none | true_none, said_none & true_none, f1)


def calibration_error(sure: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error: how far confidence and being right are apart, over bins (Guo et al. 2017, arXiv:1706.04599)."""
    where = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(sure[where == b].mean() - right[where == b].mean()) * (where == b).mean() for b in np.unique(where)]
    return float(np.sum(gaps))


def scores(out: dict[str, Tensor], data: dict[str, Tensor], args: Namespace) -> dict[str, float]:
    """``macro_f1`` and ``ece`` of everything that the task asks for; with two heads, the means, and each head's F1."""
    true = data["criterion"].numpy()
    f1: dict[str, float] = {}
    errors: list[float] = []
    if "criterion" in out:
        sure, said = out["criterion"].softmax(-1).max(-1)
        f1["criteria_f1"] = macro_f1(said.numpy(), true)
        errors.append(calibration_error(sure.numpy(), (said.numpy() == true).astype(float)))
    if "first" in out:
        found, sure = point(out["first"], out["last"], data["mark"], args.longest, args.none_bias)
        gold = np.stack([data["gold_first"].numpy(), data["gold_last"].numpy()], 1)
        each = overlap_f1(found.numpy(), gold, data["mark"].numpy())
        f1["evidence_f1"] = float(np.mean([each[true == number].mean() for number in np.unique(true)]))
        errors.append(calibration_error(sure.numpy(), (found.numpy() == gold).all(1).astype(float)))
    whole = {"macro_f1": float(np.mean(list(f1.values()))), "ece": float(np.mean(errors))}
    return whole | (f1 if len(f1) > 1 else {})
