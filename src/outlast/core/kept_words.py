"""What a coordinator and a kept worker tell each other: messages of MessagePack, each behind its length in four bytes.

A kept worker runs trial after trial in itself. To it goes `Train`, and while that trial runs `Stop` and `Answer`; from it come
`Ready` once, and of each trial `Points`, `Question`, and in the end `Over`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from outlast.core.evidence import Evidence

_LENGTH_BYTES = 4


class Train(Struct, frozen=True, array_like=True, tag=True):
    """Run this trial. Everything that it is told is here: no file says it."""

    name: str  # 0007.2
    trial: int
    attempt: int
    trial_dir: str  # where its folder would be
    checkpoint_dir: str
    params: Mapping[str, Any] = {}
    seed: int = 0
    resume: bool = False
    last_step: int | None = None  # the highest step that an earlier attempt reported
    env: Mapping[str, str] = {}  # of this trial alone
    begin: Mapping[str, Any] | None = None  # what an objective that draws as it goes is told first
    offered: Mapping[str, tuple[str, Any]] = {}  # parameter → distribution, value: it need not ask for these
    prunes: bool = False  # a pruner may give it up


class Stop(Struct, frozen=True, array_like=True, tag=True):
    """The trial is asked to end."""

    name: str
    reason: str


class Answer(Struct, frozen=True, array_like=True, tag=True):
    """What was asked last is answered."""

    answer: Mapping[str, Any]


class Ready(Struct, frozen=True, array_like=True, tag=True):
    """The function is imported, or cannot be: each trial says so itself."""


class Points(Struct, frozen=True, array_like=True, tag=True):
    """Lines as in ``reports.jsonl``, of a trial that still runs."""

    name: str
    lines: bytes
    listens: bool  # it looks whether it should stop


class Question(Struct, frozen=True, array_like=True, tag=True):
    """Something that the objective waits for the answer of."""

    name: str
    question: Mapping[str, Any]


class Over(Struct, frozen=True, array_like=True, tag=True):
    """The trial has ended, and the worker may go on."""

    name: str
    evidence: Evidence
    printed: tuple[int, int] = (0, 0)  # where its output begins in the worker's, and its length
    drawn: tuple[str, ...] = ()  # what it took of what was offered, in order
    last: bool = False  # the worker ends with it


ToWorker: TypeAlias = Train | Stop | Answer
FromWorker: TypeAlias = Ready | Points | Question | Over

_WHOLE = 1  # code of what MessagePack has no type for: a whole number of more than 64 bits, in digits


def _of_extension(_code: int, data: memoryview) -> int:
    return int(bytes(data))


_encoder = msgspec.msgpack.Encoder(enc_hook=str)
_to_worker = msgspec.msgpack.Decoder(ToWorker, ext_hook=_of_extension)
_from_worker = msgspec.msgpack.Decoder(FromWorker, ext_hook=_of_extension)


def packed(message: ToWorker | FromWorker) -> bytes:
    """A message as it travels."""
    try:
        body = _encoder.encode(message)
    except OverflowError:
        body = _encoder.encode(_with_extensions(msgspec.to_builtins(message, builtin_types=(bytes,), enc_hook=str)))
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


def _with_extensions(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_extensions(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_extensions(each) for each in value]
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 64:
        return msgspec.msgpack.Ext(_WHOLE, str(value).encode())
    return value


class Unpacker:
    """Takes bytes as they come and gives whole messages."""

    def __init__(self, *, of_worker: bool) -> None:
        self._decoder: msgspec.msgpack.Decoder[Any] = _from_worker if of_worker else _to_worker
        self._rest = b""

    def feed(self, data: bytes) -> list[Any]:
        """The messages that are whole now.

        Raises:
            msgspec.DecodeError: It is none of ours.
        """
        data, found, at = self._rest + data, [], 0
        while len(data) - at >= _LENGTH_BYTES:
            end = at + _LENGTH_BYTES + int.from_bytes(data[at : at + _LENGTH_BYTES], "big")
            if end > len(data):
                break
            found.append(self._decoder.decode(data[at + _LENGTH_BYTES : end]))
            at = end
        self._rest = data[at:]
        return found
