"""Requests: what workers and people ask of the holder of the lease, one file each, answered all in one round.

The file for the answer is there, empty, before the request is: who waits for it opens it again and again, and over NFS a file
that was looked for in vain stays missing for a while.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from outlast._system.files import remove, write_atomic
from outlast._system.processes import Identity, is_running
from outlast._system.reading import list_names, read_json
from outlast._system.syncing import make_dir
from outlast.study.layout import StudyPaths


class Request(NamedTuple):
    """One request. ``kind``: stop, retry, enqueue, trial (a worker wants one)."""

    kind: str
    key: str
    content: Mapping[str, Any] = {}


def drop(paths: StudyPaths, kind: str, **content: Any) -> Request:
    """Leave a request for the holder of the lease."""
    request = prepare(kind, **content)
    lay_out(paths, request)
    return request


def prepare(kind: str, **content: Any) -> Request:
    """A request that nobody can see yet."""
    return Request(kind, f"{kind}-{os.urandom(16).hex()}", content)


def lay_out(paths: StudyPaths, request: Request) -> None:
    """Leave it for the holder of the lease. May be done again where the disk refused: it may have been seen all the same."""
    make_dir(paths.requests)
    _answer(paths, request.key).touch()
    content = {"version": 1, "kind": request.kind, **request.content}
    # A worker that a power failure takes asks again: nobody needs to wait for the disk, and of many thousand nobody should.
    write_atomic(paths.requests / f"{request.key}.json", json.dumps(content), durable=request.kind != "trial")


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
    to = {"to": request.content["worker"]} if "worker" in request.content else {}
    write_atomic(_answer(paths, request.key), json.dumps({**content, **to}), durable=False)  # the ledger has it
    remove(paths.requests / f"{request.key}.json", durable=False)


def take(paths: StudyPaths, request: Request) -> None:
    """Remove a request that needs no answer."""
    remove(paths.requests / f"{request.key}.json", durable=False)
    remove(_answer(paths, request.key), durable=False)


def clear_unread(paths: StudyPaths) -> None:
    """Remove the answers to workers of this host that died before they read them."""
    names = set(list_names(paths.requests))
    for name in names:
        key = name.removesuffix(".answer.json")
        if key == name or f"{key}.json" in names:
            continue
        content = read_json(paths.requests / name)
        who = Identity.from_json(content.get("to", {})) if isinstance(content, dict) else None
        if who is not None and who.here and not is_running(who):
            remove(paths.requests / name, durable=False)


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
