"""The supervisor on the terminal and in the background: of several studies, or of one; its words, its signals, its end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from outlast._system.clock import utc_now
from outlast._system.turning_log import append_words
from outlast.engine.campaign.orders import Orders
from outlast.engine.campaign.planned import CampaignPlan, HowToRun
from outlast.engine.campaign.supervisor import Supervisor, Wanted, exit_code
from outlast.engine.hold.signals import handling
from outlast.engine.record.look_many import ManyLooker
from outlast.errors import StudyBusy
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.times import metric_value
from outlast.study.campaign import CampaignPaths, keep_campaign
from outlast.study.layout import StudyPaths
from outlast.study.supervision import Charge, Post, live_supervision, read_supervision

_PAUSE = 0.25  # seconds between two rounds; a child that ends wakes us
_LOOK_EVERY = 60.0  # seconds between two lines of progress
_SHARE_OF_TIME = 0.05  # what looking may cost


def run_campaign(plan: CampaignPlan) -> int:
    """Supervise several studies until each has come to rest. Returns the exit code.

    Raises:
        StudyBusy: Somebody supervises them already.
        OSError: The campaign's folder cannot be written.
    """
    paths = CampaignPaths.at(plan.folder)
    before = read_supervision(paths.supervisor)
    with contextlib.closing(taken(paths.supervisor, plan.folder)) as post:
        keep_campaign(plan.folder, plan.campaign)
        screen = _Screen(plan.folder, paths.log)
        supervisor = Supervisor(post, [_wanted(each.member.study, plan, at) for at, each in enumerate(plan.planned)],
                                before, screen.said)  # fmt: skip
        screen.begun()
        _supervise(supervisor, screen.update, screen.said, screen.to_log)
        supervisor.round()  # the record knows the end
        screen.tell_end(supervisor.charges)
        return exit_code(supervisor.charges)


def run_supervised(orders: Orders, how: HowToRun) -> int:
    """Supervise one study in the background. Returns the exit code, as of a run in the foreground.

    Raises:
        StudyBusy: Somebody supervises it already.
    """
    paths = StudyPaths.at(orders.folder)
    before = read_supervision(paths.supervisor)

    def said(_study: str, text: str) -> None:
        append_words(paths.run_log, f"{utc_now()[:19]}Z supervisor: {text}\n")

    wanted = Wanted(study=orders.study, folder=orders.folder, orders=orders, resume=how.resume)
    with contextlib.closing(taken(paths.supervisor, orders.folder)) as post:
        supervisor = Supervisor(post, [wanted], before, said, alone=True)
        _supervise(supervisor, lambda: None, said, lambda: None)
        supervisor.round()
        return next((each.code for each in supervisor.charges if each.code is not None), 4)


def taken(record: Path, folder: str) -> Post:
    """The supervisor's place there.

    Raises:
        StudyBusy: Somebody has it: who, and what to do instead.
    """
    refuse_supervised(record, folder)
    post = Post(record)
    if not post.take():
        post.close()
        raise StudyBusy(_busy("another process", folder))
    return post


def refuse_supervised(record: Path, folder: str) -> None:
    """Say that somebody looks after it already.

    Raises:
        StudyBusy: So it is.
    """
    found = live_supervision(record)
    if found is not None:
        raise StudyBusy(_busy(f"pid {found.process.pid} on {found.process.host}, since {found.since}", folder))


def _busy(who: str, folder: str) -> str:
    return (
        f"{folder} is looked after already ({who})\n"
        f"  watch it:      outlast status -w {folder}\n"
        f"  end that run:  outlast stop {folder}"
    )


def _wanted(study: str, plan: CampaignPlan, at: int) -> Wanted:
    planned, how = plan.planned[at], plan.how
    if planned.settings is None:
        return Wanted(study=study, folder=planned.folder, error=planned.error)
    orders = Orders(
        study=study,
        settings=planned.settings,
        folder=planned.folder,
        accept_changes=how.accept_changes,
        warm_start=how.warm_start,
        campaign=plan.folder,
    )
    return Wanted(study=study, folder=planned.folder, orders=orders, fresh=how.fresh, resume=how.resume)


def _supervise(
    supervisor: Supervisor,
    update: Callable[[], None],
    say: Callable[[str, str], None],
    hung_up: Callable[[], None],
) -> None:
    """Round after round until everything is over, or was stopped. A handler only takes note."""
    heard: list[int] = []
    wakes, wake = os.pipe()
    os.set_blocking(wake, False)

    def hear(number: int, _frame: object) -> None:
        heard.append(number)
        with contextlib.suppress(BlockingIOError):
            os.write(wake, b"!")

    asked = 0
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    try:
        with handling(dict.fromkeys(numbers, hear)):
            while not supervisor.is_over:
                supervisor.round()
                update()
                if select.select([wakes], [], [], _PAUSE)[0]:
                    os.read(wakes, 4096)
                for number in _drained(heard):
                    if number in (signal.SIGINT, signal.SIGTERM):
                        asked += 1
                        say("", "stopping: every study has its grace; once more to end all now" if asked == 1 else
                            "ending the running trials now")  # fmt: skip
                        supervisor.stop()
                    elif number == signal.SIGUSR1:
                        say("", "nothing is begun again from now on")
                        supervisor.begin_nothing()
                    elif number == signal.SIGHUP:
                        hung_up()
                        say("", "the terminal was closed: the searches go on, and this is where words go")
    finally:
        os.close(wakes)
        os.close(wake)


def _drained(heard: list[int]) -> Sequence[int]:
    taken_out = heard[:]
    del heard[: len(taken_out)]
    return taken_out


class _Screen:
    """What a person reads of a campaign: a line for what happens, now and then one about all, and at the end one a study."""

    def __init__(self, folder: str, log: Path) -> None:
        self._folder, self._log = folder, log
        self._looker = ManyLooker(folder)
        self._due = time.monotonic() + _LOOK_EVERY
        self._last = ""

    def said(self, study: str, text: str) -> None:
        """A line, here and in the campaign's log."""
        line = f"{study}: {text}" if study else text
        append_words(self._log, f"{utc_now()[:19]}Z {line}\n")
        self._print(line)

    def _print(self, line: str) -> None:
        try:
            click.echo(line)
            sys.stdout.flush()
        except OSError:
            self.to_log()

    def to_log(self) -> None:
        """The terminal or pipe is gone: nothing is printed from now on, for the log has it."""
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(nothing, fd)
        os.close(nothing)

    def begun(self) -> None:
        """What to type elsewhere."""
        self._print(f"watch:  outlast status -w {self._folder}\nend:    Ctrl-C, or: outlast stop {self._folder}")

    def update(self) -> None:
        """A line of progress, if it is time."""
        began = time.monotonic()
        if began < self._due:
            return
        with contextlib.suppress(OSError):
            line = progress(self._looker.look())
            if line != self._last:
                self._last = line
                self._print(line)
        now = time.monotonic()
        self._due = now + max(_LOOK_EVERY, (now - began) / _SHARE_OF_TIME)

    def tell_end(self, charges: Sequence[Charge]) -> None:
        """What came of each study, and of all."""
        overview = self._looker.look()
        said = {each.study: each for each in charges}
        for sight in overview.sights:
            self.said("", came_to(sight, said.get(sight.name)))
        self.said("", progress(overview))
        if exit_code(charges):
            self._print(f"look:   outlast status {self._folder}\ngo on:  outlast run {self._folder}")


def progress(overview: Overview) -> str:
    """``33/3200 (1.0%)  a 4/800  b 5/1200``."""
    each = "  ".join(f"{sight.name} {_tally(sight)}" for sight in overview.sights)
    target, share = overview.target, overview.share
    total = f"{overview.counted} trials" if target is None else f"{overview.counted}/{target} ({share or 0:.1%})"
    return f"{total}  {each}"


def _tally(sight: Sight) -> str:
    at = sight.snapshot
    return "-" if at is None else f"{at.counted}" + ("" if at.target is None else f"/{at.target}")


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
    return f"{sight.name}: {at.state.value}{reason}, {_tally(sight)}{best}{why}  →  {at.next_command}"
