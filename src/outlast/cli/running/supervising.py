"""The supervisor on the terminal and in the background: of several studies, or of one; its words, its signals, its end."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec.structs import replace

from outlast._system.clock import utc_now
from outlast._system.cycles import look_for_cycles_again
from outlast._system.turning_log import append_words
from outlast.cli.running.campaign_screen import CampaignScreen
from outlast.config.settings import NotifySettings
from outlast.engine.attempts.slots import count_on_machine
from outlast.engine.campaign.looked_after import Wanted
from outlast.engine.campaign.orders import Orders, sharing_in
from outlast.engine.campaign.planned import CampaignPlan, HowToRun
from outlast.engine.campaign.run_alone import busy_text, refuse_supervised
from outlast.engine.campaign.supervisor import Supervisor, exit_code
from outlast.engine.coordinator.session_end import settled
from outlast.engine.hold.signals import handling
from outlast.engine.telling.teller_behind import TellerBehind
from outlast.errors import StudyBusy
from outlast.study.campaign import CampaignPaths, keep_campaign
from outlast.study.layout import StudyPaths
from outlast.study.supervision import Charge, Post, read_supervision

_PAUSE = 0.25  # seconds between two rounds
_STOPPING = "stopping: running trials have their grace to save a checkpoint and leave; once more to end them now"
_ENDING = "ending the running trials now"


def run_campaign(plan: CampaignPlan, resting: Mapping[str, Charge] | None = None) -> int:
    """Supervise several studies until each has come to rest. Returns the exit code.

    Args:
        resting: Those that are over, and are not begun again.

    Raises:
        StudyBusy: Somebody supervises them already.
        OSError: The campaign's folder cannot be written.
    """
    paths = CampaignPaths.at(plan.folder)
    before = read_supervision(paths.supervisor)
    with _in_place(paths.supervisor, plan.folder) as post:
        keep_campaign(plan.folder, plan.campaign)
        screen = CampaignScreen(plan.folder, paths.log)
        known, names = resting or {}, [each.member.study for each in plan.planned]
        wanted = [replace(_wanted(name, plan, at), resting=known.get(name)) for at, name in enumerate(names)]
        supervisor = Supervisor(post, wanted, before, screen.said)
        notify = NotifySettings.of(plan.campaign.notify)
        here = os.path.normpath(paths.root / plan.campaign.working_directory)
        teller = TellerBehind(paths.root, notify, here, env={}, say=lambda text: screen.said("", text))

        def wait(seconds: float) -> None:
            teller.looked()
            screen.wait(seconds)

        screen.begun()
        with contextlib.closing(screen), contextlib.closing(teller):
            teller.start()
            if words := slots_text(plan):
                screen.said("", words)
            _supervise(supervisor, wait, screen.said, screen.to_log)
        supervisor.round()  # the record knows the end
        screen.tell_end(supervisor.charges)
        return exit_code(supervisor.charges)


def slots_text(plan: CampaignPlan) -> str:
    """How many slots there are for all studies together, and why; nothing where none takes a slot of this machine."""
    taking = plan.on_this_machine
    if not taking:
        return ""
    if plan.campaign.parallel is not None:
        return f"{_slots(plan.campaign.parallel)} for all studies together, as the campaign's `parallel` says"
    if plan.pool is not None:
        return f"{_slots(plan.pool)}: what the studies' own `parallel` come to, as the campaign has none"
    held = sorted({count_on_machine(each) for each in taking})
    if len(held) == 1:
        return f"{_slots(held[0])} for all studies together: as many trials as this machine holds"
    return f"{held[0]} to {held[-1]} slots for all studies together: what this machine holds, by what a trial of each needs"


def _slots(many: int) -> str:
    return f"{many} {'slot' if many == 1 else 'slots'}"


def run_supervised(orders: Orders, how: HowToRun) -> int:
    """Supervise one study in the background. Returns the exit code, as of a run in the foreground.

    Raises:
        StudyBusy: Somebody supervises it already.
    """
    paths = StudyPaths.at(orders.folder)
    before = read_supervision(paths.supervisor)

    def said(_study: str, text: str) -> None:
        say_beside(paths.run_log, f"{utc_now()[:19]}Z supervisor: {text}\n")

    wanted = Wanted(study=orders.study, folder=orders.folder, orders=orders, resume=how.resume)
    with _in_place(paths.supervisor, orders.folder) as post:
        supervisor = Supervisor(post, [wanted], before, said, alone=True)
        _supervise(supervisor, time.sleep, said, lambda: None)
        supervisor.round()
        return next((each.code for each in supervisor.charges if each.code is not None), 4)


def say_beside(log: Path, words: str) -> None:
    """Append to a log whose time is a sign of life of somebody else's: it stays that."""
    before = None
    with contextlib.suppress(OSError):
        before = os.stat(log)
    append_words(log, words)
    if before is not None:
        with contextlib.suppress(OSError):
            os.utime(log, ns=(before.st_atime_ns, before.st_mtime_ns))


@contextlib.contextmanager
def _in_place(record: Path, folder: str) -> Iterator[Post]:
    """The supervisor's place, in which a signal of `outlast stop` that comes before or after the rounds ends nobody.

    None is ignored: whatever is begun from here would ignore it as well.
    """
    deaf = dict.fromkeys((signal.SIGUSR1, signal.SIGUSR2), lambda *_: None)
    with contextlib.closing(taken(record, folder)) as post, handling(deaf):
        yield post


def taken(record: Path, folder: str) -> Post:
    """The supervisor's place there.

    Raises:
        StudyBusy: Somebody has it: who, and what to do instead.
    """
    refuse_supervised(record, folder)
    post = Post(record)
    if not post.take():
        post.close()
        raise StudyBusy(busy_text("another process", folder))
    return post


def _wanted(study: str, plan: CampaignPlan, at: int) -> Wanted:
    planned, how = plan.planned[at], plan.how
    if planned.settings is None:
        return Wanted(study=study, folder=planned.folder, error=planned.error)
    orders = Orders(
        study=study,
        settings=settled(planned.settings),
        folder=planned.folder,
        accept_changes=how.accept_changes,
        warm_start=how.warm_start,
        sharing=sharing_in(plan.folder, plan.campaign, planned.member, plan.pool),
    )
    return Wanted(study=study, folder=planned.folder, orders=orders, fresh=how.fresh, resume=how.resume)


def _supervise(
    supervisor: Supervisor,
    wait: Callable[[float], None],
    say: Callable[[str, str], None],
    hung_up: Callable[[], None],
) -> None:
    """Round after round until everything is over, or was stopped. A handler only takes note."""
    look_for_cycles_again()
    heard: list[int] = []
    asked = gone = False
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    with handling(dict.fromkeys(numbers, lambda number, _frame: heard.append(number))):
        while not supervisor.is_over:
            supervisor.round(heard)
            if not heard:
                wait(_PAUSE)
            for number in _drained(heard):
                if number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
                    now = asked or number == signal.SIGUSR2
                    asked = True
                    say("", _ENDING if now else _STOPPING)
                    supervisor.stop(now=now, by_person=number != signal.SIGTERM)
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
