"""`refit` and `evaluate` on the terminal: what is to be done and why, the run, what came of it, what to type next."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any

import click

from outlast.cli.live.watching import Watching
from outlast.cli.render.text import Facts, make_console, next_line, print_out
from outlast.config.settings import Settings
from outlast.core.records import Trial
from outlast.core.states import StudyState, TrialState
from outlast.engine.coordinator.seen_live import live_here
from outlast.engine.followup.child import Followup, Repetition, the_search
from outlast.engine.followup.evaluate import evaluation_command, is_answered, plan_evaluation, take_back
from outlast.engine.followup.export import export_model, place_of
from outlast.engine.followup.looks import evaluation_facts, said_of_look, times, write_evaluation
from outlast.engine.followup.refit import plan_refit, refuse_other, superseded, write_refit
from outlast.engine.followup.trainings import are_complete, trainings_of
from outlast.engine.launch import run
from outlast.errors import StorageError
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened


def run_refit(
    folder: str, given: Settings | None, typed: str, *, trial: int | None, seeds: int | None, fresh: bool, here: bool
) -> int:
    """Train the best once more. Returns the exit code.

    Args:
        folder: The search's.
        given: Its study file, where one was named; by default what is on record.
        typed: What the next command is given.
        trial, seeds, fresh: The flags.
        here: Whether it is run here, and not only laid out.
    """
    search = the_search(folder)
    plan = plan_refit(search, (given or search.settings).refit, trial=trial, seeds=seeds)
    if not fresh:
        refuse_other(plan, plan.followup.study)
    epochs = 0 if plan.length is None else plan.length.epochs
    length = f", for {epochs} epoch{'' if epochs == 1 else 's'}" if epochs else ""
    _tell([("refit", f"trial {plan.chosen.trial}, {plan.chosen.why}{length}"), *(("", line) for line in plan.told)])
    code = _run(plan.followup, plan.wanted, fresh=fresh, here=here)
    if code is None:
        return 0
    study = plan.followup.study
    facts = write_refit(plan, study)
    trials = plan.trials(study)
    if not are_complete(trials, plan.wanted):
        return _unfinished(trials, plan.followup.folder, f"outlast refit {typed}{_flags(trial, seeds)}", code)
    models = [
        training["model"] and os.path.normpath(f"{plan.followup.folder}/{training['model']}")
        for training in facts["trainings"]
    ]
    _tell([("model", model or "none: the training left no checkpoint in ${checkpoint_dir}") for model in models])
    tested = evaluation_command(search.settings, (given or search.settings).evaluate) is not None
    make_console().print(next_line(f"outlast {'evaluate' if tested and all(models) else 'export'} {typed}"))
    return 0


def run_export(folder: str, given: Settings | None, *, output: str | None, archive: bool, trial: int | None) -> None:
    """Put the model together.

    Args:
        folder: The search's.
        given: Its study file, where one was named; by default what is on record.
        output, archive, trial: The flags.

    Raises:
        StorageError: The disk refused.
    """
    search = the_search(folder)
    place = place_of(search, output, archive)
    try:
        done = export_model(search, (given or search.settings).evaluate, place=place, trial=trial)
    except OSError as error:
        raise StorageError.of(error) from error
    place = os.path.relpath(done.place)
    _tell([("current" if done.current else "exported", place), *(("", line) for line in done.told)])


def run_evaluation(
    folder: str, given: Settings | None, typed: str, *, trial: int | None, again: bool, here: bool, as_json: bool
) -> int:
    """Score the model on the test set. Returns the exit code.

    Args:
        folder: The search's.
        given: Its study file, where one was named; by default what is on record.
        typed: What the next command is given.
        trial, again, as_json: The flags.
        here: Whether it is run here, and not only laid out.
    """
    search = the_search(folder)
    followup = Followup(search, "evaluate")
    if not is_answered(search, trial, again=again, told_again=as_json):
        plan = plan_evaluation(search, (given or search.settings).evaluate, trial=trial, again=again)
        take_back(plan)
        with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
            _tell([("note", line) for line in (superseded(search, plan.wanted[0].of) if trial is None else ())])
            code = _run(plan.followup, plan.wanted, here=here)
        if code is None:
            if as_json:
                click.echo(json.dumps(evaluation_facts(followup.study)))
            return 0
        trials = plan.trials(plan.followup.study)
        if not are_complete(trials, plan.wanted):
            return _unfinished(trials, plan.followup.folder, f"outlast evaluate {typed}{_flags(trial)}", code)
    facts = evaluation_facts(followup.study)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        _tell_looks(facts)
        make_console().print(next_line(f"outlast export {typed}{_flags(trial)}"))
    write_evaluation(followup)  # last: what was not told yet is told by the same command
    return 0


def _tell_looks(facts: Mapping[str, Any]) -> None:
    """What the last look has seen, and how many there were."""
    *before, last = [(look, said_of_look(look)) for look in facts["looks"]]
    many = len(last[0]["models"])
    mean = "" if many == 1 else f", the mean of {many} models"
    looked = f"looked at {times(facts['looked'])}{':' if before else ''}"
    _tell([("test set", last[1] + mean), ("", looked), *(("", said) for _, said in [*before, last] if before)])


def _flags(trial: int | None, seeds: int | None = None) -> str:
    """What was meant, for a command that is to mean the same."""
    return "".join(f" --{name} {n}" for name, n in (("trial", trial), ("seeds", seeds)) if n is not None)


def _tell(rows: Sequence[tuple[str, str]]) -> None:
    """Labelled lines, wrapped under themselves."""
    make_console().print(Facts(rows, label_width=8))


def _run(followup: Followup, wanted: Sequence[Repetition], *, fresh: bool = False, here: bool = True) -> int | None:
    """Let the follow-up have its trials and run what has no good outcome yet.

    Returns:
        The exit code of that; ``None`` where it is not to be run here, and there is something to run.
    """
    found = trainings_of(followup, wanted, fresh=fresh, say=click.echo)
    if not found.waiting:
        return 0
    if found.others:
        _tell([("also", f"trial {of}: it was begun before, is not done, and goes on too") for of in found.others])
    if not here:
        command = "run" if found.settings.slurm is None else "submit"
        make_console().print(next_line(f"outlast {command} {followup.folder}"))
        return None
    return run_quietly(found.paths, found.settings)


def run_quietly(paths: StudyPaths, settings: Settings) -> int:
    """Run a follow-up to its rest: the live view and a line for each training, without what is said of a search.

    Returns:
        0 done, 3 halted, 4 there is work left.
    """
    view = ExitStack()
    folder = os.path.relpath(paths.root)

    def listener(opened: Opened, slots: int) -> Watching:
        live = live_here(opened, slots)
        return view.enter_context(closing(Watching(settings, live, folder)))

    with view:
        _, study = run(
            paths, settings, listener, tell=lambda *_: view.close(), accept_changes=True, say=print_out, pages=False
        )
    state = StudyState.STOPPED if study.ended is None else StudyState(study.ended.state)
    return {StudyState.DONE: 0, StudyState.HALTED: 3}.get(state, 4)


def _unfinished(trials: Sequence[Trial], folder: str, command: str, code: int) -> int:
    failed = next((trial for trial in trials if trial.state.finished and trial.state is not TrialState.COMPLETE), None)
    if failed is not None:
        cure = f"outlast logs {folder} {failed.number} shows what it printed; mend that, then: {command}"
        make_console(stderr=True).print(Facts([("failed", failed.reason), ("", cure)], label_width=8))
        return 3
    return code or 4
