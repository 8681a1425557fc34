"""Train a classifier on scikit-learn's handwritten digits, epoch by epoch.

    python train.py --model mlp --lr 0.003 --epochs 30 --checkpoint-dir checkpoints
    python train.py --model mlp --lr 0.003 --epochs 30 --checkpoint-dir checkpoints --resume

An ordinary script: it reads its arguments, prints a line an epoch, keeps a checkpoint if it is told where, and goes on
from it with ``--resume``. The same arguments give the same numbers, in one go or in several.
"""

from __future__ import annotations

import argparse
import os
import pickle
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

CLASSES = np.arange(10)
SPLIT_SEED = 0  # the same pictures for every configuration; `--seed` is for the training alone
CHECKPOINT_NAME = "last.pkl"
SETTINGS_THAT_MAY_CHANGE = {"epochs", "checkpoint_dir", "resume", "test"}  # between a run and its resumption


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a classifier on the handwritten digits.")
    parser.add_argument("--model", choices=["mlp", "logistic", "forest", "svm"], default="mlp")
    parser.add_argument("--epochs", type=int, default=30, help="passes over the data; svm needs only one")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--data",
        choices=["train", "train+val"],
        default="train",
        help="what is trained on; with both there is nothing left to choose by, and no score is printed",
    )
    parser.add_argument("--checkpoint-dir", type=Path, help="save a checkpoint here after each epoch")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint, if there is one")
    parser.add_argument("--test", action="store_true", help="score the test pictures at the end; not for choosing")

    gradient = parser.add_argument_group("mlp and logistic")
    gradient.add_argument("--lr", type=float, default=1e-3)
    gradient.add_argument("--l2", type=float, default=1e-4)
    gradient.add_argument("--shift", type=int, default=0, help="move each picture by up to so many pixels")

    mlp = parser.add_argument_group("mlp")
    mlp.add_argument("--hidden", type=int, default=64, help="units in each layer")
    mlp.add_argument("--layers", type=int, default=1)
    mlp.add_argument("--batch", type=int, default=64)

    forest = parser.add_argument_group("forest")
    forest.add_argument("--trees", type=int, default=4, help="trees added in each epoch")
    forest.add_argument("--depth", type=int, default=10)
    forest.add_argument("--features", type=float, default=0.25, help="fraction of the pixels tried at each split")

    svm = parser.add_argument_group("svm")
    svm.add_argument("--kernel", choices=["rbf", "poly", "linear"], default="rbf")
    svm.add_argument("--c", type=float, default=1.0)
    svm.add_argument("--gamma", type=float, default=0.03)
    return parser.parse_args()


def load_data() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return 8×8 pictures with values in [0, 1] and their digits: 1,077 to train, 360 to choose by, 360 to test."""
    pictures, digits = load_digits(return_X_y=True)
    pictures = pictures / 16.0
    rest, x_test, y_rest, y_test = train_test_split(
        pictures, digits, test_size=360, stratify=digits, random_state=SPLIT_SEED
    )
    x_train, x_val, y_train, y_val = train_test_split(
        rest, y_rest, test_size=360, stratify=y_rest, random_state=SPLIT_SEED
    )
    return {"train": (x_train, y_train), "val": (x_val, y_val), "test": (x_test, y_test)}


def build_model(args: argparse.Namespace):
    """Return the untrained model."""
    if args.model == "mlp":
        return MLPClassifier(
            hidden_layer_sizes=(args.hidden,) * args.layers,
            learning_rate_init=args.lr,
            alpha=args.l2,
            batch_size=args.batch,
            random_state=args.seed,
        )
    if args.model == "logistic":
        return SGDClassifier(
            loss="log_loss", learning_rate="constant", eta0=args.lr, alpha=args.l2, random_state=args.seed
        )
    if args.model == "forest":
        return ExtraTreesClassifier(
            n_estimators=0,
            max_depth=args.depth,
            max_features=args.features,
            warm_start=True,
            random_state=args.seed,
        )
    return SVC(kernel=args.kernel, C=args.c, gamma=args.gamma, random_state=args.seed)


def move(pictures: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Move each picture by up to ``most`` pixels either way; what enters is empty."""
    size = 8
    padded = np.pad(pictures.reshape(-1, size, size), ((0, 0), (most, most), (most, most)))
    down, right = rng.integers(0, 2 * most + 1, size=(2, len(pictures)))
    rows = down[:, None, None] + np.arange(size)[:, None]
    columns = right[:, None, None] + np.arange(size)
    return padded[np.arange(len(pictures))[:, None, None], rows, columns].reshape(len(pictures), -1)


def train_one_epoch(model, args: argparse.Namespace, epoch: int, pictures: np.ndarray, digits: np.ndarray) -> None:
    """Improve the model in place. All randomness follows from the seed, the epoch and the model's own state."""
    if args.model == "svm":
        model.fit(pictures, digits)
    elif args.model == "forest":
        model.set_params(n_estimators=epoch * args.trees)
        model.fit(pictures, digits)
    else:
        rng = np.random.default_rng([args.seed, epoch])
        order = rng.permutation(len(pictures))
        moved = move(pictures, args.shift, rng) if args.shift else pictures
        model.partial_fit(moved[order], digits[order], classes=CLASSES)


def evaluate(model, pictures: np.ndarray, digits: np.ndarray) -> tuple[float, float]:
    """Return accuracy and log loss (nats)."""
    if isinstance(model, SVC):
        scores = model.decision_function(pictures)
        shares = np.exp(scores - scores.max(axis=1, keepdims=True))
        probabilities = shares / shares.sum(axis=1, keepdims=True)
    else:
        probabilities = model.predict_proba(pictures)
    return accuracy_score(digits, model.predict(pictures)), log_loss(digits, probabilities, labels=CLASSES)


def fingerprint(args: argparse.Namespace) -> dict[str, object]:
    """Return what a checkpoint must agree with."""
    return {name: value for name, value in vars(args).items() if name not in SETTINGS_THAT_MAY_CHANGE}


def save_checkpoint(folder: Path, state: dict[str, object]) -> None:
    """Replace the checkpoint in one step: whoever is interrupted here finds the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / (CHECKPOINT_NAME + ".partial")
    with partial.open("wb") as file:
        pickle.dump(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / CHECKPOINT_NAME)


def load_checkpoint(folder: Path, args: argparse.Namespace) -> dict | None:
    """Return the checkpoint's state, or ``None`` where there is none."""
    path = folder / CHECKPOINT_NAME
    if not path.exists():
        return None
    state = pickle.loads(path.read_bytes())
    if state["arguments"] != fingerprint(args):
        raise SystemExit(f"{path} was made with other arguments: {state['arguments']}")
    return state


def main() -> None:
    """Train, print, save."""
    args = parse_arguments()
    if args.resume and args.checkpoint_dir is None:
        raise SystemExit("--resume needs --checkpoint-dir")
    data = load_data()
    state = load_checkpoint(args.checkpoint_dir, args) if args.resume else None
    if state:
        model, line = state["model"], state["line"]
        print(f"resuming after epoch {state['epoch']}")
    else:
        model, line = build_model(args), ""
    pictures, digits = data["train"]
    if args.data == "train+val":
        pictures, digits = np.concatenate([pictures, data["val"][0]]), np.concatenate([digits, data["val"][1]])
    first = state["epoch"] + 1 if state else 1
    last = 1 if args.model == "svm" else args.epochs

    for epoch in range(first, last + 1):
        train_one_epoch(model, args, epoch, pictures, digits)
        line = f"epoch {epoch}"
        if args.data == "train":
            accuracy, loss = evaluate(model, *data["val"])
            line += f": val_accuracy={accuracy:.4f} val_loss={loss:.4f}"
        print(line, flush=True)
        if args.checkpoint_dir:
            save_checkpoint(
                args.checkpoint_dir,
                {"epoch": epoch, "model": model, "line": line, "arguments": fingerprint(args)},
            )
    if first > last:
        print(line)  # everything was done before; say the result again

    if args.test:
        accuracy, loss = evaluate(model, *data["test"])
        print(f"test_accuracy={accuracy:.4f} test_loss={loss:.4f}")


if __name__ == "__main__":
    main()
