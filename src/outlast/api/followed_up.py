"""What comes after a search, from Python: the best again with fresh seeds, and the model put together.

An interrupt means what it means during a search (`outlast.api.interrupts`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec.structs import replace

from outlast.api.cell import CellOutput
from outlast.api.described import calls_in, with_calls
from outlast.api.interrupts import Interrupts
from outlast.api.said_lines import SaidLines
from outlast.api.searching import drawn_to_the_end, view
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.plan import Verdict
from outlast.core.records import Trial
from outlast.core.states import TrialState
from outlast.engine.coordinator.listener import Listener
from outlast.engine.followup.child import Followup, Repetition, the_search
from outlast.engine.followup.confirmation_document import document
from outlast.engine.followup.trainings import are_complete, trainings_of
from outlast.engine.launch import run
from outlast.engine.record.recorded import study_paths
from outlast.errors import UsageError
from outlast.study.home import live_of
from outlast.study.opened import Opened


def confirm(
    folder: str, *, top: int | None, seeds: int | None, race: bool | None, fresh: bool, quiet: bool
) -> dict[str, Any]:
    """Confirm the search in a folder; again goes on with the rest. Returns what ``confirmation.json`` says.

    Args:
        folder: Where it runs, or ran.
        top, seeds, race: Instead of what its study file says.
        fresh: Set earlier repetitions aside.
        quiet: Show nothing.
    """
    from outlast.engine.followup.confirm import confirm as run_confirm

    search = the_search(folder)
    usual = search.settings.confirm
    wanted = replace(usual, top=top or usual.top, seeds=seeds or usual.seeds, race=usual.race if race is None else race)
    followup = Followup(search, "confirm")
    views: list[SaidLines] = []
    output, interrupts = CellOutput(), Interrupts()  # one for all blocks

    def listener(opened: Opened, slots: int) -> Listener:
        settings = followup.settings(len(opened.study.trials))
        shown = view(
            settings, followup.folder, study_paths(live_of(followup.folder), settings), quiet=quiet, output=output
        )
        shown.at_round = interrupts.tell_missed
        interrupts.opened()
        shown.begun(opened, slots, "")
        views.append(shown)
        return shown

    def tell(verdict: Verdict, study: Study) -> None:
        views[-1].ended(verdict, study)

    def say(text: str) -> None:
        if views:
            views[-1].said(text)
        else:
            _say(text, quiet)

    try:
        with interrupts.handled(), _in_words_of_python():
            now = run_confirm(search, wanted, listener, tell=tell, fresh=fresh, say=say)
    except BaseException:
        for shown in views[-1:]:
            shown.broke()
        raise
    return dict(plain_json(document(now)))


def refit(folder: str, *, trial: int | None, seeds: int | None, fresh: bool, quiet: bool) -> dict[str, Any]:
    """Train the best of the search in a folder once more. Returns what ``refit.json`` says.

    Raises:
        UsageError: A training went wrong, or was stopped.
    """
    from outlast.engine.followup.refit import plan_refit, refuse_other, write_refit

    with _in_words_of_python():
        search = the_search(folder)
        plan = plan_refit(search, search.settings.refit, trial=trial, seeds=seeds)
        if not fresh:
            refuse_other(plan, plan.followup.study)
        for line in (f"refit: trial {plan.chosen.trial}, {plan.chosen.why}", *plan.told):
            _say(line, quiet)
        _run(plan.followup, plan.wanted, fresh=fresh, quiet=quiet)
        study = plan.followup.study
        facts = write_refit(plan, study)
        _refuse_unfinished(plan.trials(study), plan.wanted, plan.followup.folder)
        return facts


def evaluate(folder: str, *, trial: int | None, again: bool, quiet: bool) -> dict[str, Any]:
    """Score the model of the search in a folder on the test set; each look counts. Returns what ``evaluation.json`` says.

    Raises:
        UsageError: The scoring went wrong, or was stopped.
    """
    from outlast.engine.followup.evaluate import is_answered, plan_evaluation, take_back
    from outlast.engine.followup.looks import write_evaluation
    from outlast.engine.followup.refit import superseded

    with _in_words_of_python():
        search = the_search(folder)
        if not is_answered(search, trial, again=again, told_again=True):
            plan = plan_evaluation(search, search.settings.evaluate, trial=trial, again=again)
            take_back(plan)
            for line in superseded(search, plan.wanted[0].of) if trial is None else ():
                _say(line, quiet)
            _run(plan.followup, plan.wanted, quiet=quiet)
            _refuse_unfinished(plan.trials(plan.followup.study), plan.wanted, plan.followup.folder)
        return write_evaluation(Followup(search, "evaluate"))


def _run(followup: Followup, wanted: Sequence[Repetition], *, fresh: bool = False, quiet: bool) -> None:
    """Run what of a follow-up has no good outcome yet."""
    found = trainings_of(followup, wanted, fresh=fresh, say=lambda text: _say(text, quiet))
    if not found.waiting:
        return
    for of in found.others:
        _say(f"trial {of} goes on too: it was begun before, and is not done", quiet)
    interrupts = Interrupts()
    shown = view(found.settings, os.path.relpath(found.paths.root), found.paths, quiet=quiet)

    shown.at_round = interrupts.tell_missed

    def listener(opened: Opened, slots: int) -> Listener:
        interrupts.opened()
        shown.begun(opened, slots, "")
        return shown

    with interrupts.handled(), drawn_to_the_end(shown):
        run(found.paths, found.settings, listener, tell=shown.ended, accept_changes=True, say=shown.said, pages=False)


def _refuse_unfinished(trials: Sequence[Trial], wanted: Sequence[Repetition], folder: str) -> None:
    for trial in trials:
        if trial.state.finished and trial.state is not TrialState.COMPLETE:
            raise UsageError(
                f"trial {trial.number} in {folder}: {trial.reason}", cure=f"outlast logs {folder} {trial.number}"
            )
    if not are_complete(trials, wanted):
        raise UsageError(f"stopped before it was done: {folder}", cure="the same call goes on")


def _say(text: str, quiet: bool) -> None:
    if not quiet:
        print(calls_in(text), flush=True)


@contextmanager
def _in_words_of_python() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise with_calls(error) from None


def export(folder: str, output: str | None, *, trial: int | None, quiet: bool) -> str:
    """Put the model of the search in a folder together. Returns where it lies."""
    from outlast.engine.followup.export import export_model, place_of

    with _in_words_of_python():
        search = the_search(folder)
        done = export_model(search, search.settings.evaluate, place=place_of(search, output, False), trial=trial)
    for line in done.told:
        _say(line, quiet)
    return os.path.relpath(done.place)
