"""From what a person typed to a study: a study file, a study folder, or nothing at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from outlast.cli.targets.campaign_places import (
    campaign_of_file,
    is_campaign_folder,
    member_named,
    places_of,
    studies_here,
)
from outlast.core.file_names import StudyNames
from outlast.errors import StudyNotFound, UsageError
from outlast.study.layout import StudyPaths

if TYPE_CHECKING:
    from outlast.config.settings import Settings

#: How the names of study files end.
SUFFIXES = (".yaml", ".yml", ".json")
_REMAINS = (StudyNames.ledger.name, StudyNames.new_ledger.name, StudyNames.trials.name, StudyNames.index.name)


def is_study_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a study was begun in this folder, even if nothing but its trials is left."""
    from outlast.study.home import live_of

    paths = StudyPaths.at(live_of(path))
    return os.path.isdir(path) and (paths.exists or paths.has_orphans)


def the_folder(given: str | None, directory: str | None = None) -> str:
    """The study folder that a command is about; of a study on scratch the live one.

    Args:
        given: What stands on the command line: a folder, a study file (its ``studies/NAME`` is meant), a study's name, or
            nothing.
        directory: ``--dir``.

    Raises:
        StudyNotFound: With what there is to choose from.
        UsageError: Nothing was given and there are several.
    """
    from outlast.study.home import live_of

    return live_of(_named(given, directory))


def _named(given: str | None, directory: str | None) -> str:
    if directory is not None:
        return _existing(directory_meant(given, directory))
    if given == "":
        raise UsageError("there is nothing where a study's folder, file or name should be")
    if given is None:
        return _only_one(_known_studies())
    given = by_name(given)
    if os.path.isfile(given) and given.endswith(SUFFIXES):
        from outlast.config.load import load_study_file

        if (campaign := campaign_of_file(given)) is not None:
            return _existing(campaign)
        return _existing(study_of_file(given, load_study_file(given)))
    if is_study_folder(given):
        return given.rstrip("/")
    below = next(filter(is_study_folder, places_of(given)), None)
    return _existing(given) if below is None else below


def directory_meant(given: str | None, directory: str) -> str:
    """``--dir`` with its placeholders filled in, of the study file that is named or is here; of several studies,
    the folder above theirs."""
    if "{" not in directory:
        return directory
    from outlast.config.load import load_studies
    from outlast.config.placeholders import above_placeholders, folder_of

    file = given or "study.yaml"
    if not os.path.isfile(file):
        raise UsageError(f"--dir {directory}: nothing says what stands there", cure="name the study file as well")
    studies = load_studies(file)
    return folder_of(studies[0], directory) if len(studies) == 1 else above_placeholders(directory)


def study_of_file(file: str, settings: Settings) -> str:
    """The folder of a study file's study: ``studies/NAME`` here, unless the study was begun from another working directory,
    beside its file or in a folder above that or this one.
    """
    here = os.path.join(studies_here(), settings.name)
    if not is_study_folder(here):
        for above in (*Path(file).resolve().parents, *Path.cwd().parents):
            folder = above / "studies" / settings.name
            if is_study_folder(folder) and _runs_in(folder, settings.working_directory):
                return os.path.relpath(folder)
    return here


def _runs_in(folder: Path, working_directory: str) -> bool:
    """Whether a study's trainings run in this working directory: another file's study may be called the same."""
    from outlast.engine.record.recorded import recorded_working_directory
    from outlast.study.home import live_of

    recorded = recorded_working_directory(live_of(folder))
    return recorded is not None and os.path.realpath(recorded) == os.path.realpath(working_directory)


def by_name(given: str) -> str:
    """The folder of the study or campaign that is called so, unless there is a file or folder of that very name.

    A study's own copy of its study file (``studies/NAME/study.yaml``) means the study. A study of a campaign is named by that
    and its name (``studies/CAMPAIGN/NAME``, wherever it lies), or by its name alone where one campaign here has it.
    """
    folder, name = os.path.split(given)
    if name == "study.yaml" and (is_study_folder(folder) if folder else within_a_study()):
        return folder or "."
    if os.path.exists(given) or not given:
        return given
    for below in places_of(given):
        if is_study_folder(below) or is_campaign_folder(below):
            return below
    named = member_named(given)
    return given if named is None else os.path.normpath(os.path.join(named[0], named[1].folder))


def within_a_study() -> bool:
    """Whether this working directory is a study folder; somebody's own ``trials/`` beside a study file makes none of it."""
    return os.path.isfile("study.yaml") and any(StudyNames(Path()).ledger.glob("*.jsonl"))


def study_or_trial(first: str | None, directory: str | None) -> tuple[str | None, int | None]:
    """The first word of ``logs`` and ``retry``: a study, or the number of a trial where there is one study only."""
    if first is None or not first.isdigit() or is_study_folder(first) or any(map(is_study_folder, places_of(first))):
        return first, None
    return None, int(first)


def damaged_or_not(given: str | None, directory: str | None = None) -> str:
    """As `the_folder`, for `repair`: a folder whose ledger is gone is taken as well."""
    named = directory_meant(given, directory) if directory else given
    if named is not None:
        for folder in (named, *places_of(named)):
            if os.path.isdir(folder) and any(os.path.exists(os.path.join(folder, name)) for name in _REMAINS):
                return folder.rstrip("/")
    return the_folder(given, directory)


def complete_study(incomplete: str) -> list[str]:
    """For the shell: the studies here, by folder or by name; with none that fits, the shell completes files."""
    there = sorted(Path(studies_here()).glob("*"))
    known = [*_known_studies(), *(str(path) for path in there if is_campaign_folder(path))]
    names = [os.path.basename(folder) for folder in known]
    return [word for word in (*known, *names) if word.startswith(incomplete)] if incomplete else known


def _existing(folder: str) -> str:
    if not is_study_folder(folder):
        if is_campaign_folder(folder):
            from outlast.study.campaign import member_folders

            known = member_folders(folder)
            cure = "  ".join(known) if known else f"none was begun yet: outlast run {folder}"
            raise UsageError(f"{folder} is a campaign's: which of its studies?", cure=cure)
        raise StudyNotFound(f"no study in {folder}", cure=_suggestion(folder))
    return folder


def _known_studies() -> list[str]:
    from outlast._system.platforms import earlier_studies_folder
    from outlast.study.campaign import member_folders

    here = Path(studies_here())
    within = sorted(here.iterdir()) if here.is_dir() else []
    found = [str(path) for path in within if is_study_folder(path)]
    others = [each for path in within if is_campaign_folder(path) for each in member_folders(path)]
    found += [each for each in dict.fromkeys(others) if each not in found]
    if not found and (earlier := earlier_studies_folder()) is not None and os.path.isdir(earlier):
        found = [str(path) for path in sorted(Path(earlier).iterdir()) if is_study_folder(path)]
    return found or ([os.curdir] if is_study_folder(os.curdir) else [])


def _only_one(known: Sequence[str]) -> str:
    """The one study; earlier ones of the same name that ``--fresh`` set aside are not meant."""
    from outlast.study.campaign import is_set_aside

    found = [each for each in known if not is_set_aside(each, known)]
    if not found:
        raise StudyNotFound("no study here", cure="name a study folder, or start one: outlast run STUDY.yaml")
    if len(found) > 1:
        raise UsageError("several studies here: which one?", cure="  ".join(found))
    return found[0]


def _suggestion(folder: str) -> str:
    from difflib import get_close_matches

    known = _known_studies()
    near = get_close_matches(folder, known, n=1) or get_close_matches(os.path.join(studies_here(), folder), known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there is: {'  '.join(known)}" if known else "outlast run STUDY.yaml starts one"
