"""What several callbacks need: numbers among metrics, checkpoints that a framework wrote, and whether they are whole."""

from __future__ import annotations

import json
import os
import struct
import sys
import zipfile
from typing import Any, Callable, Dict, List, Mapping

from outlast.client import current_trial

__all__ = ["is_whole", "numbers", "resume_candidates", "say", "under_outlast"]

_HEADER_LENGTH = struct.Struct("<Q")
_ZIP = b"PK\x03\x04"


def say(text: str) -> None:
    """One line on stderr."""
    print("outlast: " + text, file=sys.stderr, flush=True)


def under_outlast() -> bool:
    """Whether this process belongs to a trial, and was not started by hand."""
    return bool(os.environ.get("OUTLAST_TRIAL_DIR"))


def numbers(metrics: Mapping[str, Any]) -> Dict[str, float]:
    """Those of the metrics that are single numbers. A framework's dictionary also holds texts, lists and curves."""
    found = {}
    for name, value in metrics.items():
        if value is None or isinstance(value, (str, bytes)):
            continue
        try:
            found[str(name)] = float(value.item() if hasattr(value, "item") else value)
        except (TypeError, ValueError, RuntimeError):  # RuntimeError: torch, of several elements
            continue
    return found


def resume_candidates() -> List[str]:
    """What lies in the checkpoint folder, newest first. Empty when run by hand, unless ``OUTLAST_RESUME=1`` is set.

    A second run by hand starts from the beginning, as with `outlast.client.Trial.load_checkpoint`.
    """
    trial = current_trial()
    if not (under_outlast() or trial.resumed):
        return []
    found = []
    with os.scandir(str(trial.checkpoint_dir)) as entries:
        for entry in entries:
            try:
                found.append((entry.stat().st_mtime_ns, entry.path))
            except OSError:
                continue  # a link whose target is gone
    return [path for _, path in sorted(found, reverse=True)]


def is_whole(path: str) -> bool:
    """Whether a checkpoint, a file or a folder of files, was written to its end.

    Known by what each format says of its own length: the directory at the end of what ``torch.save`` writes, the header
    of safetensors, the last brace of JSON. Files of other kinds are taken as they are.
    """
    if os.path.isdir(path):
        return all(is_whole(os.path.join(path, name)) for name in os.listdir(path))
    check = _CHECKS.get(os.path.splitext(path)[1])
    try:
        return check is None or check(path)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
        return False


def _archive_is_whole(path: str) -> bool:
    with open(path, "rb") as file:
        start = file.read(len(_ZIP))
    if _ZIP.startswith(start):  # also of one that was cut off within these first bytes
        return zipfile.is_zipfile(path)
    return True  # a plain pickle does not say how long it should be


def _json_is_whole(path: str) -> bool:
    with open(path, encoding="utf-8") as file:
        content = json.load(file)
    if not path.endswith(".index.json"):
        return True
    parts = set(content["weight_map"].values())
    return all(os.path.exists(os.path.join(os.path.dirname(path), name)) for name in parts)


def _safetensors_is_whole(path: str) -> bool:
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        (length,) = _HEADER_LENGTH.unpack(file.read(_HEADER_LENGTH.size))
        if length > size:
            return False
        header = json.loads(file.read(length).decode("utf-8"))
    ends = [about["data_offsets"][1] for name, about in header.items() if name != "__metadata__"]
    return bool(size == _HEADER_LENGTH.size + length + max(ends, default=0))


_CHECKS: Dict[str, Callable[[str], bool]] = {
    ".json": _json_is_whole,
    ".safetensors": _safetensors_is_whole,
    **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt"), _archive_is_whole),
}
