"""Readers of sentences: an encoder, a head that names the criterion, a head that points at the evidence, or both together."""

from __future__ import annotations

import math
from argparse import Namespace

import torch
import torch.nn.functional as F
from posts import CRITERIA
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

FAR = -1e4  # as good as impossible, also in half precision


class LowRank(nn.Module):
    """A frozen linear layer, and beside it a change of low rank (Hu et al. 2021, arXiv:2106.09685)."""

    def __init__(self, layer: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.layer, self.scale = layer, alpha / rank
        self.down = nn.Parameter(torch.randn(rank, layer.in_features) / math.sqrt(layer.in_features))
        self.up = nn.Parameter(torch.zeros(layer.out_features, rank))

    def forward(self, x: Tensor) -> Tensor:
        """What the layer says, changed."""
        return self.layer(x) + F.linear(F.linear(x, self.down), self.up) * self.scale


class Pooling(nn.Module):
    """A sentence as one vector: its mark's, the mean, the largest, or a mean whose weights are learned."""

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.kind, self.weigh = kind, nn.Linear(width, 1)

    def forward(self, hidden: Tensor, there: Tensor, mark: Tensor) -> Tensor:
        """``(n, length, width)`` to ``(n, width)``."""
        if self.kind == "cls":
            return hidden[torch.arange(len(hidden)), mark]
        if self.kind == "max":
            return hidden.masked_fill(~there[..., None], FAR).amax(1)
        weights = there.float() if self.kind == "mean" else self.weigh(hidden).squeeze(-1).float().exp() * there
        return (hidden * (weights / weights.sum(1, keepdim=True))[..., None]).sum(1)


def head(args: Namespace, inputs: int, outputs: int) -> nn.Module:
    """One linear layer, or two."""
    if args.head == "linear":
        return nn.Sequential(nn.Dropout(args.dropout), nn.Linear(inputs, outputs))
    return nn.Sequential(
        nn.Dropout(args.dropout),
        nn.Linear(inputs, args.head_width),
        nn.GELU(),
        nn.Dropout(args.dropout),
        nn.Linear(args.head_width, outputs),
    )


def encoder(args: Namespace, config: dict) -> nn.Module:
    """An encoder without its weights, as `from_pretrained` would configure it."""
    own = dict(config)
    dropouts = {"hidden_dropout_prob", "attention_probs_dropout_prob", "dropout"} & own.keys()
    own.update(dict.fromkeys(dropouts, args.encoder_dropout))
    made = AutoModel.from_config(AutoConfig.for_model(**own))
    if args.gradient_checkpointing == "true":
        try:
            getattr(made, "activation_checkpointing_enable", made.gradient_checkpointing_enable)()  # the name since 5.x
        except ValueError as refused:  # XLNet: it trains all the same, with more memory
            print(f"note: no gradient checkpointing: {refused}", flush=True)
    return made


def adapt(made: nn.Module, args: Namespace) -> None:
    """Leave an encoder free, freeze it, or freeze it and add what is learned of low rank."""
    if args.tuning == "full":
        return
    made.requires_grad_(False)
    if args.tuning == "lora":
        for module in list(made.modules()):
            for name, layer in list(module.named_children()):
                if isinstance(layer, nn.Linear):
                    setattr(module, name, LowRank(layer, args.lora_rank, args.lora_alpha))


class Reader(nn.Module):
    """The model of a task: ``criteria``, ``evidence``, ``share`` (one encoder, two heads), ``joint``.

    In ``joint`` each head has an encoder of its own, and who points at the evidence is told what the other believes.
    """

    def __init__(self, args: Namespace, config: dict) -> None:
        super().__init__()
        self.task, self.belief = args.task, args.belief
        self.encoders = nn.ModuleList(encoder(args, config) for _ in range(2 if args.task == "joint" else 1))
        width = config.get("hidden_size") or config["d_model"]
        if args.task != "evidence":
            self.pooling, self.naming = Pooling(args.pooling, width), head(args, width, len(CRITERIA))
        if args.task != "criteria":
            self.pointing = head(args, width + (len(CRITERIA) if args.task == "joint" else 0), 2)

    def forward(self, ids: Tensor, there: Tensor, mark: Tensor) -> dict[str, Tensor]:
        """Scores: ``criterion`` ``(n, 6)``, and ``first`` and ``last`` word ``(n, length)``; the mark's place means none."""
        out: dict[str, Tensor] = {}
        hidden = self.encoders[0](input_ids=ids, attention_mask=there.long()).last_hidden_state
        if self.task != "evidence":
            out["criterion"] = self.naming(self.pooling(hidden, there, mark)).float()
        if self.task == "joint":
            believed = out["criterion"].softmax(-1)
            believed = believed.detach() if self.belief == "detached" else believed
            hidden = self.encoders[1](input_ids=ids, attention_mask=there.long()).last_hidden_state
            hidden = torch.cat([hidden, believed[:, None].expand(-1, hidden.shape[1], -1).to(hidden.dtype)], -1)
        if self.task != "criteria":
            both = self.pointing(hidden).float().masked_fill(~there[..., None], FAR)
            out["first"], out["last"] = both.unbind(-1)
        return out


def loss_of(out: dict[str, Tensor], batch: dict[str, Tensor], args: Namespace, weights: Tensor) -> Tensor:
    """The mean loss of the heads, each sentence weighed by its criterion."""
    weight = weights[batch["criterion"]]
    losses = {name: _loss(scores, batch[name], weight, args) for name, scores in out.items()}
    named, pointed = losses.get("criterion"), [losses[name] for name in ("first", "last") if name in losses]
    if named is None or not pointed:
        return named if named is not None else sum(pointed) / 2
    return args.task_weight * named + (1 - args.task_weight) * sum(pointed) / 2


def _loss(scores: Tensor, target: Tensor, weight: Tensor, args: Namespace) -> Tensor:
    """Cross-entropy, smoothed or focal (Lin et al. 2017, arXiv:1708.02002)."""
    logs = scores.log_softmax(-1)
    right = logs.gather(1, target[:, None]).squeeze(1)
    if args.loss == "focal":
        each = -((1 - right.exp()) ** args.gamma) * right
    else:
        possible = scores > FAR / 2  # what is padding gets no share of the smoothing
        others = logs.masked_fill(~possible, 0.0).sum(-1) / possible.sum(-1)
        each = -(1 - args.label_smoothing) * right - args.label_smoothing * others
    return (each * weight).sum() / weight.sum()
