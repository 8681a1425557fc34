"""A disk that loses its power: file operations are replayed, and what nobody synced is gone, or half there.

The rules are POSIX's at its least generous: a file's content counts up to its last fsync, a folder's entries (created, renamed,
linked, removed) only from the fsync of that folder on; a rename within one folder happens as a whole or not at all.
"""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: Changes of one folder's entries that belong together: name → what it is from now on, ``None`` for nothing.
Change = dict[str, "Node | None"]


@dataclass
class Node:
    """A file, a folder or a link: what programs see, and what the disk holds."""

    kind: str
    seen: bytearray = field(default_factory=bytearray)
    kept: bytes = b""
    entries: dict[str, Node] = field(default_factory=dict)
    kept_entries: dict[str, Node] = field(default_factory=dict)
    pending: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> None:
        self.pending.append(change)
        _apply(self.entries, change)

    def sync(self) -> None:
        self.kept, self.kept_entries, self.pending = bytes(self.seen), dict(self.entries), []


def _apply(entries: dict[str, Node], change: Change) -> None:
    for name, node in change.items():
        if node is None:
            entries.pop(name, None)
        else:
            entries[name] = node


class Disk:
    """Everything below `place`, as recorded operations make it."""

    def __init__(self, place: Path) -> None:
        self._place = str(place)
        self.root = Node("folder")

    def do(self, operation: Mapping[str, Any]) -> None:
        """Carry out one recorded operation."""
        op, path = operation["op"], operation["path"]
        target = operation.get("target", "")
        try:
            folder, name = self._split(path)
        except KeyError:
            if op in ("mkdir", "write"):
                return  # refused, as it was: its folder is made when that is seen
            raise
        if op == "mkdir":
            if name not in folder.entries:
                folder.change({name: Node("folder")})
        elif op == "write":
            folder.change({name: Node("file", bytearray(_data(operation)))})
        elif op == "append":
            self._node(path).seen.extend(_data(operation))
        elif op in ("fsync", "fsync_dir"):
            self._node(path).sync()
        elif op == "symlink":
            folder.change({name: Node("link", bytearray(target.encode()), target.encode())})
        elif op == "unlink":
            folder.change({name: None})
        elif op == "link":
            home, new = self._split(target)
            if new not in home.entries:
                home.change({new: folder.entries[name]})
        elif op == "rename":
            home, new = self._split(target)
            moved = folder.entries.get(name, Node("file"))  # what was written past the recorder is lost
            if home is folder:
                folder.change({name: None, new: moved})
            else:
                home.change({new: moved})
                folder.change({name: None})
        elif op == "rmdir":
            if name in folder.entries and not folder.entries[name].entries:
                folder.change({name: None})
        elif op == "rmtree":
            if name in folder.entries:
                _empty(folder.entries[name])
                folder.change({name: None})
        else:
            raise ValueError(f"unknown operation {op}")

    def left(self, place: Path, rng: random.Random | None = None) -> None:
        """Write what is left after the power has gone. With `rng`, some of what was not synced has made it all the same."""
        _write(self.root, place, rng)

    def _node(self, path: str) -> Node:
        folder, name = self._split(path)
        return folder.entries[name] if name else folder

    def _split(self, path: str) -> tuple[Node, str]:
        parts = [part for part in os.path.relpath(path, self._place).split("/") if part != "."]
        node = self.root
        for part in parts[:-1]:
            node = node.entries[part]
        return node, parts[-1] if parts else ""


def _data(operation: Mapping[str, Any]) -> bytes:
    return base64.b64decode(operation["data"])


def _empty(node: Node) -> None:
    for name, child in list(node.entries.items()):
        _empty(child)
        node.change({name: None})


def _write(node: Node, place: Path, rng: random.Random | None) -> None:
    if node.kind == "link":
        place.symlink_to(node.kept.decode())
    elif node.kind == "file":
        place.write_bytes(node.kept if rng is None else _some(node, rng))
    else:
        place.mkdir(exist_ok=True)
        entries = dict(node.kept_entries)
        for change in node.pending if rng is not None else ():
            if rng is not None and rng.random() < 0.5:
                _apply(entries, change)
        for name, child in entries.items():
            _write(child, place / name, rng)


def _some(node: Node, rng: random.Random) -> bytes:
    """The content that was synced, the one that was written, or something in between."""
    new = bytes(node.seen)[len(node.kept) :] if node.seen.startswith(node.kept) else bytes(node.seen)
    return rng.choice([node.kept, bytes(node.seen), node.kept + new[: rng.randrange(len(new) + 1)]])


def replay(place: Path, operations: Iterable[Mapping[str, Any]]) -> Disk:
    """The disk after these operations."""
    disk = Disk(place)
    for operation in operations:
        disk.do(operation)
    return disk
