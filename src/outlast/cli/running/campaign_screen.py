"""What a person reads of a campaign that this process supervises: on its terminal, in its log, and at the end."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from outlast._system.clock import utc_now
from outlast._system.turning_log import append_words
from outlast.cli.live.keys import keyboard_of
from outlast.cli.live.live_view import LiveView
from outlast.cli.live.onlooker import Onlooker
from outlast.cli.live.plain import plain_line, tally
from outlast.cli.render.text import make_console
from outlast.core.states import StudyState
from outlast.engine.campaign.supervisor import exit_code
from outlast.engine.record.look_many import ManyLooker
from outlast.monitor.overview import Sight
from outlast.monitor.times import metric_value
from outlast.study.supervision import Charge

_HOW_TO_LEAVE = "Ctrl-C stops all of it; with the terminal closed it goes on"


class CampaignScreen:
    """What a person reads of a campaign: lines for what happens above the live view, and at the end one a study."""

    def __init__(self, folder: str, log: Path) -> None:
        self._folder, self._log = folder, log
        self._looker = ManyLooker(folder)
        self._console = make_console()
        self._view = LiveView(self._console, keyboard=keyboard_of(self._console.file), on_quit=_HOW_TO_LEAVE)
        self._onlooker = Onlooker(self._looker.look, self._view)
        self._is_closed, self._is_shown = False, True
        if _is_same(1, log):  # in the background: each word once
            self.to_log()

    def said(self, study: str, text: str) -> None:
        """A line, here and in the campaign's log."""
        line = f"{study}: {text}" if study else text
        flat = on_one_line(line)
        append_words(self._log, f"{utc_now()[:19]}Z {flat}\n")
        self._show(lambda: self._print(line) if self._is_closed else self._view.event(flat))

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)

    def _show(self, draw: Callable[[], object]) -> None:
        """Draw; what goes wrong with that ends no supervision."""
        try:
            draw()
        except OSError:
            self.to_log()
        except Exception as error:
            append_words(
                self._log, f"{utc_now()[:19]}Z what goes on cannot be shown ({type(error).__name__}: {error})\n"
            )
            self.to_log()

    def to_log(self) -> None:
        """The terminal or pipe is gone: nothing is printed from now on, nor looked at for that; the log has it."""
        self._is_shown = False
        with contextlib.suppress(OSError):  # without a log, too, it is the searches that count
            _redirect(os.devnull, 0, 1, 2)
            _redirect(self._log, 2)

    def begun(self) -> None:
        """What to type elsewhere."""
        self._show(lambda: self._print(f"watch it:  outlast status -w {self._folder}"))
        self._show(lambda: self._print(f"end it:    Ctrl-C, or: outlast stop {self._folder}"))

    def wait(self, seconds: float) -> None:
        """Show how it stands, and let so much time pass."""
        if self._is_shown:
            self._show(self._onlooker.update)
            self._view.wait(seconds)
        else:
            time.sleep(seconds)

    def close(self) -> None:
        """Leave the terminal in order."""
        self._show(self._view.close)
        self._is_closed = True

    def tell_end(self, charges: Sequence[Charge]) -> None:
        """What came of each study, and of all."""
        try:
            overview = self._looker.look()
        except Exception as error:  # how it ended is known, and is not to be taken for another end
            self.said("", f"what came of it cannot be shown ({type(error).__name__}: {error})")
            return
        said = {each.study: each for each in charges}
        for sight in overview.sights:
            self.said("", came_to(sight, said.get(sight.name)))
        self.said("", plain_line(overview))
        if exit_code(charges):
            self._show(lambda: self._print(f"look at it:  outlast status {self._folder}"))
            self._show(lambda: self._print(f"go on:       outlast run {self._folder}"))


def on_one_line(text: str) -> str:
    """``camp.yaml:4: budget.trails: unknown key; did you mean `trials`?``: a fact and its cure, or whatever has lines."""
    lines = [line for each in text.splitlines() if (line := " ".join(each.split()))]
    return "".join(f"{line} " if line[-1] in ":;,." else f"{line}; " for line in lines[:-1]) + "".join(lines[-1:])


def came_to(sight: Sight, charge: Charge | None) -> str:
    """One line: what came of a study, and the next command."""
    word = charge.word if charge is not None and charge.condition in ("refused", "given up") else ""
    if sight.snapshot is None:
        return f"{sight.name}: {word or sight.error}"
    at = sight.snapshot
    best = ""
    if at.best is not None:
        name = at.metrics[0][0]
        best = f", best {name} {metric_value(name, at.best.values[0])} in trial {at.best.trial}"
    reason = f": {at.reason}" if at.reason else ""
    why = f" ({word})" if word else ""
    goes_on = at.state in (StudyState.STOPPED, StudyState.PAUSED)  # with the campaign's own command
    then = "" if goes_on else f"  →  {at.next_command}"
    return f"{sight.name}: {at.state.value}{reason}, {tally(at)}{best}{why}{then}"


def _redirect(path: str | Path, *to: int) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        for each in to:
            os.dup2(fd, each)
    finally:
        os.close(fd)


def _is_same(fd: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(fd), os.stat(path))
    return False
