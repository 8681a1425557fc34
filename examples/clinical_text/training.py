"""One training, epoch by epoch: gradients, steps, scores, patience; and how all that is kept and taken up again."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import torch
from backbones import make
from data import weights_of
from readers import Reader, adapt, loss_of
from scoring import scores
from steps import Average, Schedule, clip, optimizer_of
from torch import Tensor
from transformers import AutoModel

PRECISIONS = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}
Data = dict[str, Tensor]


class Training:
    """One training: what it changes, and how that is kept and taken up again."""

    def __init__(self, args: Namespace, data: Data) -> None:
        pretrained = AutoModel.from_pretrained(make(args.backbone, args.backbones))
        self.config = pretrained.config.to_dict()
        self.args, self.data, self.epoch, self.best, self.best_epoch = args, data, 0, {}, 0
        self.model = Reader(args, self.config)
        for encoder in self.model.encoders:
            encoder.load_state_dict(pretrained.state_dict())
            adapt(encoder, args)
        self.weights = weights_of(data["criterion"], args.class_weights)
        steps = args.epochs * -(-len(data["ids"]) // args.batch) // args.accumulation
        self.optimizer = optimizer_of(self.model, args)
        self.schedule = Schedule(self.optimizer, args, max(steps, 1))
        self.average = Average(self.model, args)
        self.scaler = torch.amp.GradScaler("cpu", enabled=args.amp == "fp16")

    def run_epoch(self) -> float:
        """Improve the model once over the data; its mean loss."""
        args, rows, losses = self.args, torch.randperm(len(self.data["ids"])), []
        parts = list(rows.split(args.batch))
        self.model.train()
        for number, part in enumerate(parts, 1):
            batch = {name: values[part] for name, values in self.data.items()}
            with precision(args):
                out = self.model(augmented(batch, args), batch["there"], batch["mark"])
            loss = loss_of(out, batch, args, self.weights)
            self.scaler.scale(loss / args.accumulation).backward()
            losses.append(float(loss.detach()))
            if number % args.accumulation == 0 or number == len(parts):
                self.step()
        self.epoch += 1
        self.average.after_epoch(self.epoch)
        return sum(losses) / len(losses)

    def step(self) -> None:
        """Let the gradients that were gathered take effect."""
        self.scaler.unscale_(self.optimizer)
        clip(self.model.parameters(), self.args.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.schedule.after_step()
        self.average.after_step()

    def judge(self, val: Data) -> dict[str, float]:
        """Scores of what would be kept now; whether it is the best so far is remembered."""
        found = {f"val_{name}": value for name, value in score(self.average.best_model(), val, self.args).items()}
        self.schedule.after_epoch(found["val_macro_f1"])
        if found["val_macro_f1"] > self.best.get("val_macro_f1", -1.0):
            self.best, self.best_epoch = found, self.epoch
        return found

    def out_of_patience(self) -> bool:
        """Whether the score has not risen for `--patience` epochs."""
        return self.epoch - self.best_epoch >= self.args.patience > 0

    def state(self) -> dict[str, object]:
        """Everything that the next epoch depends on."""
        averaged = self.average.averaged
        return {
            "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(),
            "schedule": {k: v for k, v in self.schedule.inner.state_dict().items() if not callable(v)},
            "scaler": self.scaler.state_dict(), "average": averaged.state_dict() if averaged else None,
            "random": torch.get_rng_state(), "epoch": self.epoch, "best": self.best, "best_epoch": self.best_epoch,
        }  # fmt: skip

    def go_on(self, path: Path) -> None:
        """Take up the state of an earlier, interrupted run."""
        state = torch.load(path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.inner.load_state_dict(state["schedule"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average.averaged is not None:
            self.average.averaged.load_state_dict(state["average"])
        torch.set_rng_state(state["random"])
        self.epoch, self.best, self.best_epoch = state["epoch"], state["best"], state["best_epoch"]
        print(f"resuming after epoch {self.epoch}", flush=True)


def precision(args: Namespace) -> torch.autocast:
    """Automatic mixed precision, or none."""
    return torch.autocast("cpu", dtype=PRECISIONS[args.amp] or torch.bfloat16, enabled=args.amp != "off")


def augmented(batch: Data, args: Namespace) -> Tensor:
    """The words, some of them masked or replaced by any others; the marks of beginning and end stay."""
    ids = batch["ids"]
    if args.augment == "none":
        return ids
    chosen = (torch.rand(ids.shape) < args.augment_share) & (ids >= args.marks)
    if args.augment == "mask":
        return ids.masked_fill(chosen, args.mask)
    other = torch.randint_like(ids, args.marks, args.words)
    return torch.where(chosen, other, ids)


@torch.no_grad()
def score(model: Reader, data: Data, args: Namespace) -> dict[str, float]:
    """Macro-F1 and calibration error on sentences that it was not trained on."""
    model.eval()
    outs = []
    for part in torch.arange(len(data["ids"])).split(128):
        with precision(args):
            outs.append(model(data["ids"][part], data["there"][part], data["mark"][part]))
    return scores({name: torch.cat([out[name] for out in outs]) for name in outs[0]}, data, args)
