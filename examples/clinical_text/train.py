"""Train a tiny transformer to read posts: which criterion a sentence meets (criteria), which words say so (evidence), or both.

    python train.py --task criteria --backbone roberta --output runs/a
    python train.py --task criteria --backbone roberta --output runs/a --resume
    python train.py --task joint --data train+val --epochs 6 --output runs/final     # the model to keep
    python train.py --test runs/final/final.pt                                        # once

An ordinary script. `latest.pt` is what it goes on from (weights, optimiser, schedule, scaler, averages, random numbers),
`best.pt` the epoch with the best score, `final.pt` the last one. The same arguments give the same numbers, in one go or in
several. HPO_EPOCHS, HPO_PATIENCE and HPO_MAX_SAMPLES are the defaults of three options.
"""

from __future__ import annotations

import json
import os
import resource
import signal
from argparse import Namespace
from pathlib import Path
from types import FrameType

import torch
from backbones import make
from data import encode
from options import parse_arguments
from posts import load_sentences
from readers import Reader, adapt
from tokenizers import Tokenizer
from training import Training, score
from transformers import AutoTokenizer, PreTrainedTokenizerFast

asked_to_stop = False


def stop_soon(number: int, frame: FrameType | None) -> None:
    """Leave after this epoch: its checkpoint is worth a second or two."""
    global asked_to_stop
    asked_to_stop = True


def save(path: Path, state: dict[str, object]) -> None:
    """Replace a file in one step: whoever is interrupted here finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def kept_model(training: Training, args: Namespace, tokenizer: PreTrainedTokenizerFast) -> dict[str, object]:
    """A model that needs nothing beside this script: weights, configuration, tokenizer, and how it was trained."""
    plain = {name: value for name, value in vars(args).items() if isinstance(value, (int, float, str))}
    return {
        "model": training.average.best_model().state_dict(), "config": json.dumps(training.config), "arguments": plain,
        "tokenizer": tokenizer.backend_tokenizer.to_str(), "epoch": training.epoch,
    }  # fmt: skip


def test(path: Path) -> None:
    """Score a model on the posts that nothing was chosen by."""
    kept = torch.load(path, weights_only=True)
    args = Namespace(**kept["arguments"])
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(kept["tokenizer"]))
    model = Reader(args, json.loads(kept["config"]))
    for encoder in model.encoders:
        adapt(encoder, args)
    model.load_state_dict(kept["model"])
    data = encode(load_sentences("test"), tokenizer, args.max_length, cls=args.cls)
    print(json.dumps({f"test_{name}": round(value, 4) for name, value in score(model, data, args).items()}))


def main() -> None:
    """Train, print, save."""
    args = parse_arguments()
    torch.set_num_threads(1)
    if args.test:
        test(args.test)
        return
    signal.signal(signal.SIGTERM, stop_soon)
    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(make(args.backbone, args.backbones))
    args.mask, args.cls, args.marks, args.words = (
        tokenizer.mask_token_id, tokenizer.cls_token_id, len(tokenizer.all_special_ids), len(tokenizer)
    )  # fmt: skip
    data = encode(load_sentences(args.data, args.max_samples), tokenizer, args.max_length, cls=args.cls)
    val = encode(load_sentences("val"), tokenizer, args.max_length, cls=args.cls) if args.data == "train" else None
    training = Training(args, data)
    if args.memory:  # from here on it depends on the configuration; what is too much fails here, and hurts no neighbour
        most = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (int(args.memory * 2**30), most))
    latest = args.output / "latest.pt" if args.output else None
    if args.resume and latest and latest.exists():
        training.go_on(latest)
    while training.epoch < args.epochs and not (val and training.out_of_patience()):
        line = {"epoch": training.epoch + 1, "train_loss": training.run_epoch()}
        if val:
            line |= training.judge(val)
            if training.best_epoch == training.epoch and args.output:
                save(args.output / "best.pt", kept_model(training, args, tokenizer))
        print(json.dumps({name: round(value, 4) for name, value in line.items()}), flush=True)
        if latest:
            save(latest, training.state())
        if asked_to_stop:
            print("stopped by a signal", flush=True)
            raise SystemExit(128 + signal.SIGTERM)
    if args.output:
        save(args.output / "final.pt", kept_model(training, args, tokenizer))
    if val:  # what the best epoch had, both numbers together
        print(json.dumps({name: round(value, 4) for name, value in training.best.items()}), flush=True)


if __name__ == "__main__":
    main()
