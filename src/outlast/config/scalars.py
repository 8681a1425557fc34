"""Shapes of single values: text, words, flags, numbers, durations, sizes."""

from __future__ import annotations

import re
from typing import Any

from outlast.config import units
from outlast.config.shapes import At, Shape, described, is_scalar, show
from outlast.core.nearest import nearest
from outlast.space.distributions import is_finite


class Anything(Shape, frozen=True):
    """Any plain value."""

    def read(self, value: Any, at: At) -> Any:
        """The value as it is."""
        return value

    def _schema(self) -> dict[str, Any]:
        return {}


class Text(Shape, frozen=True):
    """Text, not empty, of a pattern. ``says`` completes "must be …"."""

    pattern: str | None = None
    says: str = "text"

    def read(self, value: Any, at: At) -> str:
        """The text."""
        if not isinstance(value, str):
            raise at.error(f"must be {self.says}, not {show(value)}", "put it in quotes" if is_scalar(value) else None)
        if not value or (self.pattern and not re.search(self.pattern, value)):
            raise at.error(f"must be {self.says}, not {show(value)}")
        return value

    def _schema(self) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "string", "minLength": 1}
        return described(out, pattern=self.pattern)


class Word(Shape, frozen=True):
    """One of a few words; with ``dotted`` also a dotted path to somebody's own class."""

    words: tuple[str, ...]
    dotted: bool = False

    def read(self, value: Any, at: At) -> str:
        """The word."""
        if isinstance(value, str) and (value in self.words or (self.dotted and re.search(DOTTED, value))):
            return value
        allowed = ", ".join(self.words) + (", or a dotted path (package.module.Class)" if self.dotted else "")
        raise at.error(f"{show(value)} is unknown; allowed: {allowed}", nearest(value, self.words))

    def _schema(self) -> dict[str, Any]:
        enum: dict[str, Any] = {"enum": list(self.words)}
        return {"anyOf": [enum, {"type": "string", "pattern": DOTTED}]} if self.dotted else enum


#: ``package.module.Class`` or ``package.module:Class``.
DOTTED = r"^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*[.:][A-Za-z_][A-Za-z0-9_]*$(?!\n)"
_ESCAPED_OR_QUOTED = r"""\\[\s\S]|'[^']*'|"(?:[^"\\]|\\[\s\S])*\""""
#: What `shlex.split` finds words in: every quote is closed, and no backslash is the last character.
SHELL_WORDS = rf"""^[ \t\r\n]*(?:[^'"\\ \t\r\n]|{_ESCAPED_OR_QUOTED})(?:[^'"\\]|{_ESCAPED_OR_QUOTED})*$(?!\n)"""


class Flag(Shape, frozen=True):
    """``true`` or ``false``."""

    def read(self, value: Any, at: At) -> bool:
        """The flag."""
        if not isinstance(value, bool):
            raise at.error(f"must be true or false, not {show(value)}")
        return value

    def _schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


class Number(Shape, frozen=True):
    """A finite number; whole if ``whole``; at least ``least``; more than ``above``."""

    whole: bool = False
    least: float | None = None
    above: float | None = None

    def read(self, value: Any, at: At) -> Any:
        """The number, an int where it is to be whole."""
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not is_finite(value):
            raise at.error(f"must be {self._says()}, not {show(value)}")
        if self.whole and value != int(value):
            raise at.error(f"must be {self._says()}, not {show(value)}")
        if (self.least is not None and value < self.least) or (self.above is not None and value <= self.above):
            raise at.error(f"must be {self._says()}, not {show(value)}")
        return int(value) if self.whole else value

    def _says(self) -> str:
        says = "a whole number" if self.whole else "a number"
        if self.least is not None:
            says += f" of {self.least:g} or more"
        return says + (f" above {self.above:g}" if self.above is not None else "")

    def _schema(self) -> dict[str, Any]:
        out: dict[str, Any] = {"type": "integer" if self.whole else "number"}
        return described(out, minimum=self.least, exclusiveMinimum=self.above)


class Duration(Shape, frozen=True):
    """A duration, read as seconds; above zero unless ``zero``."""

    zero: bool = False

    def read(self, value: Any, at: At) -> float:
        """Seconds."""
        try:
            seconds = units.parse_duration(value)
        except ValueError as error:
            raise at.error(str(error)) from None
        if seconds == 0 and not self.zero:
            raise at.error("must be longer than nothing")
        return seconds

    def _schema(self) -> dict[str, Any]:
        number = {"type": "number", "minimum": 0} if self.zero else {"type": "number", "exclusiveMinimum": 0}
        pattern = units.DURATION_PATTERN if self.zero else units.DURATION_PATTERN.replace("(?=.*[0-9])", "(?=.*[1-9])")
        return {"anyOf": [number, {"type": "string", "pattern": pattern}]}


class Deadline(Shape, frozen=True):
    """A duration or a time on the clock, read as its text."""

    def read(self, value: Any, at: At) -> str:
        """The text, as it is recorded."""
        try:
            found = units.parse_deadline(value)
        except ValueError as error:
            raise at.error(str(error)) from None
        if found == 0:
            raise at.error("must be longer than nothing")
        return found if isinstance(found, str) else str(units.format_duration(found))

    def _schema(self) -> dict[str, Any]:
        clock = {"type": "string", "pattern": units.CLOCK_PATTERN}
        return {"anyOf": [*Duration()._schema()["anyOf"], clock]}


class Size(Shape, frozen=True):
    """An amount of memory, read as bytes."""

    def read(self, value: Any, at: At) -> int:
        """Bytes."""
        try:
            return units.parse_size(value)
        except ValueError as error:
            raise at.error(str(error)) from None

    def _schema(self) -> dict[str, Any]:
        text = {"type": "string", "pattern": units.SIZE_PATTERN}
        return {"anyOf": [{"type": "integer", "minimum": 0}, text]}
