"""Train a small network to tell who wrote a line; scores are of whole pages, each writer counting alike.

    python train.py --arch convnext --loss focal --epochs 8 --output runs/a
    python train.py --arch convnext --loss focal --epochs 8 --output runs/a --resume
    python train.py --data train+val --epochs 6 --output runs/final          # the model to keep
    python train.py --test runs/final/final.pt                               # once

An ordinary script. `latest.pt` is what it goes on from, `best.pt` the epoch with the best score, `final.pt` the last epoch.
The same arguments give the same numbers, in one go or in several.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import torch
from lines import Lines, load_lines
from models import WriterNet, focal_loss, triplet_loss
from torch import Tensor, nn

WRITERS = 12


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a network to tell who wrote a line.")
    parser.add_argument("--arch", choices=["convnext", "vit"], default="convnext")
    parser.add_argument("--width", type=int, default=24, help="channels; divisible by 4")
    parser.add_argument("--depth", type=int, default=1, help="blocks a stage, or layers")
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--loss", choices=["focal", "triplet"], default="focal")
    parser.add_argument("--gamma", type=float, default=0.0, help="focal: 0 is cross-entropy")
    parser.add_argument("--mixup", type=float, default=0.0, help="focal: how pictures are mixed; 0 is not")
    parser.add_argument("--margin", type=float, default=0.3, help="triplet: how far apart two writers are to be")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--weight-decay", type=float, default=1e-4)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", choices=["train", "train+val"], default="train", help="what is trained on")
    parser.add_argument("--output", type=Path, help="keep latest.pt, best.pt and final.pt here")
    parser.add_argument("--resume", action="store_true", help="go on from latest.pt, if it is there")
    parser.add_argument("--test", type=Path, metavar="MODEL", help="score a model on the test pages; train nothing")
    return parser.parse_args()


def network_of(args: argparse.Namespace) -> WriterNet:
    """The untrained network."""
    return WriterNet(args.arch, WRITERS, width=args.width, depth=args.depth, dropout=args.dropout)


def train_one_epoch(
    net: WriterNet, optimizer: torch.optim.Optimizer, data: Lines, args: argparse.Namespace, epoch: int
) -> float:
    """Improve the network in place; its mean loss. All randomness follows from the seed and the epoch."""
    torch.manual_seed(args.seed * 10_000 + epoch)
    rng = np.random.default_rng([args.seed, epoch])
    order = np.argsort(rng.permuted(np.tile(np.arange(len(data) // WRITERS), WRITERS)), kind="stable")
    net.train()
    losses = []
    for start in range(0, len(order), args.batch):
        chosen = order[start : start + args.batch]  # of every writer about as many: triplets need company
        pictures, writers = torch.from_numpy(data.pictures[chosen]), torch.from_numpy(data.writers[chosen])
        loss = _loss(net, pictures, writers, args, rng)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses))


def _loss(
    net: WriterNet, pictures: Tensor, writers: Tensor, args: argparse.Namespace, rng: np.random.Generator
) -> Tensor:
    shares = nn.functional.one_hot(writers, WRITERS).float()
    if args.loss == "focal" and args.mixup > 0:
        kept, other = float(rng.beta(args.mixup, args.mixup)), torch.from_numpy(rng.permutation(len(writers)))
        pictures = kept * pictures + (1 - kept) * pictures[other]
        shares = kept * shares + (1 - kept) * shares[other]
    embeddings, scores = net(pictures)
    if args.loss == "triplet":  # with a little cross-entropy: the scores are what pages are judged by
        return triplet_loss(embeddings, writers, args.margin) + 0.5 * focal_loss(scores, shares, 0.0)
    return focal_loss(scores, shares, args.gamma)


@torch.no_grad()
def page_accuracy(net: WriterNet, data: Lines) -> float:
    """Macro top-1: a page is its lines' mean score, a writer the share of pages that are told right, all writers alike."""
    net.eval()
    scores = net(torch.from_numpy(data.pictures))[1].log_softmax(dim=1).numpy()
    right: dict[int, list[bool]] = {}
    for page in np.unique(data.pages):
        lines = data.pages == page
        writer = int(data.writers[lines][0])
        right.setdefault(writer, []).append(int(scores[lines].mean(axis=0).argmax()) == writer)
    return float(np.mean([np.mean(pages) for pages in right.values()]))


def save(path: Path, state: dict[str, object]) -> None:
    """Replace a file in one step: whoever is interrupted here finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def test(model: Path) -> None:
    """Score a model on the pages that nothing was chosen by."""
    kept = torch.load(model, weights_only=True)
    net = network_of(argparse.Namespace(**kept["arguments"]))
    net.load_state_dict(kept["net"])
    print(f"test_accuracy={page_accuracy(net, load_lines('test', WRITERS)):.4f}")


def main() -> None:
    """Train, print, save."""
    args = parse_arguments()
    torch.set_num_threads(1)
    if args.test:
        test(args.test)
        return
    torch.manual_seed(args.seed)
    data, val = load_lines(args.data, WRITERS), load_lines("val", WRITERS)
    net = network_of(args)
    optimizer = torch.optim.AdamW(net.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    kept = {name: value for name, value in vars(args).items() if isinstance(value, (int, float, str))}
    latest = args.output / "latest.pt" if args.output else None
    first, best = 1, -1.0
    if args.resume and latest and latest.exists():
        state = torch.load(latest, weights_only=True)
        net.load_state_dict(state["net"])
        optimizer.load_state_dict(state["optimizer"])
        first, best = state["epoch"] + 1, state["best"]
        print(f"resuming after epoch {state['epoch']}")
    for epoch in range(first, args.epochs + 1):
        loss = train_one_epoch(net, optimizer, data, args, epoch)
        line = f"epoch {epoch}: train_loss={loss:.4f}"
        if args.data == "train":
            accuracy = page_accuracy(net, val)
            line += f" val_accuracy={accuracy:.4f}"
            if accuracy > best and args.output:
                save(args.output / "best.pt", {"net": net.state_dict(), "arguments": kept, "epoch": epoch})
            best = max(best, accuracy)
        print(line, flush=True)
        if latest:
            save(latest, {"net": net.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch, "best": best})
    if args.output:
        save(args.output / "final.pt", {"net": net.state_dict(), "arguments": kept, "epoch": args.epochs})
    if args.data == "train":
        print(f"Best validation score: {best:.4f}")


if __name__ == "__main__":
    main()
