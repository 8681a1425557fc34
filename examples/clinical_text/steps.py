"""Optimisers, learning rates over time, and averages of weights: everything between a gradient and the next weights."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Iterable
from itertools import pairwise

import torch
from readers import Reader
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

_BARE = ("bias", "norm", "Norm")  # which weight decay does not touch


def groups(model: Reader, args: Namespace) -> list[dict]:
    """The learned weights with their rates: heads the whole, each encoder layer below a bit less (``--layer-decay``)."""
    found: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            rate = args.lr * args.layer_decay ** _depth(name)
            decay = 0.0 if any(part in name for part in _BARE) else args.weight_decay
            found.setdefault((rate, decay), []).append(weight)
    return [{"params": own, "lr": rate, "weight_decay": decay} for (rate, decay), own in found.items()]


def _depth(name: str) -> int:
    """How far below the heads: 0 a head, 1 the upper of two layers, 3 the embeddings."""
    if not name.startswith("encoders."):
        return 0
    parts = name.split(".")
    number = next((int(part) for before, part in pairwise(parts) if before == "layer"), -1)
    return 2 - number


def optimizer_of(model: Reader, args: Namespace) -> torch.optim.Optimizer:
    """AdamW, SGD with momentum, RAdam, or Adafactor, which keeps no moment of first order."""
    if args.optimizer == "sgd":
        return torch.optim.SGD(groups(model, args), lr=args.lr, momentum=args.momentum, nesterov=args.momentum > 0)
    if args.optimizer == "adafactor":
        return torch.optim.Adafactor(groups(model, args), lr=args.lr)
    if args.optimizer == "radam":
        return torch.optim.RAdam(groups(model, args), lr=args.lr, decoupled_weight_decay=True)
    return torch.optim.AdamW(groups(model, args), lr=args.lr, betas=(0.9, args.beta2))


class Schedule:
    """The learning rate over time: of each step, or, with ``plateau``, of each epoch by its score."""

    def __init__(self, optimizer: torch.optim.Optimizer, args: Namespace, steps: int) -> None:
        self.by_score = args.scheduler == "plateau"
        if args.scheduler == "onecycle":  # torch refuses it to an optimiser without momentum, such as Adafactor
            most = [group["lr"] for group in optimizer.param_groups]
            self.inner = lr_scheduler.OneCycleLR(optimizer, most, total_steps=steps + 1, pct_start=args.rise)
        elif self.by_score:
            self.inner = lr_scheduler.ReduceLROnPlateau(
                optimizer, "max", factor=args.plateau_factor, patience=args.plateau_patience
            )
        else:
            first = max(1, round(args.warmup * steps))
            self.inner = lr_scheduler.LambdaLR(
                optimizer, lambda step: min(1.0, (step + 1) / first) * _left(args.scheduler, step, first, steps)
            )

    def after_step(self) -> None:
        """Call after each step of the optimiser."""
        if not self.by_score:
            self.inner.step()

    def after_epoch(self, score: float) -> None:
        """Call after each epoch."""
        if self.by_score:
            self.inner.step(score)


def _left(kind: str, step: int, first: int, steps: int) -> float:
    """Which part of the rate is left."""
    done = min(1.0, max(0.0, (step - first) / max(1, steps - first)))
    return {"constant": 1.0, "linear": 1.0 - done, "cosine": 0.5 * (1 + math.cos(math.pi * done))}[kind]


class Average:
    """An average of the weights on their way: none, exponential after each step, or the mean of the late epochs' (SWA)."""

    def __init__(self, model: Reader, args: Namespace) -> None:
        self.kind, self.model = args.average, model
        self.begin = max(1, round(args.swa_start * args.epochs)) if self.kind == "swa" else 0
        mean = get_ema_multi_avg_fn(args.ema_decay) if self.kind == "ema" else None
        self.averaged = None if self.kind == "none" else AveragedModel(model, multi_avg_fn=mean, use_buffers=True)

    def after_step(self) -> None:
        """Call after each step of the optimiser."""
        if self.kind == "ema":
            self.averaged.update_parameters(self.model)

    def after_epoch(self, epoch: int) -> None:
        """Call after each epoch, from 1."""
        if self.kind == "swa" and epoch >= self.begin:
            self.averaged.update_parameters(self.model)

    def best_model(self) -> Reader:
        """What is judged and kept: the average, once there is one."""
        ready = self.averaged is not None and int(self.averaged.n_averaged) > 0
        return self.averaged.module if ready else self.model


def clip(weights: Iterable[nn.Parameter], most: float) -> None:
    """Shorten a gradient that is longer than so much; 0: never."""
    if most > 0:
        nn.utils.clip_grad_norm_(weights, most)
