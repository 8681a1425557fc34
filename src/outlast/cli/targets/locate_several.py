"""From what a person typed to several studies: a campaign's, all below a folder, all that are here."""

from __future__ import annotations

import os
from glob import glob

from outlast.cli.targets.campaign_places import campaign_of_file, is_campaign_folder, studies_here
from outlast.cli.targets.locate import SUFFIXES, by_name, directory_meant, is_study_folder, the_folder
from outlast.errors import StudyNotFound


def studies_named(given: str | None, directory: str | None = None) -> tuple[list[str], str | None]:
    """The study folders that a command is about which does the same to each, and the folder of their campaign, if that is meant.

    A campaign is named by its folder, its name or its file, or by nothing where there is nothing else here. Its studies that
    were begun are meant. Paths of studies on scratch are those of their live folders, as of `the_folder`.

    Raises:
        StudyNotFound: With what there is to choose from; or no study of the campaign was begun.
        UsageError: Nothing was given, and there are several which are no campaign's.
    """
    from outlast.study.campaign import member_folders
    from outlast.study.home import live_of

    named = _meant(given) if directory is None else directory_meant(given, directory)
    folder = only_campaign() if named is None else named
    if folder is None or is_study_folder(folder) or not (is_campaign_folder(folder) or _holds_directly(folder)):
        return [the_folder(given, directory)], None
    found = [live_of(each) for each in member_folders(folder)]
    if not found:
        raise StudyNotFound(f"no study of {folder} was begun", cure=f"outlast run {folder}")
    return found, folder


def _meant(given: str | None) -> str | None:
    """The folder that a word stands for where it is a campaign's file or name; otherwise the word."""
    named = by_name(given) if given else given
    return campaign_of_file(named) or named if named and named.endswith(SUFFIXES) and os.path.isfile(named) else named


def only_campaign() -> str | None:
    """The campaign in this very folder, or the only thing in ``studies/``."""
    folder, several = _all_here() if is_campaign_folder(os.curdir) or os.path.isdir(studies_here()) else ("", False)
    return folder if several and is_campaign_folder(folder) else None


def _holds_directly(folder: str) -> bool:
    from outlast.study.campaign import member_folders

    return os.path.isdir(folder) and any(os.path.dirname(each) == folder.rstrip("/") for each in member_folders(folder))


def one_or_several(given: str | None, directory: str | None = None) -> tuple[str, bool]:
    """What a command is about that looks at several studies as well: a folder, and whether it is several that are meant, a
    campaign's or all below it.

    Args:
        given: As for `the_folder`, or a folder that studies lie below; nothing means all that are here.
        directory: ``--dir``.

    Raises:
        StudyNotFound: With what there is to choose from.
    """
    named = _meant(given) if directory is None else directory_meant(given, directory)
    if named is None:
        return _all_here()
    below = [os.path.join(studies_here(), named)] if directory is None and named else []
    for folder in (named, *below):
        if is_study_folder(folder):
            break
        if os.path.isdir(folder) and _holds_studies(folder):
            return folder.rstrip("/") or folder, True
    return the_folder(given, directory), False


def _all_here() -> tuple[str, bool]:
    """The campaign or study in this very folder, the only one in ``studies/``, or all of them there."""
    within = studies_here()
    if is_study_folder(os.curdir) or not _holds_studies(within):
        return (os.curdir, True) if is_campaign_folder(os.curdir) else (the_folder(None), False)
    from outlast.study.campaign import member_folders

    found = member_folders(within)
    campaigns = [each for each in sorted(glob(os.path.join(within, "*"))) if is_campaign_folder(each)]
    if len(campaigns) == 1 and {*map(os.path.realpath, found)} <= {
        *map(os.path.realpath, member_folders(campaigns[0]))
    }:
        return campaigns[0], True
    return (within, True) if len(found) > 1 else (the_folder(found[0]), False)


def _holds_studies(folder: str) -> bool:
    from outlast.study.campaign import member_folders

    return is_campaign_folder(folder) or bool(member_folders(folder))
