"""Requests: what workers and people ask of the holder of the lease, one file each, answered all in one round.

The file for the answer is there, empty, before the request is: who waits for it opens it again and again, and over NFS a file
that was looked for in vain stays missing for a while.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outlast._system import list_names, make_dir, read_json, remove, write_atomic
from outlast.study.layout import StudyPaths

__all__ = ["Request", "answer", "drop", "pending", "read_answer", "take"]


@dataclass(frozen=True)
class Request:
    """One request. ``kind``: stop, retry, enqueue, trial (a worker wants one)."""

    kind: str
    key: str
    content: Mapping[str, Any] = field(default_factory=dict)


def drop(paths: StudyPaths, kind: str, **content: Any) -> Request:
    """Leave a request for the holder of the lease."""
    make_dir(paths.requests)
    key = f"{kind}-{os.urandom(16).hex()}"
    _answer(paths, key).touch()
    write_atomic(paths.requests / f"{key}.json", json.dumps({"version": 1, "kind": kind, **content}))
    return Request(kind, key, content)


def pending(paths: StudyPaths) -> list[Request]:
    """Every request that is not answered yet, oldest name first. Unreadable files are left where they are."""
    found = []
    for name in sorted(list_names(paths.requests)):
        if not name.endswith(".json") or name.startswith(".") or name.endswith(".answer.json"):
            continue
        content = read_json(paths.requests / name)
        if isinstance(content, dict) and "kind" in content:
            found.append(Request(str(content["kind"]), name[: -len(".json")], content))
    return found


def answer(paths: StudyPaths, request: Request, **content: Any) -> None:
    """Answer a request; the asker removes the answer."""
    write_atomic(_answer(paths, request.key), json.dumps(content))
    remove(paths.requests / f"{request.key}.json", durable=False)


def take(paths: StudyPaths, request: Request) -> None:
    """Remove a request that needs no answer."""
    remove(paths.requests / f"{request.key}.json", durable=False)
    remove(_answer(paths, request.key), durable=False)


def read_answer(paths: StudyPaths, request: Request) -> Mapping[str, Any] | None:
    """The answer, once it is there; removes it."""
    path = _answer(paths, request.key)
    content = read_json(path)
    if isinstance(content, dict):
        remove(path, durable=False)
        return content
    return None


def _answer(paths: StudyPaths, key: str) -> Path:
    return paths.requests / f"{key}.answer.json"
