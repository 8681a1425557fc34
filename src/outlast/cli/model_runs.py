"""`refit` and `evaluate` on the terminal: what is to be done and why, the run, what came of it, what to type next."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from contextlib import ExitStack, closing

import click

from outlast.cli.text import make_console, next_line
from outlast.cli.watching import Watching
from outlast.config.settings import Settings
from outlast.core.records import Trial
from outlast.core.states import StudyState, TrialState
from outlast.engine.care.retry import retry_trials
from outlast.engine.followup.child import Followup, Repetition, lay_out, the_search
from outlast.engine.followup.evaluate import (
    Evaluation,
    evaluation_facts,
    plan_evaluation,
    said_of,
    take_back,
    write_evaluation,
)
from outlast.engine.followup.export import export_model, place_of
from outlast.engine.followup.refit import plan_refit, refuse_other, write_refit
from outlast.engine.launch import run
from outlast.errors import StorageError
from outlast.monitor.snapshot import LiveFacts
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened


def run_refit(
    folder: str, given: Settings | None, typed: str, *, trial: int | None, seeds: int | None, fresh: bool
) -> int:
    """Train the best once more. Returns the exit code.

    Args:
        folder: The search's.
        given: Its study file, where one was named; by default what is on record.
        typed: What the next command is given.
        trial, seeds, fresh: The flags.
    """
    search = the_search(folder)
    plan = plan_refit(search, (given or search.settings).refit, trial=trial, seeds=seeds)
    if not fresh:
        refuse_other(plan, plan.followup.study)
    length = "" if plan.length is None else f", for {plan.length.epochs} epochs"
    click.echo(f"refit     trial {plan.chosen.trial}, {plan.chosen.why}{length}")
    for line in plan.told:
        click.echo(f"          {line}")
    code = _run(plan.followup, plan.wanted, fresh=fresh)
    study = plan.followup.study
    facts = write_refit(plan, study)
    trials = plan.trials(study)
    if not _complete(trials, plan.wanted):
        return _unfinished(trials, plan.followup.folder, f"outlast refit {typed}", code)
    for training in facts["trainings"]:
        place = training["model"] and f"{plan.followup.folder}/{training['model']}"
        click.echo(f"model     {place or 'none: the training left no checkpoint in ${checkpoint_dir}'}")
    make_console().print(next_line(f"outlast {'evaluate' if facts['trainings'][0]['model'] else 'export'} {typed}"))
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
    click.echo(f"{'current' if done.current else 'exported'}  {os.path.relpath(done.place)}")
    for line in done.told:
        click.echo(f"          {line}")


def run_evaluation(
    folder: str, given: Settings | None, typed: str, *, trial: int | None, again: bool, as_json: bool
) -> int:
    """Score the model on the test set. Returns the exit code.

    Args:
        folder: The search's.
        given: Its study file, where one was named; by default what is on record.
        typed: What the next command is given.
        trial, again, as_json: The flags.
    """
    search = the_search(folder)
    followup = Followup(search, "evaluate")
    if as_json and not again and any(look["whole"] for look in evaluation_facts(followup.study)["looks"]):
        click.echo(json.dumps(write_evaluation(followup)))
        return 0
    plan: Evaluation = plan_evaluation(search, (given or search.settings).evaluate, trial=trial, again=again)
    take_back(plan)
    with contextlib.redirect_stdout(None) if as_json else contextlib.nullcontext():
        code = _run(plan.followup, plan.wanted)
    study = plan.followup.study
    trials = plan.trials(study)
    facts = write_evaluation(plan.followup)
    if as_json:
        click.echo(json.dumps(facts))
    if not _complete(trials, plan.wanted):
        return _unfinished(trials, plan.followup.folder, f"outlast evaluate {typed}", code)
    if not as_json:
        click.echo(f"test set  looked at {said_of(study)}")
        make_console().print(next_line(f"outlast export {typed}"))
    return 0


def _run(followup: Followup, wanted: Sequence[Repetition], *, fresh: bool = False) -> int:
    """Let the follow-up have its trials and run what has no good outcome yet. Returns the exit code of that."""
    paths, settings = lay_out(followup, wanted, fresh=fresh, accept_changes=True, say=click.echo)
    there = {(trial.of, trial.seed): trial for trial in followup.study.trials.values()}
    mine = [there[each.of, each.seed] for each in wanted]
    failed = [trial.number for trial in mine if trial.state.finished and trial.state is not TrialState.COMPLETE]
    if failed:
        retry_trials(str(paths.root), failed)
    if all(trial.state is TrialState.COMPLETE for trial in mine):
        return 0
    return run_quietly(paths, settings)


def run_quietly(paths: StudyPaths, settings: Settings) -> int:
    """Run a follow-up to its rest: the live view and a line for each training, without what is said of a search.

    Returns:
        0 done, 3 halted, 4 there is work left.
    """
    console, view = make_console(), ExitStack()
    folder = os.path.relpath(paths.root)

    def listener(opened: Opened, slots: int) -> Watching:
        started = opened.study.last_run.at if opened.study.last_run else ""
        live = LiveFacts(os.uname().nodename, os.getpid(), started, slots)
        return view.enter_context(closing(Watching(console, settings, live, folder)))

    with view:
        _, study = run(
            paths, settings, listener, tell=lambda *_: view.close(), accept_changes=True, say=console.print, kept=False
        )
    state = StudyState.STOPPED if study.ended is None else StudyState(study.ended.state)
    return {StudyState.DONE: 0, StudyState.HALTED: 3}.get(state, 4)


def _complete(trials: Sequence[Trial], wanted: Sequence[Repetition]) -> bool:
    return len(trials) == len(wanted) and all(trial.state is TrialState.COMPLETE for trial in trials)


def _unfinished(trials: Sequence[Trial], folder: str, command: str, code: int) -> int:
    failed = next((trial for trial in trials if trial.state.finished and trial.state is not TrialState.COMPLETE), None)
    if failed is not None:
        click.echo(f"failed    {failed.reason}", err=True)
        click.echo(
            f"          outlast logs {folder} {failed.number} shows what it printed; mend that, then: {command}",
            err=True,
        )
        return 3
    return code or 4
