"""One command's work on one study: open it, coordinate it to its rest, hand it back in order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.plan import Limits, Verdict
from outlast.engine.attempts.code_snapshot import run_from
from outlast.engine.attempts.kept_attempts import kept_start
from outlast.engine.attempts.prepare import plugged_executor, slots_of, worker_start
from outlast.engine.coordinator.coordinator import Coordinator
from outlast.engine.coordinator.disk_guard import whenever_there_is_room
from outlast.engine.coordinator.listener import Listener
from outlast.engine.coordinator.round import Holding
from outlast.engine.coordinator.session_end import SessionEnd
from outlast.engine.hold.opening import Given, open_study
from outlast.engine.hold.terminal import stopping_at_signals
from outlast.executors.base import Executor
from outlast.executors.kept_workers import KeptExecutor
from outlast.executors.local import LocalExecutor
from outlast.executors.shared_slots import Sharing
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened


def run_study(
    paths: StudyPaths,
    settings: Settings,
    listener: Callable[[Opened, int], Listener],
    *,
    accept_changes: bool = False,
    say: Callable[[str], object] | None = None,
    limits: Limits | None = None,
    unattended: bool = False,
    given: Given | None = None,
    sharing: Sharing | None = None,
) -> tuple[Verdict, Study]:
    """Run a study here until it comes to rest.

    Args:
        listener: Made once the study is open, from what was opened and the number of slots.
        accept_changes: Go on under a new revision although the space, the metric or the command changed.
        say: Told when there is a silent holder to wait for.
        limits: Totals and policies instead of the study file's.
        unattended: Nobody is there to go on once a full disk has room: wait for it.
        given: See `open_study`.
        sharing: How it shares this machine's slots with other studies.

    Raises:
        OutlastError: Any of the tree; what runs goes on and is taken up by the next run.
    """

    ends = SessionEnd.of(settings.deadline)

    def once() -> tuple[Verdict, Study]:
        with ExitStack() as held:
            # What can never run here leaves no study behind: slots and executor come first.
            slots = held.enter_context(closing(slots_of(settings, sharing)))
            plugged = plugged_executor(paths, settings)
            opened = held.enter_context(
                open_study(
                    paths,
                    settings,
                    accept_changes=accept_changes,
                    say=say,
                    given=given,
                    slots=len(slots.local),
                    deadline=None if ends is None else ends.on_record,
                )
            )
            taken, told = run_from(paths, settings, opened.study.revisions)
            executor = _executor(paths, taken, slots.cpus_per_trial, opened.study) if plugged is None else plugged
            held.callback(executor.close)  # before the lease is given back: what it tidies up is ours until then
            hears = listener(opened, len(slots.local))
            executor.say = hears.said
            if slots.shared is not None and slots.shared.wake_fd is not None:
                executor.watch_fd(slots.shared.wake_fd)
            holding = Holding.UNATTENDED if unattended else Holding.WATCHED
            coordinator = Coordinator(
                paths, taken, opened, executor, hears, slots=slots, limits=limits, holding=holding,
                ends=ends,
            )  # fmt: skip
            hears.holding(coordinator.asked_here)
            coordinator.soon += [partial(hears.said, text) for text in (*opened.told, *told)]
            with stopping_at_signals(coordinator, executor, hears.said):
                verdict = coordinator.run()
            assert verdict is not None  # nobody steps down here
            return verdict, coordinator.study

    return whenever_there_is_room(paths, once, say or print) if unattended else once()


def _executor(paths: StudyPaths, settings: Settings, cpus_per_trial: int | None, study: Study) -> Executor:
    start = kept_start(paths, settings, cpus_per_trial, study)
    return LocalExecutor(worker_start(paths, settings, cpus_per_trial)) if start is None else KeptExecutor(start)
