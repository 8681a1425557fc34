"""What all trials that run print, of one study or several, line by line: each line behind its study and trial."""

from __future__ import annotations

import codecs
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

from outlast._system.capped_log import LogReader
from outlast.cli.each_study import name_of
from outlast.cli.render.text import clean
from outlast.core.file_names import parse_attempt_name
from outlast.engine.record.examine import read_study
from outlast.errors import OutlastError
from outlast.study.campaign import CampaignPaths
from outlast.study.layout import StudyPaths
from outlast.study.lease import holder_is_live
from outlast.study.supervision import live_supervision

if TYPE_CHECKING:
    from rich.style import Style

_LOOK_EVERY = 0.3  # seconds
_JOBS_EVERY = 5.0  # seconds, while nothing but jobs in a queue may begin anything
_MOST = 1 << 16  # bytes of a line, and of a log at a time: whoever prints without end holds up no other
_BEFORE = 5  # lines of each running trial that were there before
_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_cyan", "bright_green", "bright_magenta")

#: Takes the name of a trial and a line of it.
Say = Callable[[str, str], object]


class _Tail:
    """One log that is read on and on."""

    def __init__(self, name: str, log: Path) -> None:
        self.name, self.is_silent = name, True
        self._reader, self._line = LogReader(log), ""
        self._decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode

    def lines(self, *, rest: bool = False) -> Iterator[str]:
        """The whole lines that are new, as they may be shown; with `rest`, also what no line end has followed."""
        while data := self._reader.read(_MOST):
            self.is_silent = False
            *whole, self._line = (self._line + self._decode(data)).split("\n")
            yield from map(clean, whole)
            if len(self._line) > _MOST:
                yield clean(self._line)
                self._line = ""
            if not rest and len(data) >= _MOST:
                return  # the others' turn
        if rest:
            if self._line:
                yield clean(self._line)
            self._reader.close()

    def skip(self, keep: int) -> list[str]:
        """Everything so far, of which the last lines are kept; of a long log only its end is read."""
        kept: deque[str] = deque(maxlen=keep)
        self.is_silent = False
        self._reader.skip(_MOST)
        while before := self._reader.read(_MOST):
            *whole, self._line = (self._line + self._decode(before)).split("\n")
            kept.extend(whole[-keep:] if keep else ())
            self._line = self._line[-_MOST:]
        return [clean(line) for line in kept]


class RunningTrials:
    """What the running trials of one study print, looked at again and again."""

    def __init__(self, folder: str, name: str) -> None:
        self.paths, self._name = StudyPaths.at(folder), name
        self._tails: dict[tuple[int, int], _Tail] = {}
        self._known: set[int] = set()  # trials that are followed, were, or had ended before

    def begin(self, before: int, say: Say) -> None:
        """Find what runs already, and say its last lines."""
        self._known = self._numbers()
        for key in sorted(self._open()):
            tail = self._tails[key] = self._tail(*key)
            for line in tail.skip(before):
                say(tail.name, line)

    def look(self, say: Say) -> bool:
        """Say what is new. Returns whether anything was, or runs."""
        there = self._open()
        for key in sorted(there - self._tails.keys()):
            self._tails[key] = self._tail(*key)
        for key, tail in sorted(self._tails.items()):
            for line in tail.lines(rest=key not in there):
                say(tail.name, line)
        ended = [key for key in self._tails if key not in there]
        for trial, attempt in ended:
            tail = self._tails.pop((trial, attempt))
            if tail.is_silent and attempt == 1:  # its log came and went between two looks
                self._say_all(tail.name, trial, say)
        self._say_what_was_quick({trial for trial, _ in (*there, *ended)}, say)
        return bool(there or ended)

    def _say_what_was_quick(self, seen: Collection[int], say: Say) -> None:
        """A trial that began and ended between two looks. One without a log may still be about to begin."""
        self._known.update(seen)
        for trial in sorted(self._numbers() - self._known):
            if self.paths.trial(trial).log.exists():
                self._say_all(f"{self._name}/{trial}", trial, say)
                self._known.add(trial)

    def _numbers(self) -> set[int]:
        return {int(each) for each in _names(self.paths.trials) if each.isdigit()}

    def _say_all(self, name: str, trial: int, say: Say) -> None:
        """The log of a finished trial."""
        for line in _Tail(name, self.paths.trial(trial).log).lines(rest=True):
            say(name, line)

    def _open(self) -> set[tuple[int, int]]:
        return {found for name in _names(self.paths.open) if (found := parse_attempt_name(name)) is not None}

    def _tail(self, trial: int, attempt: int) -> _Tail:
        again = f".{attempt}" if attempt > 1 else ""
        return _Tail(f"{self._name}/{trial}{again}", self.paths.attempt(trial, attempt).log)


def follow_many(folders: Sequence[str], *, lines: int | None = None, campaign: str | None = None) -> None:
    """Print what every running trial prints, until nothing runs and nobody is there to start anything, or Ctrl-C.

    Args:
        folders: The studies'.
        lines: So many lines of each trial that runs already come first.
        campaign: Their campaign's folder: as long as somebody looks after that, more may begin.
    """
    studies = [RunningTrials(folder, name_of(folder)) for folder in folders]
    say = _printer()
    try:
        for each in studies:
            each.begin(_BEFORE if lines is None else lines, say)
        while True:
            over = not _is_looked_after(campaign) and all(
                holder_is_live(each.paths.ledger) is False for each in studies
            )
            busy = [each.look(say) for each in studies]
            rests = over and not any(busy)
            if rests and not any(_has_jobs(each.paths) for each in studies):
                return
            sys.stdout.flush()
            time.sleep(_JOBS_EVERY if rests else _LOOK_EVERY)
    except KeyboardInterrupt:
        sys.stdout.write("\n")


def _has_jobs(paths: StudyPaths) -> bool:
    """Whether its jobs may still begin trials: it has some, and no end."""
    try:
        study = read_study(paths)
    except OutlastError:
        return False
    return bool(study.jobs) and study.ended is None


def _is_looked_after(campaign: str | None) -> bool:
    return campaign is not None and live_supervision(CampaignPaths.at(campaign).supervisor) is not None


def _printer() -> Say:
    """Prints a line behind its name: aligned, and in a terminal each study's and trial's name in a colour of its own."""
    width, coloured = 0, sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    styles: dict[str, Style] = {}

    def say(name: str, line: str) -> None:
        nonlocal width
        width = max(width, min(len(name), 32))
        head = f"{name:<{width}}"
        if coloured:
            if name not in styles:
                from rich.style import Style

                styles[name] = Style.parse(_COLOURS[crc32(name.encode()) % len(_COLOURS)])
            head = styles[name].render(head)
        sys.stdout.write(f"{head} | {line}\n")

    return say


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
