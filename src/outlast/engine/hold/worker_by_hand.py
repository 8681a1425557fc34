"""`outlast worker` by hand: cards of this machine, and a study that is set going if it rests."""

from __future__ import annotations

from collections.abc import Callable

from outlast.core.states import StudyState
from outlast.engine.hold.opening import open_study
from outlast.engine.hold.worker import Worker
from outlast.engine.hold.worker_cards import WorkerCards
from outlast.engine.hold.workplace import Workplace
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder, holder_is_live


def by_hand(folder: str, *, parallel: int, most: int | None, say: Callable[[str], object]) -> int:
    """Work for a study until there is nothing more to do.

    Returns:
        The exit code: 0 nothing is left to do, or somebody else goes on; 3 the study was halted; 4 there is work left.

    Raises:
        UsageError: A trial needs more GPUs than there are here.
    """
    settings, study = recorded_settings(folder)
    paths = study_paths(folder, settings)
    cards = WorkerCards.of(settings, say)
    helping = _somebody_runs_it(paths)
    if helping:
        say("helping the live run; Ctrl-C ends this worker only")
    elif study.ended is not None or study.last_run is None:
        with open_study(paths, settings):  # a person wants it to go on
            pass
    Worker(Workplace(paths, say, parallel, most, cards=cards)).run()
    _, study = recorded_settings(folder)
    if study.ended is None:
        return 0 if helping and _somebody_runs_it(paths) else 4
    return {StudyState.DONE.value: 0, StudyState.HALTED.value: 3}.get(study.ended.state, 4)


def _somebody_runs_it(paths: StudyPaths) -> bool:
    """Whether somebody holds the study for longer than a turn."""
    return holder_is_live(paths.ledger) is not False and not current_holder(paths.ledger).get("turn")
