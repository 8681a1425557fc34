"""Configurations that a training prints: what stands in them was asked for, not measured."""

from __future__ import annotations

import re

_WORDS = r"namespace|config(?:uration)?|cfg|arg(?:ument)?s|options|settings|flags|h?params|(?:hyper[- ]?)?parameters"
_HINTS = ("namespace", "conf", "cfg", "arg", "option", "setting", "flag", "param")
#: ``Namespace(lr=0.1)``, ``config: {…}``, ``TrainingArguments(``, ``Model config BertConfig {``
_OPENER = re.compile(rf"(?<![\w.])\w*(?:{_WORDS})\s*[:=]?\s*(?:\w+\s*)?(?P<open>[({{])", re.IGNORECASE)
_HEADING = re.compile(rf"^\W*(?:(?:\w+ )?\w*(?:{_WORDS})\s*:|parameter group \d+)\W*$", re.IGNORECASE)
_ENTRY = re.compile(r"(?:['\"]?[\w./ -]+['\"]?\s*[:=].*|[^\w]*|['\"]?[\w./+-]+['\"]?,?)$")
_UNENDED = (",", "(", "{", "[")
_CLOSING = (")", "}", "]")
_MOST_LINES = 500
_MOST_LETTERS = 200  # that tell whether a line is an entry
_DEPTH = {"(": 1, "{": 1, "[": 1, ")": -1, "}": -1, "]": -1}


class ConfigDumps:
    """Fed with every line in order; hands back what of it is no configuration."""

    def __init__(self) -> None:
        self._depth = 0  # brackets still open: the dump goes on in the next line
        self._indented = False  # below a heading: goes on while lines are indented
        self._lines = 0

    @property
    def wants_lines(self) -> bool:
        """Whether the next line may still be configuration, whatever is in it."""
        return self._depth > 0 or self._indented

    def strip(self, line: str) -> str:
        """The line without the configuration in it."""
        if self.wants_lines:
            if self._goes_on(line):
                return ""
            self._depth, self._indented = 0, False
        lower = line.lower()
        if not any(hint in lower for hint in _HINTS):
            return line
        if _HEADING.match(line):
            self._indented, self._lines = True, 0
            return ""
        opener = _OPENER.search(line)
        return line if opener is None else self._cut(line, opener)

    def _goes_on(self, line: str) -> bool:
        self._lines += 1
        if self._lines > _MOST_LINES:
            return False
        if self._indented:
            return line[:1].isspace()
        entry = line.strip()
        if not (line[:1].isspace() or entry.endswith(_UNENDED) or entry.startswith(_CLOSING)):
            return False
        if not _ENTRY.match(entry[:_MOST_LETTERS]):
            return False
        self._depth = max(0, self._depth + sum(_DEPTH.get(letter, 0) for letter in line))
        return True

    def _cut(self, line: str, opener: re.Match[str]) -> str:
        depth = 0
        for at in range(opener.start("open"), len(line)):
            depth += _DEPTH.get(line[at], 0)
            if depth == 0:
                return line[: opener.start()] + line[at + 1 :]
        if line.rstrip().endswith(("(", "{", ",")):
            self._depth, self._lines = depth, 0
        return line[: opener.start()]
