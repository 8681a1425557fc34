"""The command line of the training script."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from backbones import FOLDER, NAMES


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a tiny transformer to read posts.")
    parser.add_argument("--task", choices=["criteria", "evidence", "share", "joint"], default="criteria")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=int(os.environ.get("HPO_EPOCHS", "15")))
    parser.add_argument(
        "--patience", type=int, default=int(os.environ.get("HPO_PATIENCE", "5")), help="epochs; 0: never stop"
    )
    parser.add_argument(
        "--max-samples", type=int, default=int(os.environ.get("HPO_MAX_SAMPLES", "512")), help="to train on"
    )
    parser.add_argument("--amp", choices=["off", "bf16", "fp16"], default="bf16", help="mixed precision")
    parser.add_argument("--memory", type=float, default=0.0, help="GB that it may use; 0: no limit")
    parser.add_argument("--data", choices=["train", "train+val"], default="train", help="what is trained on")
    parser.add_argument("--output", type=Path, help="keep latest.pt, best.pt and final.pt here")
    parser.add_argument("--resume", action="store_true", help="go on from latest.pt, if it is there")
    parser.add_argument("--test", type=Path, metavar="MODEL", help="score a model on the test posts; train nothing")
    _model(parser.add_argument_group("model"))
    _steps(parser.add_argument_group("steps"))
    _data(parser.add_argument_group("data and loss"))
    args = parser.parse_args()
    if args.optimizer == "sgd":
        args.lr = args.sgd_lr
    return args


def _model(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--backbone", choices=NAMES, default="bert")
    group.add_argument("--backbones", type=Path, default=FOLDER, help="where they are, or are made")
    group.add_argument("--tuning", choices=["full", "lora", "freeze"], default="full")
    group.add_argument("--lora-rank", type=int, default=8)
    group.add_argument("--lora-alpha", type=float, default=16.0)
    group.add_argument("--pooling", choices=["cls", "mean", "max", "attention"], default="cls")
    group.add_argument("--head", choices=["linear", "mlp"], default="linear")
    group.add_argument("--head-width", type=int, default=64)
    group.add_argument("--dropout", type=float, default=0.1, help="before the heads' layers")
    group.add_argument("--encoder-dropout", type=float, default=0.1)
    group.add_argument("--gradient-checkpointing", choices=["true", "false"], default="false")
    group.add_argument(
        "--belief", choices=["learned", "detached"], default="learned", help="joint: the evidence's teacher"
    )
    group.add_argument("--longest", type=int, default=10, help="words of evidence")
    group.add_argument("--none-bias", type=float, default=0.0, help="above 0: rather no evidence")


def _steps(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--optimizer", choices=["adamw", "radam", "adafactor", "sgd"], default="adamw")
    group.add_argument("--lr", type=float, default=1e-3)
    group.add_argument("--sgd-lr", type=float, default=0.1, help="of sgd, in the place of --lr")
    group.add_argument("--momentum", type=float, default=0.9, help="of sgd")
    group.add_argument("--beta2", type=float, default=0.999, help="of adamw")
    group.add_argument("--weight-decay", type=float, default=0.01)
    group.add_argument("--layer-decay", type=float, default=1.0, help="factor of the rate for each layer further down")
    group.add_argument("--scheduler", choices=["constant", "linear", "cosine", "onecycle", "plateau"], default="linear")
    group.add_argument("--warmup", type=float, default=0.1, help="part of all steps")
    group.add_argument("--rise", type=float, default=0.3, help="onecycle: part of all steps")
    group.add_argument("--plateau-patience", type=int, default=1)
    group.add_argument("--plateau-factor", type=float, default=0.5)
    group.add_argument("--batch", type=int, default=32)
    group.add_argument("--accumulation", type=int, default=1, help="batches of one step")
    group.add_argument("--clip", type=float, default=1.0, help="longest gradient; 0: any")
    group.add_argument("--average", choices=["none", "ema", "swa"], default="none", help="of weights")
    group.add_argument("--ema-decay", type=float, default=0.98)
    group.add_argument("--swa-start", type=float, default=0.6, help="part of all epochs")


def _data(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--max-length", type=int, default=32, help="words, with two marks")
    group.add_argument("--augment", choices=["none", "mask", "replace"], default="none")
    group.add_argument("--augment-share", type=float, default=0.1, help="of the words")
    group.add_argument("--loss", choices=["ce", "focal"], default="ce")
    group.add_argument("--gamma", type=float, default=2.0, help="of the focal loss")
    group.add_argument("--label-smoothing", type=float, default=0.0, help="of cross-entropy")
    group.add_argument("--class-weights", choices=["none", "root", "balanced"], default="none")
    group.add_argument("--task-weight", type=float, default=0.5, help="of the criterion, beside the evidence")
