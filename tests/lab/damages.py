"""What can happen to a line of the ledger, and to any file of a study folder."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], None]


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


# -- of one line of a ledger segment: (lines, index) -> lines ----------------------------------------------------------


def removed(lines: list[bytes], at: int) -> list[bytes]:
    return lines[:at] + lines[at + 1 :]


def doubled(lines: list[bytes], at: int) -> list[bytes]:
    return lines[: at + 1] + lines[at:]


def swapped(lines: list[bytes], at: int) -> list[bytes]:
    other = at + 1 if at + 1 < len(lines) else at - 1
    lines = list(lines)
    lines[at], lines[other] = lines[other], lines[at]
    return lines


def garbled(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[:at], b"#" * (len(lines[at]) - 1) + b"\n", *lines[at + 1 :]]


def one_digit_changed(lines: list[bytes], at: int) -> list[bytes]:
    line = bytearray(lines[at])
    digits = [place for place, byte in enumerate(line) if 48 <= byte <= 57]
    place = digits[len(digits) // 2]
    line[place] = 48 + (line[place] - 47) % 10
    return [*lines[:at], bytes(line), *lines[at + 1 :]]


def one_name_changed(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[:at], lines[at].replace(b'"at"', b'"ax"').replace(b'"seals"', b'"seels"'), *lines[at + 1 :]]


def of_another_kind(lines: list[bytes], at: int) -> list[bytes]:
    return [*lines[:at], b"[1, 2]\n", *lines[at + 1 :]]


LINE_DAMAGES = (removed, doubled, swapped, garbled, one_digit_changed, one_name_changed, of_another_kind)


def harm_line(segment: Path, at: int, damage: Callable[[list[bytes], int], list[bytes]]) -> None:
    segment.write_bytes(b"".join(damage(_lines(segment), at)))


# -- of a whole file ---------------------------------------------------------------------------------------------------


def _content(path: Path) -> bytes:
    path.parent.mkdir(exist_ok=True)
    return path.read_bytes() if path.exists() else b"something"


def emptied(path: Path) -> None:
    _content(path)
    path.write_bytes(b"")


def cut_in_half(path: Path) -> None:
    content = _content(path)
    path.write_bytes(content[: len(content) // 2])


def turned_into_noise(path: Path) -> None:
    path.write_bytes(random.Random(len(_content(path))).randbytes(400))


def no_text_any_more(path: Path) -> None:
    content = _content(path)
    path.write_bytes(content[: len(content) // 3] + b"\xff\xfe" + content[len(content) // 3 :])


def deleted(path: Path) -> None:
    path.unlink(missing_ok=True)


def made_a_folder(path: Path) -> None:
    deleted(path)
    path.mkdir(parents=True)


def made_a_link_to_itself(path: Path) -> None:
    deleted(path)
    path.parent.mkdir(exist_ok=True)
    os.symlink(path.name, path)


FILE_DAMAGES: tuple[Damage, ...] = (
    emptied, cut_in_half, turned_into_noise, no_text_any_more, deleted, made_a_folder, made_a_link_to_itself,
)  # fmt: skip
