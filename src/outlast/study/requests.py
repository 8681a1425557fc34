"""Requests: what workers and people ask of the holder of the lease, one file each, answered all in one round."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outlast._system import make_dir, read_json, remove, write_atomic
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
    key = f"{kind}-{uuid.uuid4().hex}"
    write_atomic(paths.requests / f"{key}.json", json.dumps({"version": 1, "kind": kind, **content}))
    return Request(kind, key, content)


def pending(paths: StudyPaths) -> list[Request]:
    """Every request that is not answered yet, oldest name first. Unreadable files are left where they are."""
    try:
        names = sorted(os.listdir(paths.requests))
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        if not name.endswith(".json") or name.startswith(".") or name.endswith(".answer.json"):
            continue
        content = read_json(paths.requests / name)
        if isinstance(content, dict) and "kind" in content:
            found.append(Request(str(content["kind"]), name[: -len(".json")], content))
    return found


def answer(paths: StudyPaths, request: Request, **content: Any) -> None:
    """Answer a request; the asker removes the answer."""
    write_atomic(paths.requests / f"{request.key}.answer.json", json.dumps(content))
    take(paths, request)


def take(paths: StudyPaths, request: Request) -> None:
    """Remove a request that needs no answer, or has it."""
    remove(paths.requests / f"{request.key}.json", durable=False)


def read_answer(paths: StudyPaths, request: Request) -> Mapping[str, Any] | None:
    """The answer, once it is there; removes it."""
    path = paths.requests / f"{request.key}.answer.json"
    content = read_json(path)
    if isinstance(content, dict):
        remove(path, durable=False)
        return content
    return None
