"""Find names, companies, schools, degrees, skills and dates in résumés: train a backbone on all folds but one, score it on that.

    python train.py --backbone bert --fold 2 --output runs/a
    python train.py --backbone bert --fold 2 --output runs/a --resume

An ordinary script. `latest.pt` is what it goes on from: weights, optimiser, random numbers. The same arguments give the same
scores, in one go or in several. At the end it measures how fast the model reads (`benchmark.json`).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from models import DROPOUT, FOLDER, LAYERS, make
from resumes import KINDS, LABELS, Sentence, read
from torch import Tensor
from transformers import AutoModelForTokenClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

HERE = Path(__file__).parent


def parse_arguments(words: list[str] | None = None) -> argparse.Namespace:
    """What is searched for, which part of the data this is, and where things lie."""
    parser = argparse.ArgumentParser(description="Train a token classifier on résumés.")
    parser.add_argument("--backbone", choices=sorted(LAYERS), default="distilbert")
    parser.add_argument("--learning_rate", type=float, default=5e-3)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--weight_decay", type=float, default=0.01)
    parser.add_argument("--layers", type=int, default=2, help="so many of the backbone's")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=HERE / "dataset")
    parser.add_argument(
        "--splits", type=Path, help="the documents of each fold; without it every fifth is for validation"
    )
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args(words)


def divide(
    documents: dict[str, list[Sentence]], splits: Path | None, fold: int
) -> tuple[list[Sentence], list[Sentence]]:
    """Sentences to learn from, and to be judged by. No document has some of its sentences here and some there."""
    held = set(json.loads(splits.read_text())["folds"][fold]) if splits else set(list(documents)[fold::5])
    parts: tuple[list[Sentence], list[Sentence]] = ([], [])
    for document, sentences in documents.items():
        parts[document in held].extend(sentences)
    return parts


def encode(sentences: list[Sentence], tokenizer: PreTrainedTokenizerFast) -> dict[str, Tensor]:
    """Sentences as numbers, padded; what is no word has the label -100."""
    data = tokenizer([" ".join(words) for words, _ in sentences], padding=True, return_tensors="pt")
    labels = torch.full_like(data["input_ids"], -100)
    for row, (_, names) in enumerate(sentences):
        labels[row, 1 : 1 + len(names)] = torch.tensor([LABELS.index(name) for name in names])
    return {"input_ids": data["input_ids"], "attention_mask": data["attention_mask"], "labels": labels}


def spans(labels: list[str]) -> set[tuple[str, int, int]]:
    """The entities of a sentence: kind, first word, last word."""
    found, begun = set(), None
    for at, label in enumerate([*labels, "O"]):
        if begun is not None and label != f"I-{labels[begun][2:]}":
            found.add((labels[begun][2:], begun, at - 1))
            begun = None
        if label.startswith("B-"):
            begun = at
    return found


def score(model: PreTrainedModel, data: dict[str, Tensor]) -> float:
    """F1 of each kind of entity, whole ones only; their mean."""
    model.eval()
    with torch.no_grad():
        said = model(input_ids=data["input_ids"], attention_mask=data["attention_mask"]).logits.argmax(-1)
    counts = {kind: [0, 0, 0] for kind in KINDS}  # right, said, there
    for guesses, truths in zip(said.tolist(), data["labels"].tolist(), strict=True):
        words = [at for at, truth in enumerate(truths) if truth >= 0]
        guessed, true = (spans([LABELS[row[at]] for at in words]) for row in (guesses, truths))
        for at, entities in enumerate((guessed & true, guessed, true)):
            for kind, *_ in entities:
                counts[kind][at] += 1
    return statistics.fmean(2 * right / max(found + there, 1) for right, found, there in counts.values())


def batches(data: dict[str, Tensor], size: int) -> Iterator[dict[str, Tensor]]:
    """All rows once, in a new order."""
    for rows in torch.randperm(len(data["labels"])).split(size):
        yield {name: values[rows] for name, values in data.items()}


def benchmark(model: PreTrainedModel, data: dict[str, Tensor], repeats: int = 30) -> dict[str, float]:
    """How fast the model reads on one core of this machine: a sentence at a time, and all that it was judged by at once."""
    model.eval()
    inputs = {name: data[name] for name in ("input_ids", "attention_mask")}

    def took(rows: slice) -> float:
        begun = time.perf_counter()
        model(**{name: values[rows] for name, values in inputs.items()})
        return time.perf_counter() - begun

    with torch.no_grad():
        for _ in range(5):  # the first ones are slower
            took(slice(0, 1))
        times = sorted(
            took(slice(row % len(inputs["input_ids"]), row % len(inputs["input_ids"]) + 1)) for row in range(repeats)
        )
        whole = took(slice(None))
    return {
        "latency_p50_ms": 1000 * statistics.median(times),
        "latency_p95_ms": 1000 * times[int(0.95 * (repeats - 1))],
        "sentences_per_second": len(inputs["input_ids"]) / whole,
    }


def save(path: Path, state: object) -> None:
    """Replace a file in one step: whoever is interrupted here finds the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        if path.suffix == ".json":
            file.write(json.dumps(state, indent=2).encode())
        else:
            torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def tell(epoch: int, scores: dict[str, float]) -> None:
    """Say how it goes: in MLflow where somebody set it up, and on the terminal."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        import mlflow

        mlflow.log_metrics(scores, step=epoch)
    print(json.dumps({"epoch": epoch, **{name: round(value, 4) for name, value in scores.items()}}), flush=True)


def train(args: argparse.Namespace) -> dict[str, float]:
    """Train, judge, save, measure. Returns the scores of the last epoch."""
    torch.set_num_threads(1)
    place = make(args.backbone, FOLDER)
    torch.manual_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(place)
    sizes = {LAYERS[args.backbone]: args.layers, DROPOUT[args.backbone]: args.dropout}
    model = AutoModelForTokenClassification.from_pretrained(place, **sizes)
    learned, judged = (encode(part, tokenizer) for part in divide(read(args.data), args.splits, args.fold))
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.learning_rate, weight_decay=args.weight_decay)
    epoch, scores = 0, {}
    latest = args.output / "latest.pt" if args.output else None
    if args.resume and latest and latest.exists():
        state = torch.load(latest, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        epoch, scores = state["epoch"], state["scores"]
        print(f"resuming after epoch {epoch}", flush=True)
    while epoch < args.epochs:
        epoch += 1
        model.train()
        for batch in batches(learned, args.batch_size):
            optimizer.zero_grad()
            loss = model(**batch).loss
            loss.backward()
            optimizer.step()
        scores = {"macro-f1": score(model, judged), "train_loss": float(loss.detach())}
        tell(epoch, scores)
        if latest:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "random": torch.get_rng_state()}
            save(latest, {**state, "epoch": epoch, "scores": scores})
    speed = benchmark(model, judged)
    if args.output:
        about = {"backbone": args.backbone, "layers": args.layers, "device": "cpu", "sentences": len(judged["labels"])}
        save(args.output / "benchmark.json", {**about, **speed})
    return {**scores, "latency_ms": speed["latency_p50_ms"]}


def trial(**parameters: object) -> dict[str, float]:
    """One training of a search. Which fold it is and where its files belong, the environment says."""
    place = {
        "splits": "OUTLAST_SPLITS",
        "fold": "OUTLAST_FOLD",
        "seed": "OUTLAST_SEED",
        "output": "OUTLAST_CHECKPOINT_DIR",
    }
    said = {**parameters, **{name: os.environ[variable] for name, variable in place.items() if variable in os.environ}}
    return train(parse_arguments([*(f"--{name}={value}" for name, value in said.items()), "--resume"]))


if __name__ == "__main__":
    print(json.dumps(train(parse_arguments())))
