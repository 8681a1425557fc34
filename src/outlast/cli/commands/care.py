"""Commands that take care of a study: retry, import, repair."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from outlast.cli.help import Argument, Command
from outlast.cli.options import WholeNumber, complete_files, dir_option, json_option, study_argument
from outlast.cli.targets.locate import damaged_or_not, study_or_trial
from outlast.cli.targets.locate_several import studies_named
from outlast.errors import UsageError

if TYPE_CHECKING:
    from outlast.study.recovery import Problem

_MOST_ALIKE = 5  # a damaged index differs in every one of ten thousand trials


@click.command(cls=Command)
@study_argument
@click.argument(
    "trial", cls=Argument, type=WholeNumber(0), nargs=-1, help="Their numbers.  [default: every failed one]"
)
@dir_option
@click.option("--cause", metavar="CAUSE", help="Only trials that failed for this cause, such as crash.")
@click.option("--from-scratch", is_flag=True, help="Without their checkpoints.")
@click.pass_context
def retry(
    context: click.Context,
    study: str | None,
    trial: tuple[int, ...],
    directory: str | None,
    cause: str | None,
    from_scratch: bool,
) -> None:
    """Give finished trials new attempts under their old numbers. Without numbers: all failed, of a campaign those of each study.

    Example:
        outlast retry studies/digits --cause crash
        outlast retry studies/digits 7 12
        outlast retry 7 --from-scratch
    """
    from outlast.core.states import Cause

    if cause is not None and cause not in {c.value for c in Cause}:
        raise UsageError(f"unknown cause {cause!r}", cure=f"one of: {', '.join(c.value for c in Cause)}")
    study, first = study_or_trial(study, directory)
    trials = [*([] if first is None else [first]), *trial]
    folders, campaign = studies_named(study, directory)
    if campaign is None:
        _retry(folders[0], trials, cause=cause, from_scratch=from_scratch)
        return
    if trials:
        raise UsageError(f"trial {trials[0]} of which study?", cure="  ".join(folders))
    from outlast.cli.each_study import do_each

    context.exit(do_each(folders, lambda folder: _retry(folder, (), cause=cause, from_scratch=from_scratch)))


def _retry(folder: str, trials: Sequence[int], *, cause: str | None, from_scratch: bool) -> None:
    from outlast.engine.care.retry import retry_trials
    from outlast.engine.record.recorded import recorded_settings

    numbers, live = retry_trials(folder, trials or None, cause=cause, from_scratch=from_scratch)
    if not numbers:
        click.echo("no trial to retry")
        return
    listed = ", ".join(map(str, numbers))
    click.echo(
        f"1 trial gets a new attempt: {listed}"
        if len(numbers) == 1
        else f"{len(numbers)} trials get new attempts: {listed}"
    )
    again = "submit" if recorded_settings(folder)[1].jobs else "run"
    click.echo(
        f"the running search takes them in; outlast status {folder}" if live else f"go on: outlast {again} {folder}"
    )


def _move(storage: str, target: str, study_name: str | None) -> None:
    from outlast.config.store_address import masked_address
    from outlast.optimizer.stores.moving import move_studies

    moved, warnings = move_studies(storage, target, study_name)
    where = masked_address(target)
    for each in moved:
        count = f"{each.trials} trial{'s' if each.trials != 1 else ''}"
        click.echo(
            f"{each.name}: {count} copied to {where}, and compared"
            if each.copied
            else f"{each.name}: there already, the same"
        )
    for line in warnings:
        click.echo(f"        {line}")


@click.command("import", cls=Command)
@click.argument(
    "storage",
    cls=Argument,
    help="Optuna's: a database or journal file, sqlite:///path, any storage URL.  [required]",
    shell_complete=complete_files,
)
@click.argument(
    "file", cls=Argument, required=False, help="Study file whose search goes on from it.", shell_complete=complete_files
)
@click.option("--study-name", metavar="NAME", help="Which study, where the storage holds several.")
@dir_option
@click.option(
    "--to", "target", metavar="STORE", help="Copy its studies to another Optuna storage instead, with everything kept."
)
def import_(storage: str, file: str | None, study_name: str | None, directory: str | None, target: str | None) -> None:
    """Begin a study from an old Optuna storage: its trials with their states, parameters and curves.

    Trials that were running there when their process died are tried again first, then what was enqueued there, its values
    completed by the sampler. What the study file's search space does not hold is said, and stays as failed rows.

    Example:
        outlast import sqlite:///old/optuna_study.db study.yaml
        outlast import journal.log --study-name resnet --dir studies/resnet
        outlast import old.db --to 'postgresql://me:${PGPASSWORD}@host/studies'
    """
    if target is not None:
        if file is not None or directory is not None:
            raise UsageError(
                "--to copies from storage to storage: there is no study folder", cure="leave one of them out"
            )
        _move(storage, target, study_name)
        return
    from outlast.engine.care.import_study import import_study

    imported = import_study(storage, file, study_name=study_name, directory=directory)
    folder, listed = imported.folder, ", ".join(f"{number} {state}" for state, number in imported.counts.items())
    click.echo(f"imported into {folder}: {listed or 'no trials'}")
    for line in imported.told:
        click.echo(f"        {line}")
    click.echo(f"look:   outlast show {folder}")
    if file is not None:
        click.echo(f"go on:  outlast run {file}")
    else:
        click.echo(
            "go on:  say once how to train, and what of:\n"
            f"        outlast run {folder} --trials N --accept-changes --set 'command=python train.py ${{args}}'"
        )


@click.command(cls=Command)
@study_argument
@dir_option
@click.option("--check", is_flag=True, help="Only say what is wrong; change nothing. Exit code 1 if anything is.")
@json_option
def repair(study: str | None, directory: str | None, check: bool, as_json: bool) -> None:
    """Look through a study folder and mend it: ledger, index, result files, lost trial folders.

    Example:
        outlast repair studies/digits --check
        outlast repair studies/digits
    """
    from msgspec.structs import asdict

    from outlast.engine.care.repair import repair_study

    began = time.monotonic()
    problems = repair_study(damaged_or_not(study, directory), check_only=check)
    try:
        if as_json:
            click.echo(json.dumps([asdict(problem) for problem in problems]))
        elif not problems:
            click.echo(f"nothing is wrong ({time.monotonic() - began:.1f} s)")
        else:
            _tell(problems)
            changed = "nothing was changed: outlast repair mends it"
            click.echo(changed if check else "mended; what was replaced is set aside in the folder")
    except OSError:  # the answer is the exit code, whether or not anybody reads the words
        if not (check and problems):
            raise
    if check and problems:
        click.get_current_context().exit(1)


def _tell(problems: Sequence[Problem]) -> None:
    """Print the problems by what they are about and what mends them, in their order."""
    found: dict[tuple[str, str], list[Problem]] = {}
    for problem in problems:
        found.setdefault((problem.about, problem.cure), []).append(problem)
    for (about, cure), alike in found.items():
        for problem in alike[:_MOST_ALIKE]:
            click.echo(f"{about}: {problem.text}")
        if len(alike) > _MOST_ALIKE:
            click.echo(f"{about}: and {len(alike) - _MOST_ALIKE} more of this kind (all of them: --json)")
        click.echo(f"    {cure}")
