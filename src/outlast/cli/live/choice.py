"""What a person has chosen to see, and what a key does to that. Pure: a key and what can be chosen in, a wish out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from outlast.monitor.overview import Overview

Page = Literal["all", "trials", "trial", "log", "help"]
Wish = Literal["", "quit", "stop", "redraw"]


class Row(NamedTuple):
    """What the cursor can stand on: a study, or one of its trials."""

    folder: str
    trial: int | None = None


class Choice(Struct):
    """Where a person is.

    Attributes:
        page: What is shown.
        row: Where the cursor is on the page of all; also whose trial is open.
        trial: Where the cursor is in a study's trials, or the open trial.
        top: How far a page is scrolled.
        asks: The trial that would be stopped: the next key says whether it is.
        note: To be told in the line of keys.
    """

    page: Page = "all"
    row: Row | None = None
    trial: int | None = None
    top: int = 0
    asks: Row | None = None
    note: str = ""
    before: list[Page] = []

    def open(self, page: Page) -> None:
        """Show another page; ``escape`` comes back to this one."""
        self.before.append(self.page)
        self.page, self.top = page, 0

    def back(self) -> None:
        """Show the page before."""
        self.page, self.top = (self.before.pop() if self.before else "all"), 0

    @property
    def folder(self) -> str:
        """Of the study that is meant."""
        return self.row.folder if self.row is not None else ""


def rows_of(overview: Overview) -> list[Row]:
    """What the cursor can stand on: the studies, where there are several, and the trials that run."""
    studies = [Row(sight.folder) for sight in overview.sights] if len(overview.sights) != 1 else []
    return studies + running_of(overview)


def running_of(overview: Overview) -> list[Row]:
    """The trials that run now."""
    return [
        Row(sight.folder, trial.trial)
        for sight in overview.sights
        if sight.snapshot is not None and sight.snapshot.live is not None
        for trial in sight.snapshot.running
    ]


def settle(choice: Choice, rows: Sequence[Row]) -> None:
    """The cursor stays on what it was on; where that is gone, it goes to its study, else to the first row."""
    if choice.row in rows:
        return
    same = (row for row in rows if choice.row is not None and row == Row(choice.row.folder))
    choice.row = next(same, rows[0] if rows else None)


def press(choice: Choice, key: str, rows: Sequence[Row], trials: Sequence[int], *, running: Sequence[Row]) -> Wish:
    """One key.

    Args:
        rows: What the page of all lists now.
        trials: What the page of the chosen study's trials lists.
        running: The trials that can be stopped.

    Returns:
        What is to be done beyond showing something else; ``stop`` is about `choice.asks`.
    """
    asked, choice.note = choice.asks, ""
    if asked is not None:
        if key == "y":
            return "stop"
        choice.asks = None
        choice.note = "not stopped"
        return ""
    settle(choice, rows)
    if key == "q":
        return "quit"
    if key == "redraw":
        return "redraw"
    if key == "?" and choice.page != "help":
        choice.open("help")
    elif key in ("escape", "left", "back") or choice.page == "help":
        choice.back()
    elif key == "s":
        _ask(choice, running)
    elif key == "l":
        _open_log(choice, running)
    elif key in ("enter", "right"):
        _enter(choice, trials)
    else:
        _move(choice, key, rows, trials)
    return ""


def _meant(choice: Choice) -> Row | None:
    """The trial that a key is about."""
    if choice.page == "all":
        return choice.row if choice.row is not None and choice.row.trial is not None else None
    return Row(choice.folder, choice.trial) if choice.trial is not None else None


def _ask(choice: Choice, running: Sequence[Row]) -> None:
    meant = _meant(choice)
    if meant is None or meant not in running:
        choice.note = "choose a trial that runs, then s stops it"
    else:
        choice.asks = meant


def _open_log(choice: Choice, running: Sequence[Row]) -> None:
    meant = _meant(choice) or next((row for row in running if row.folder == choice.folder), None)
    if choice.page == "log":
        return
    if meant is None:
        choice.note = "choose a trial, then l follows its log"
        return
    choice.trial = meant.trial
    choice.open("log")


def _enter(choice: Choice, trials: Sequence[int]) -> None:
    if choice.page == "all" and choice.row is not None:
        choice.trial = choice.row.trial if choice.row.trial is not None else (trials[0] if trials else None)
        choice.open("trials" if choice.row.trial is None else "trial")
    elif choice.page == "trials" and choice.trial is not None:
        choice.open("trial")


def _move(choice: Choice, key: str, rows: Sequence[Row], trials: Sequence[int]) -> None:
    steps = {"up": -1, "down": 1, "page up": -10, "page down": 10, "home": -1_000_000, "end": 1_000_000}
    by = steps.get(key)
    if by is None:
        return
    if choice.page == "all" and rows and choice.row is not None:
        choice.row = rows[min(len(rows) - 1, max(0, rows.index(choice.row) + by))]
    elif choice.page == "trials" and trials:
        at = trials.index(choice.trial) if choice.trial in trials else 0
        choice.trial = trials[min(len(trials) - 1, max(0, at + by))]
    elif choice.page in ("trial", "log"):
        choice.top = max(0, choice.top + (-by if choice.page == "log" else by))
