"""The trainings of `refit` and `evaluate` before they are run: laid out, and those that went wrong given another attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from outlast.config.settings import Settings
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.engine.care.retry import retry_trials
from outlast.engine.followup.child import Followup, Repetition, lay_out
from outlast.study.layout import StudyPaths


class Trainings(Struct, frozen=True):
    """What there is to run.

    Attributes:
        paths, settings: Of the follow-up, as `outlast.engine.launch.run` takes them.
        waiting: Whether any of those that are wanted has no good outcome yet.
        others: The search's trials that were begun before, are not done, and go on too.
    """

    paths: StudyPaths
    settings: Settings
    waiting: bool
    others: tuple[int, ...]


def trainings_of(
    followup: Followup, wanted: Sequence[Repetition], *, fresh: bool = False, say: Callable[[str], object] = print
) -> Trainings:
    """Let a follow-up have the trials that are wanted; nothing is run.

    Args:
        followup, wanted, fresh, say: See `outlast.engine.followup.child.lay_out`.

    Raises:
        OutlastError: As `lay_out`.
    """
    paths, settings = lay_out(followup, wanted, fresh=fresh, accept_changes=True, say=say)
    there = {(trial.of, trial.seed): trial for trial in followup.study.trials.values()}
    mine = [there[each.of, each.seed] for each in wanted]
    failed = [trial.number for trial in mine if trial.state.finished and trial.state is not TrialState.COMPLETE]
    if failed:
        retry_trials(str(paths.root), failed)
    others = {
        of for (of, _), trial in there.items() if of is not None and not trial.state.finished and trial not in mine
    }
    waiting = not all(trial.state is TrialState.COMPLETE for trial in mine)
    return Trainings(paths, settings, waiting, tuple(sorted(others)))


def are_complete(trials: Sequence[Trial], wanted: Sequence[Repetition]) -> bool:
    """Whether every training that is wanted has ended well."""
    return len(trials) == len(wanted) and all(trial.state is TrialState.COMPLETE for trial in trials)
