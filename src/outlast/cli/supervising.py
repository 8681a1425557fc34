"""The supervisor on the terminal and in the background: of several studies, or of one; its words, its signals, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from outlast._system.clock import utc_now
from outlast._system.turning_log import append_words
from outlast.cli.live.keys import keyboard_of
from outlast.cli.live.live_view import LiveView
from outlast.cli.live.onlooker import Onlooker
from outlast.cli.live.plain import plain_line, tally
from outlast.cli.text import make_console
from outlast.config.settings import NotifySettings
from outlast.core.states import StudyState
from outlast.engine.campaign.orders import Orders
from outlast.engine.campaign.planned import CampaignPlan, HowToRun
from outlast.engine.campaign.supervisor import Supervisor, Wanted, exit_code
from outlast.engine.hold.signals import handling
from outlast.engine.record.look_many import ManyLooker
from outlast.engine.telling.teller_behind import TellerBehind
from outlast.errors import StudyBusy
from outlast.executors.shared_slots import Sharing
from outlast.monitor.overview import Sight
from outlast.monitor.times import metric_value
from outlast.study.campaign import CampaignPaths, keep_campaign
from outlast.study.layout import StudyPaths
from outlast.study.supervision import Charge, Post, live_supervision, read_supervision

_PAUSE = 0.25  # seconds between two rounds
_STOPPING = "stopping: running trials have their grace to save a checkpoint and leave; once more to end them now"
_HOW_TO_LEAVE = "Ctrl-C stops all of it; with the terminal closed it goes on"


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
        notify, here = (
            NotifySettings.of(plan.campaign.notify),
            os.path.normpath(paths.root / plan.campaign.working_directory),
        )
        teller = TellerBehind(paths.root, notify, here, env={}, say=lambda text: screen.said("", text))

        def wait(seconds: float) -> None:
            teller.looked()
            screen.wait(seconds)

        screen.begun()
        with contextlib.closing(screen), contextlib.closing(teller):
            teller.start()
            _supervise(supervisor, wait, screen.said, screen.to_log)
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
        _supervise(supervisor, time.sleep, said, lambda: None)
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
    planned, how, campaign = plan.planned[at], plan.how, plan.campaign
    if planned.settings is None:
        return Wanted(study=study, folder=planned.folder, error=planned.error)
    orders = Orders(
        study=study,
        settings=planned.settings,
        folder=planned.folder,
        accept_changes=how.accept_changes,
        warm_start=how.warm_start,
        sharing=Sharing(
            str(CampaignPaths.at(plan.folder).slots),
            study,
            weight=planned.member.weight,
            priority=planned.member.priority,
            share=campaign.share,
            parallel=campaign.parallel,
        ),
    )
    return Wanted(study=study, folder=planned.folder, orders=orders, fresh=how.fresh, resume=how.resume)


def _supervise(
    supervisor: Supervisor,
    wait: Callable[[float], None],
    say: Callable[[str, str], None],
    hung_up: Callable[[], None],
) -> None:
    """Round after round until everything is over, or was stopped. A handler only takes note."""
    heard: list[int] = []
    asked, gone = 0, False
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    with handling(dict.fromkeys(numbers, lambda number, _frame: heard.append(number))):
        while not supervisor.is_over:
            supervisor.round()
            wait(_PAUSE)
            for number in _drained(heard):
                if number in (signal.SIGINT, signal.SIGTERM):
                    asked += 1
                    say("", _STOPPING if asked == 1 else "ending the running trials now")
                    supervisor.stop()
                elif number == signal.SIGUSR1:
                    say("", "nothing is begun again from now on")
                    supervisor.begin_nothing()
                elif number == signal.SIGHUP and not gone:
                    gone = True
                    hung_up()
                    say("", "the terminal was closed: the searches go on, and this is where words go")


def _drained(heard: list[int]) -> Sequence[int]:
    taken_out = heard[:]
    del heard[: len(taken_out)]
    return taken_out


class _Screen:
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
        append_words(self._log, f"{utc_now()[:19]}Z {line}\n")
        self._show(lambda: self._print(line) if self._is_closed else self._view.event(" ".join(line.split())))

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
        nothing, log = os.open(os.devnull, os.O_RDWR), os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for fd, to in ((0, nothing), (1, nothing), (2, log)):
            os.dup2(to, fd)
        os.close(nothing)
        os.close(log)

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
        overview = self._looker.look()
        said = {each.study: each for each in charges}
        for sight in overview.sights:
            self.said("", came_to(sight, said.get(sight.name)))
        self.said("", plain_line(overview))
        if exit_code(charges):
            self._show(lambda: self._print(f"look at it:  outlast status {self._folder}"))
            self._show(lambda: self._print(f"go on:       outlast run {self._folder}"))


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
    then = (
        "" if at.state in (StudyState.STOPPED, StudyState.PAUSED) else f"  →  {at.next_command}"
    )  # the campaign goes on
    return f"{sight.name}: {at.state.value}{reason}, {tally(at)}{best}{why}{then}"


def _is_same(fd: int, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return os.path.samestat(os.fstat(fd), os.stat(path))
    return False
