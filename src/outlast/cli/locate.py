"""From what a person typed to a study: a study file, a study folder, or nothing at all."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from outlast.core.file_names import StudyNames
from outlast.errors import StudyNotFound, UsageError
from outlast.study.layout import StudyPaths

if TYPE_CHECKING:
    from outlast.config.settings import Settings
    from outlast.study.campaign import Member

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
        return _existing(directory)
    if given == "":
        raise UsageError("there is nothing where a study's folder, file or name should be")
    if given is None:
        return _only_one(_known_studies())
    given = by_name(given)
    if os.path.isfile(given) and given.endswith(SUFFIXES):
        from outlast.config.load import load_study_file

        return _existing(study_of_file(given, load_study_file(given)))
    if is_study_folder(given):
        return given.rstrip("/")
    below = os.path.join("studies", given)
    return below if is_study_folder(below) else _existing(given)


def one_or_several(given: str | None, directory: str | None = None) -> tuple[str, bool]:
    """What a command is about that looks at several studies as well: a folder, and whether it is several that are meant, a
    campaign's or all below it.

    Args:
        given: As for `the_folder`, or a folder that studies lie below; nothing means all that are here.
        directory: ``--dir``.

    Raises:
        StudyNotFound: With what there is to choose from.
    """
    named = given if directory is None else directory
    if named is None:
        return _all_here()
    below = [os.path.join("studies", named)] if directory is None and named else []
    for folder in (named, *below):
        if is_study_folder(folder):
            break
        if os.path.isdir(folder) and _holds_studies(folder):
            return folder.rstrip("/") or folder, True
    return the_folder(given, directory), False


def _all_here() -> tuple[str, bool]:
    """The campaign or study in this very folder, the only one in ``studies/``, or all of them there."""
    if is_study_folder(os.curdir) or not _holds_studies("studies"):
        return (os.curdir, True) if is_campaign_folder(os.curdir) else (the_folder(None), False)
    from outlast.study.campaign import member_folders

    found = member_folders("studies")
    within = sorted({each.split(os.sep)[1] for each in found})
    if len(within) == 1 and is_campaign_folder(only := os.path.join("studies", within[0])):
        return only, True
    return ("studies", True) if len(found) > 1 else (the_folder(found[0]), False)


def _holds_studies(folder: str) -> bool:
    from outlast.study.campaign import member_folders

    return is_campaign_folder(folder) or bool(member_folders(folder))


def study_of_file(file: str, settings: Settings) -> str:
    """The folder of a study file's study: ``studies/NAME`` here, unless the study was begun from another working directory,
    beside its file or in a folder above that or this one.
    """
    here = os.path.join("studies", settings.name)
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
    below = os.path.join("studies", given)
    if is_study_folder(below) or is_campaign_folder(below):
        return below
    named = member_named(given)
    return given if named is None else os.path.normpath(os.path.join(named[0], named[1].folder))


def is_campaign_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a campaign has its record here."""
    from outlast.study.campaign import CampaignPaths

    return CampaignPaths.at(path).campaign.is_file()


def member_named(given: str) -> tuple[str, Member] | None:
    """The campaign's folder and the study of it that ``CAMPAIGN/NAME`` or ``NAME`` means.

    Raises:
        UsageError: Several campaigns here have a study of that name.
    """
    from outlast.study.campaign import read_campaign

    folder, name = os.path.split(given.rstrip("/"))
    places = [folder, os.path.join("studies", folder)] if folder else sorted(map(str, Path("studies").glob("*")))
    found = []
    for place in places:
        record = read_campaign(place)
        found += [(place, each) for each in record.members if each.study == name] if record is not None else []
    if len({os.path.realpath(os.path.join(place, each.folder)) for place, each in found}) > 1:
        cure = "  ".join(os.path.join(place, name) for place, _ in found)
        raise UsageError(f"several campaigns here have a study {name}: which one?", cure=cure)
    return found[0] if found else None


def within_a_study() -> bool:
    """Whether this working directory is a study folder; somebody's own ``trials/`` beside a study file makes none of it."""
    return os.path.isfile("study.yaml") and any(StudyNames(Path()).ledger.glob("*.jsonl"))


def study_or_trial(first: str | None, directory: str | None) -> tuple[str | None, int | None]:
    """The first word of ``logs`` and ``retry``: a study, or the number of a trial where there is one study only."""
    if first is None or not first.isdigit() or is_study_folder(first) or is_study_folder(f"studies/{first}"):
        return first, None
    return None, int(first)


def damaged_or_not(given: str | None, directory: str | None = None) -> str:
    """As `the_folder`, for `repair`: a folder whose ledger is gone is taken as well."""
    named = directory or given
    if named is not None:
        for folder in (named, os.path.join("studies", named)):
            if os.path.isdir(folder) and any(os.path.exists(os.path.join(folder, name)) for name in _REMAINS):
                return folder.rstrip("/")
    return the_folder(given, directory)


def complete_study(incomplete: str) -> list[str]:
    """For the shell: the studies here, by folder or by name; with none that fits, the shell completes files."""
    known = _known_studies()
    names = [os.path.basename(folder) for folder in known]
    return [word for word in (*known, *names) if word.startswith(incomplete)] if incomplete else known


def _existing(folder: str) -> str:
    if not is_study_folder(folder):
        raise StudyNotFound(f"no study in {folder}", cure=_suggestion(folder))
    return folder


def _known_studies() -> list[str]:
    here = Path("studies")
    found = [str(path) for path in sorted(here.iterdir()) if is_study_folder(path)] if here.is_dir() else []
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
    near = get_close_matches(folder, known, n=1) or get_close_matches(os.path.join("studies", folder), known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there is: {'  '.join(known)}" if known else "outlast run STUDY.yaml starts one"
