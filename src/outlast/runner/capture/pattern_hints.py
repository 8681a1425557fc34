"""Lines that name an objective without saying its value in a way that is understood, and the pattern that would read it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from outlast.runner.capture.names import find_name
from outlast.runner.capture.numerals import NO_MORE, NUMBER, UNIT, as_number

_NUMERAL = re.compile(rf"(?<![\w.<>~≈^]){NUMBER}{UNIT}{NO_MORE}")
_VALIDATION = re.compile(r"\b(?:valid(?:ation)?|val|eval|test|dev)\b", re.IGNORECASE)
_BEGUN = re.compile(r"['\"]?\s*[:=]?\s*(?=[-+]?\.?\d)")
_CHANGE = re.compile(rf"\s*(?:\w+ )?from {NUMBER} to (?={NUMBER})")
_TRAINING = re.compile(r"\w*train\w*(?:['’]s)?[\s:_-]+$", re.IGNORECASE)
_NEAR = 20  # letters between a name and its value
_MOST_COLUMNS = 40
_LONGEST = 160  # letters that are shown of a line
_MOST_LETTERS = 1000  # of a line that is looked at
#: What a pattern may capture, the simplest first.
_CAPTURES = (r"(\S+)", r"([-+.\deE]+)")


class Hint(NamedTuple):
    """A line as it was printed, and the ``metric.pattern`` that reads the value from it; empty where none would."""

    line: str
    pattern: str


class Hints:
    """Fed with lines, remembers the last telling one of each objective."""

    def __init__(self, objectives: Sequence[str]) -> None:
        self._names = {name: _spelled(name) for name in objectives}
        words = ([word for word in re.split(r"[\W_]+", name.lower()) if word] or [name] for name in objectives)
        self._hot = tuple(word[-1].encode() for word in words)
        self._found: dict[str, Hint] = {}
        self._header: tuple[str, str, int, int] | None = None  # objective, line, its column, how many

    def wants(self, raw: bytes) -> bool:
        """Whether a line may name an objective, or stands below a table's header that does. Cheap."""
        lower = raw.lower()
        return self._header is not None or any(word in lower for word in self._hot)

    def look(self, line: str, read: Sequence[str]) -> None:
        """Take a line, and the names whose values were read from it."""
        if len(line) > _MOST_LETTERS or not self.wants(line.encode("utf-8", "replace")):
            return
        if self._header is not None:
            self._row(line)
        for name, spelled in self._names.items():
            match = spelled.search(line)
            if match is None or find_name(name, read) is not None:
                continue
            hint = _inline(line, match)
            if hint is not None:
                self._found[name] = hint
            elif name not in self._found:
                self._header = _column(name, line, spelled)

    def of(self, objective: str) -> Hint | None:
        """What was found for an objective."""
        return self._found.get(objective)

    def _row(self, line: str) -> None:
        """The line below a table's header."""
        assert self._header is not None
        name, header, column, columns = self._header
        cells = line.split()
        if not cells or not any(map(str.isalnum, line)):
            return  # a rule or a blank line between
        self._header = None
        if len(cells) == columns and as_number(cells[column]) is not None:
            skipped = rf"(?:\S+\s+){{{column}}}" if column else ""
            self._found[name] = Hint(
                header.strip()[:_LONGEST], rf"^\s*{skipped}([-+.\deE]+)(?:\s+\S+){{{columns - column - 1}}}\s*$"
            )


def _spelled(name: str) -> re.Pattern[str]:
    words = [re.escape(word) for word in re.split(r"[\W_]+", name) if word]
    return re.compile(rf"(?<![\w./@?&%-]){'[^a-zA-Z0-9]{0,3}'.join(words) or re.escape(name)}(?![^\W_])", re.IGNORECASE)


def _column(name: str, line: str, spelled: re.Pattern[str]) -> tuple[str, str, int, int] | None:
    cells = line.split()
    if not 1 < len(cells) <= _MOST_COLUMNS or any(as_number(cell) is not None for cell in cells):
        return None
    at = [number for number, cell in enumerate(cells) if spelled.fullmatch(cell)]
    return (name, line, at[0], len(cells)) if len(at) == 1 else None


def _inline(line: str, name: re.Match[str]) -> Hint | None:
    """A number after the name, and a pattern that was tried on the very line."""
    if _TRAINING.search(line[max(0, name.start() - 2 * _NEAR) : name.start()]):
        return None
    change = _CHANGE.match(line, name.end())
    first = _NUMERAL.search(line, change.end() if change else name.end())
    if first is None:
        return None
    begun = _BEGUN.match(line, name.end())
    if begun is not None and begun.end() != first.start():
        return Hint(line.strip()[:_LONGEST], "")  # the value is no number: a fraction, a range, a time
    if change is None and first.start() - name.end() > _NEAR:
        numbers = list(_NUMERAL.finditer(line, name.end()))
        first = next((n for n in reversed(numbers) if line[: n.start()].rstrip().endswith((":", "="))), first)
    prefix = _VALIDATION.search(line, 0, name.start())
    before = f"{re.escape(prefix[0])}.*" if prefix is not None else ""
    known = before + _literal(name[0]) + _general(line[name.end() : first.start()])
    for capture in _CAPTURES:
        found = re.search(known + capture, line)
        if found is not None and as_number(found[1]) is not None and found.start(1) == first.start():
            return Hint(line.strip()[:_LONGEST], known + capture)
    return Hint(line.strip()[:_LONGEST], "")


def _literal(text: str) -> str:
    """A pattern for a text, whatever blanks are in it, that can stand between single quotes in YAML."""
    return "".join(r"\s+" if part.isspace() else re.escape(part) for part in re.split(r"(\s+)", text)).replace("'", ".")


def _general(text: str) -> str:
    """Likewise, whatever numbers are in it."""
    return "".join(r"[\d.]+" if part[:1].isdigit() else _literal(part) for part in re.split(r"(\d+(?:\.\d+)?)", text))
