"""Where the model of a training lies: which of its checkpoints it is, and whether Hugging Face's libraries read it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from outlast.client import newest_checkpoint

_CONFIG = "config.json"
_DIGITS = re.compile(r"\d+")
#: Weights as `save_pretrained` writes them, in one file or in several with an index:
#: https://huggingface.co/docs/transformers/main_classes/model (`save_pretrained`, `max_shard_size`)
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
#: What a Trainer keeps beside a model to go on training: no part of it, and partly with this machine's paths and tokens in it
#: (``training_args.bin`` is the pickled arguments, ``hub_token`` among them).
_FOR_RESUMING = (
    "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "training_args.bin", "trainer_state.json", "latest",
    "zero_to_fp32.py",
)  # fmt: skip
_FOR_RESUMING_BEGINNING = ("rng_state", "global_step", "checkpoint-", ".")


def is_pretrained(folder: str | os.PathLike[str]) -> bool:
    """Whether ``from_pretrained`` of Hugging Face's libraries reads this folder: a configuration and weights at its top."""
    place = Path(folder)
    weights = [*_WEIGHTS, *(each.name for each in place.glob("*.safetensors"))] if place.is_dir() else []
    return (place / _CONFIG).is_file() and any((place / name).is_file() for name in weights)


def model_in(checkpoints: str | os.PathLike[str], pattern: Sequence[str] = ()) -> Path | None:
    """The model that a training left: the folder itself where it was saved as Hugging Face does, else its newest checkpoint.

    Args:
        checkpoints: Of the training.
        pattern: `checkpoints.pattern` of its study.

    Returns:
        A file or a folder; ``None`` where there is none.
    """
    if is_pretrained(checkpoints):
        return Path(checkpoints)
    found = newest_checkpoint(str(checkpoints), list(pattern))
    return None if found is None else Path(found)


def left_beside(model: Path, checkpoints: Path) -> list[str]:
    """What a training left beside its model that is no older checkpoint of the same name: it may well belong to the model.

    Args:
        model: As `model_in` has it.
        checkpoints: The folder that it was found in.

    Returns:
        Names in the model's folder; none where the model is the whole of `checkpoints`.
    """
    if model == checkpoints:
        return []
    others = [each.name for each in model.parent.iterdir() if not each.name.startswith(".") and each != model]
    return sorted(name for name in others if _DIGITS.sub("", name) != _DIGITS.sub("", model.name))


def from_outside(parts: Sequence[Path], checkpoints: Path) -> list[str]:
    """The names of links in a model that lead out of the folder of its training: what they point to is copied with it."""
    found = [path for part in parts for path in (part, *part.rglob("*")) if path.is_symlink() and path.exists()]
    return sorted({path.name for path in found if not path.resolve().is_relative_to(checkpoints.resolve())})


def parts_of(model: Path) -> list[Path]:
    """The files and folders that a model is made of, without what is only there to go on with its training."""
    if not model.is_dir():
        return [model]
    entries = sorted(model.iterdir())
    if not is_pretrained(model):
        return [each for each in entries if not each.name.startswith(".")]
    return [
        each for each in entries if each.name not in _FOR_RESUMING and not each.name.startswith(_FOR_RESUMING_BEGINNING)
    ]
