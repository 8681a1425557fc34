"""What a command line means: the settings, the folder, and whether it can work at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

import click

from outlast.cli.dashes import without_dashes
from outlast.cli.invocation import Invocation
from outlast.cli.locate import by_name, is_study_folder, study_of_file, the_folder, within_a_study
from outlast.errors import StudyFileError, StudyNotFound, UsageError

if TYPE_CHECKING:
    from outlast.config.settings import Settings
    from outlast.core.finding import Finding
    from outlast.core.fold import Study

__all__ = [
    "default_study",
    "folder_of",
    "invocation_of",
    "metric_of",
    "refusal_at",
    "settings_of",
]


def settings_of(
    invocation: Invocation,
    study: Sequence[str],
    overrides: Sequence[str],
    metric: tuple[str, Literal["maximize", "minimize"]] | None,
    name: str | None,
    *,
    trials: int | None = None,
    parallel: int | None = None,
) -> Settings:
    """The settings that the command line means: a study file, a study folder, or a command with inline spaces."""
    flags = [] if trials is None else [f"budget.trials={trials}"]
    flags += [] if parallel is None else [f"parallel={parallel}"]
    if "" in study or ("--" in invocation.arguments and not invocation.command):
        raise UsageError("there is nothing where a study file or a command should be", cure="outlast run STUDY.yaml")
    if invocation.command:
        from outlast.config.inline import settings_from_command

        if study:
            fact = f"{study[0]} and a command behind -- exclude each other"
            raise UsageError(fact, cure="a study file has its own `command`; leave one of the two out")
        if overrides:
            raise UsageError("--set changes a study file; there is none", cure="leave it out, or write a study file")
        if metric is None:
            raise UsageError("a command needs its metric", cure="--maximize NAME or --minimize NAME")
        return settings_from_command(invocation.command, name=name, metric=metric, trials=trials, parallel=parallel)
    if (meant := without_dashes(invocation.before)) is not None:
        raise meant
    if len(study) > 1:
        raise UsageError(f"one study at a time; {len(study)} were given: {', '.join(study)}")
    file = by_name(study[0]) if study else default_study()
    if is_study_folder(file):
        from outlast.config.load import settings_from_resolved
        from outlast.engine.record.recorded import recorded_settings
        from outlast.study.home import live_of

        settings, recorded = recorded_settings(live_of(file))
        if study and os.path.isfile(study[0]):
            _refuse_an_edited_copy(study[0], file, recorded)
        _refuse_for_a_record(settings, metric, name)
        changes = [*overrides, *flags]
        if not changes:
            return settings
        from outlast.config.load import override_resolved

        return settings_from_resolved(override_resolved(settings.resolved, changes), settings.working_directory)
    from outlast.config.load import load_study_file

    return load_study_file(file, overrides=[*overrides, *flags], metric=metric, name=name)


def _refuse_an_edited_copy(file: str, folder: str, recorded: Study) -> None:
    """A study's own copy means the study as it is on record: what somebody wrote into it would be passed over in silence."""
    from outlast.config import yaml

    if recorded.revision is not None and yaml.read(file).data != recorded.revision.settings:
        raise UsageError(
            f"{file} is the study's own copy, and it was changed: it is written by Outlast and never read",
            cure=f"change your own study file, or: outlast run {folder} --set KEY=VALUE  (outlast repair {folder} restores it)",
        )


def _refuse_for_a_record(
    settings: Settings, metric: tuple[str, Literal["maximize", "minimize"]] | None, name: str | None
) -> None:
    """Flags that say what a new study is; a study that is there has its own."""
    if name is not None and name != settings.name:
        raise UsageError(f"--name: the study that is there is called {settings.name}", cure="leave it out")
    if metric is not None and [metric] != [(each.name, each.goal) for each in settings.metrics]:
        own = ", ".join(f"{each.goal} {each.name}" for each in settings.metrics)
        raise UsageError(
            f"--{metric[1]} {metric[0]}: the study that is there has its metric on record ({own})",
            cure=f"leave it out; or change it: --accept-changes --set metric.name={metric[0]} --set metric.goal={metric[1]}",
        )


def default_study() -> str:
    """What is meant where nothing is named: ``study.yaml`` here, or the only study."""
    if within_a_study():
        raise UsageError("this is a study's own folder, and its study.yaml is Outlast's copy", cure="outlast run .")
    for name in ("study.yaml", "sweep.yaml"):
        if os.path.isfile(name):
            return name
    try:
        return the_folder(None)
    except StudyNotFound:
        raise UsageError("no study file", cure="outlast run STUDY.yaml, or: outlast init -- python train.py") from None


def folder_of(settings: Settings, study: Sequence[str], directory: str | None) -> str:
    """The study folder: ``--dir``, the one that was named, or ``studies/NAME``, wherever that was begun."""
    if directory is not None:
        if not directory:
            raise UsageError("--dir: there is no folder without a name", cure="--dir FOLDER")
        return directory
    if study and is_study_folder(by_name(study[0])):
        return by_name(study[0]).rstrip("/")
    return study_of_file(study[0], settings) if study else os.path.join("studies", settings.name)


def invocation_of(context: click.Context) -> Invocation:
    """The command line as it was typed."""
    return context.obj if isinstance(context.obj, Invocation) else Invocation()


def metric_of(maximize: str | None, minimize: str | None) -> tuple[str, Literal["maximize", "minimize"]] | None:
    """What ``--maximize`` or ``--minimize`` says."""
    if maximize is not None and minimize is not None:
        raise UsageError("--maximize and --minimize exclude each other", cure="several objectives go into a study file")
    if maximize is not None:
        return maximize, "maximize"
    return None if minimize is None else (minimize, "minimize")


def refusal_at(file: str | None) -> Callable[[Finding], UsageError]:
    """What speaks against running is said at its place in the study file, where it has one."""
    return lambda finding: _refusal(finding, file)


def _refusal(finding: Finding, file: str | None) -> UsageError:
    from outlast.config import yaml

    document = yaml.read(file) if file is not None and os.path.isfile(file) else None
    if document is None or finding.about in ("folder", "checkpoints.dir"):
        return UsageError(finding.text, cure=finding.cure or _where_it_ran(finding.about, file))
    about, text = finding.about, finding.text
    if about == "files" and ": " in text:
        about, _, text = text.partition(": ")
    for place in ((about,), ("slurm", about)):
        if place in document.places:
            return document.error(place, text, finding.cure)
    return StudyFileError(finding.text, file=file, cure=finding.cure)


def _where_it_ran(about: str, file: str | None) -> str | None:
    """What helps where a study goes on by its record and its program is missing."""
    if file is None or not os.path.isdir(file) or about not in ("command", "files"):
        return None
    return (
        f"the trainings of {file} ran there, as seen from its folder: was it moved? Its study file says where they run: "
        f"outlast run STUDY.yaml --dir {file}"
    )
