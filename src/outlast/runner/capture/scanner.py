"""A training's output as it comes: metrics, marked scores, how far it is, its last lines, its last traceback."""

from __future__ import annotations

import math
import re
from collections import deque
from collections.abc import Mapping, Sequence

from outlast.core.evidence import Report
from outlast.errors import StudyFileError
from outlast.runner.capture.dumps import ConfigDumps
from outlast.runner.capture.names import owners
from outlast.runner.capture.numerals import as_number, is_uncertain
from outlast.runner.capture.objective import Objective, Sightings
from outlast.runner.capture.output_lines import Marker, Steps, clean, find_marker, find_steps, read_line
from outlast.runner.capture.pattern_hints import Hints
from outlast.runner.capture.traceback import TracebackCatcher

_LINE_CAP = 64 * 1024 - 1  # bytes; what is longer is cut
_TAIL_LINE_CAP = 2000  # bytes
_READ_ALL_LINES = 20_000  # after these, in a flood, lines that cannot hold an objective are read now and then only
_FLOOD_LINES = 400  # in one chunk
_FLOOD_BYTES = 1 << 16  # likewise
_SKIMMED_TAIL = 1 << 13
_SIGNS = (b":", b"=", b"|", b"poch", b"tep", b"ter", b"POCH", b"STEP", b"ITER", b"\xe2\x94")  # the last: of │ and ┃
_OPENING = (b"(", b"{")  # of a configuration that goes on in the next lines


class OutputScanner:
    """Feed it bytes, ask it any time. Memory is bounded whatever comes.

    A progress bar overwrites its line (``\\r``): what it shows counts when the bar moves on to the next step, because a
    value in it is unfinished, or still the last epoch's, until then.
    `patterns` holds for an objective a regular expression whose first group (or whole match) is its value.

    Raises:
        StudyFileError: A pattern that is no regular expression.
    """

    def __init__(self, objectives: Sequence[str], patterns: Mapping[str, str], *, tail_lines: int = 50) -> None:
        self.metrics = Sightings()  # every name in ordinary lines
        self.markers = Sightings()  # OUTLAST_SCORE, OPTUNA_SCORE, Best validation score
        self.named_markers = Sightings()  # those with a name in brackets
        self.patterns = Sightings()  # objective → what its own pattern matched
        self.unreadable: dict[str, str] = {}  # marker → its last occurrence, where that cannot be read as a number
        self._names = tuple(objectives)
        self._objectives = [Objective(name) for name in objectives]
        self._patterns = {name: _compiled(name, pattern) for name, pattern in patterns.items()}
        words = [re.split(r"[\W_]+", name.strip("_"))[-1] or name for name in objectives]
        self._hot = tuple(word.lower().encode() for word in [*words, "epoch", "_score", "validation score"])
        self._owners: dict[str, str] = {}
        self._followers = {name: _Follower(name) for name in objectives}
        self._fresh: list[Report] = []
        self._sticky = Steps(None, None)
        self._traceback = TracebackCatcher()
        self._dumps = ConfigDumps()
        self.hints = Hints(objectives)  # lines that name an objective whose value was not understood
        self._tail: deque[bytes] = deque(maxlen=tail_lines)
        self._overwrite = False  # the last tail line was ended by \r
        self._rest = b""
        self._lines = 0

    # Taking in

    def feed(self, chunk: bytes) -> None:
        """Take the next piece of output, cut anywhere."""
        data = self._rest + chunk
        if len(data) >= _FLOOD_BYTES and self._lines > _READ_ALL_LINES:
            data = self._skimmed(data)
        pieces = data.splitlines(keepends=True)
        self._rest = b""
        if pieces and not pieces[-1].endswith(b"\n"):  # a \r at the end may be half of \r\n
            self._rest = pieces.pop()
            if len(self._rest) > _LINE_CAP and not self._rest.endswith(b"\r"):
                self._rest = self._rest[: _LINE_CAP + 1]  # still too long: what comes is cut off with the rest
        self._lines += len(pieces)
        flood = len(pieces) > _FLOOD_LINES and self._lines > _READ_ALL_LINES
        for number, piece in enumerate(pieces):
            self._take(piece, not flood or number % 64 == 0 or number >= len(pieces) - 64 or self._is_hot(piece))

    def _skimmed(self, data: bytes) -> bytes:
        """Of a flood, the lines that may hold an objective, all from a traceback on, and the last ones.

        A gigabyte of output must not keep the training waiting for its reader: what is left out is only searched.
        """
        if self._patterns or self._traceback.wants_lines:
            return data
        told = [at for at in (data.find(b"Traceback"), data.find(b'\n  File "')) if at >= 0]
        end = _line_start(data, min([len(data) - _SKIMMED_TAIL, *told]))
        lower = data[:end].lower()
        lines: set[tuple[int, int]] = set()
        for word in self._hot:
            at = lower.find(word)
            while at >= 0:
                line = _line_start(lower, at), _line_end(lower, at)
                lines.add(line)
                if len(lines) > _FLOOD_LINES:
                    return data
                at = lower.find(word, line[1])
        self._lines += data.count(b"\n", 0, end) - len(lines)
        return b"".join([*(data[start:stop] for start, stop in sorted(lines)), data[end:]])

    def _is_hot(self, piece: bytes) -> bool:
        lower = piece.lower()
        return any(word in lower for word in self._hot)

    def close(self, *, torn: bool = False) -> None:
        """The output is over: take what has no line end, and what a progress bar showed last.

        `torn`: the training was ended while it wrote, and a number at the end may be half a number.
        """
        rest, self._rest = self._rest, b""
        if rest:
            self._take(rest, True, torn=torn and not rest.endswith(b"\r"))
        for follower in self._followers.values():
            self._emit(follower.settle())

    def _take(self, piece: bytes, hot: bool, *, torn: bool = False) -> None:
        provisional = piece.endswith(b"\r")
        raw = _cut(piece).rstrip(b"\r\n")
        if raw or not provisional:
            if self._overwrite and self._tail:
                self._tail.pop()
            self._tail.append(piece.rstrip(b"\r\n")[:_TAIL_LINE_CAP])
            self._overwrite = provisional
        line = None
        if b"Traceback" in raw or self._traceback.wants_lines or raw.startswith(b'  File "'):
            line = clean(raw.decode("utf-8", "replace"))
            if (self._traceback.wants_lines or self._traceback.starts(line)) and self._traceback.feed(line):
                return  # what a line of code or an error's message mentions was not measured
        if torn:
            return
        if self._patterns:
            line = clean(raw.decode("utf-8", "replace")) if line is None else line
            self._match_patterns(line)
        telling = any(sign in raw for sign in _SIGNS) or raw.endswith(_OPENING)
        if hot and (telling or self._dumps.wants_lines or self.hints.wants(raw)):
            self._read(clean(raw.decode("utf-8", "replace")) if line is None else line, provisional)

    def _read(self, line: str, provisional: bool) -> None:
        marker = find_marker(line)
        if marker is not None:
            self._mark(marker)
            return
        line = self._dumps.strip(line)
        metrics, uncertain = read_line(line, self._names)
        self.hints.look(line, [name for name, _ in metrics])
        for name, text in uncertain:
            self.metrics.doubt(name, text)
        steps = find_steps(line, metrics)
        self._sticky = Steps(*(new if new is not None else old for new, old in zip(steps, self._sticky, strict=True)))
        new_names = [self.metrics.add(name, value) for name, value in metrics]
        if any(new_names):
            self._owners = owners(self._objectives, self.metrics)
        points: dict[int, dict[str, float]] = {}
        for follower in self._followers.values():
            self._emit(follower.moved(self._sticky))
        for name, value in metrics:
            owner = self._owners.get(name)
            if owner is not None:
                step = self._followers[owner].see(value, steps, self._sticky, provisional)
                if step is not None:
                    points.setdefault(step, {})[owner] = value
        self._fresh.extend(Report(step, values) for step, values in points.items())

    def _mark(self, marker: Marker) -> None:
        seen, name = (self.named_markers, marker.name) if marker.name else (self.markers, marker.kind)
        if marker.value is None:
            self.unreadable[marker.name or marker.kind] = marker.text
        else:
            self.unreadable.pop(marker.name or marker.kind, None)
            seen.add(name, marker.value)

    def _match_patterns(self, line: str) -> None:
        for name, pattern in self._patterns.items():
            for match in pattern.finditer(line):
                text = (match[1] if pattern.groups else match[0]) or ""
                value = as_number(text)
                if value is not None:
                    self.patterns.add(name, value)
                elif is_uncertain(text):
                    self.patterns.doubt(name, text)

    def _emit(self, report: Report | None) -> None:
        if report is not None:
            self._fresh.append(report)

    # Asking

    def drain_reports(self) -> list[Report]:
        """The points of the objectives' curves that came since the last call, under the objectives' own names."""
        fresh, self._fresh = self._fresh, []
        return fresh

    @property
    def has_reports(self) -> bool:
        """Whether there are any."""
        return bool(self._fresh)

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines, of an overwritten line only what it showed in the end."""
        lines = deque(self._tail, maxlen=self._tail.maxlen)
        if self._rest:
            lines.append(self._rest[:_TAIL_LINE_CAP])
        return tuple(clean(line.decode("utf-8", "replace")) for line in lines)

    @property
    def traceback(self) -> str:
        """The last Python traceback in the output, or the empty string."""
        return self._traceback.text()


def _cut(line: bytes) -> bytes:
    """A line that is not too long; cut between words, because half a number is another one."""
    if len(line) <= _LINE_CAP:
        return line
    end = max(line.rfind(sign, 0, _LINE_CAP) for sign in (b" ", b"\t", b",", b";"))
    return line[: max(end, 0)]


def _line_start(data: bytes, at: int) -> int:
    return max(data.rfind(b"\n", 0, max(0, at)), data.rfind(b"\r", 0, max(0, at))) + 1


def _line_end(data: bytes, at: int) -> int:
    ends = [end for end in (data.find(b"\n", at), data.find(b"\r", at)) if end >= 0]
    return min(ends) + 1 if ends else len(data)


class _Follower:
    """One objective's points: which unit counts its steps, and what a progress bar shows of it at the moment."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._unit = ""  # epoch or step: the first that was there, kept
        self._last: tuple[int, float] | None = None
        self._held: tuple[int, float] | None = None

    def see(self, value: float, line: Steps, sticky: Steps, provisional: bool) -> int | None:
        """A value. Returns the step that it is a new point at, or ``None``."""
        step = self._step_of(line, sticky)
        if step is None and self._last is None and math.isnan(value) and not provisional:
            step = 0  # before anything is numbered: as good a reason to end the trial as later
        if step is None or (self._last is not None and step < self._last[0]):
            return None
        if provisional:
            self._held = (step, value)
            return None
        if self._held is not None and self._held[0] <= step:
            self._held = None
        if self._last is not None and (step, repr(value)) == (self._last[0], repr(self._last[1])):
            return None
        self._last = (step, value)
        return step

    def moved(self, sticky: Steps) -> Report | None:
        """The training may have moved on: what the bar showed before is final now."""
        at = sticky.epoch if self._unit == "epoch" else sticky.step
        return self.settle() if self._held is not None and at is not None and int(at) > self._held[0] else None

    def settle(self) -> Report | None:
        """What the bar showed last, as a point."""
        held, self._held = self._held, None
        if held is None or (self._last is not None and held[0] < self._last[0]):
            return None
        self._last = held
        return Report(held[0], {self.name: held[1]})

    def _step_of(self, line: Steps, sticky: Steps) -> int | None:
        if not self._unit:
            for steps in (line, sticky):
                unit = "epoch" if steps.epoch is not None else "step" if steps.step is not None else ""
                if unit:
                    self._unit = unit
                    break
        here, before = (line.epoch, sticky.epoch) if self._unit == "epoch" else (line.step, sticky.step)
        at = here if here is not None else before
        return None if at is None else int(at)  # of a broken epoch, the one that is running


def _compiled(name: str, pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise StudyFileError(
            f"{pattern!r} is no regular expression: {error}",
            key=f"metric.pattern of {name}",
            cure=r"For example: 'test accuracy is (\S+)'",
        ) from error
