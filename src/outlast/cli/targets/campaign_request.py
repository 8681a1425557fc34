"""Which studies a command line means: study files, a campaign file, a study file with ``matrix``, a campaign's folder."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace
from msgspec.structs import replace as changed

from outlast.cli.targets.campaign_command import request_of, words_on_record
from outlast.cli.targets.campaign_places import member_named, studies_here
from outlast.cli.targets.locate import by_name, is_study_folder, study_of_file
from outlast.config import native, yaml
from outlast.config.campaign_file import CampaignFile, load_search, makes_a_campaign, studies_in
from outlast.config.campaign_members import CampaignStudy
from outlast.config.placeholders import above_placeholders, folder_of
from outlast.engine.campaign.planned import CampaignPlan, Planned, aimed, limit_of
from outlast.errors import OutlastError, StudyNotFound, UsageError
from outlast.study.campaign import Campaign, Member, member_folders, member_on_record, read_campaign

if TYPE_CHECKING:
    from outlast.cli.targets.search_request import SearchRequest
    from outlast.config.settings import Settings

_LONGEST = 100  # characters of a campaign's name that is made of its studies'


def of_one_place(request: SearchRequest, place: str) -> Settings | CampaignPlan:
    """What one file or folder means that is no study's folder: a study, or a campaign.

    Raises:
        UsageError: Nothing.
    """
    if os.path.isdir(place) and (found := of_folder(request, place)) is not None:
        return found
    if request.study and not os.path.isfile(place) and (named := member_named(request.study[0])) is not None:
        return _not_begun(request, *named)
    read = load_search(
        place, changes=request.changes_of_each, metric=request.metric, name=request.name, parallel=request.parallel
    )
    return of_file(request, place, read) if isinstance(read, CampaignFile) else read


def of_file(request: SearchRequest, file: str, read: CampaignFile) -> CampaignPlan:
    """The campaign of a campaign file, or of a study file with ``matrix``: its studies lie in its folder."""
    folder = above_placeholders(request.directory) if request.directory else _folder_of(file, read.name)
    planned = [_planned(each, folder, _place_of(each, folder, request.directory)) for each in read.studies]
    campaign = Campaign(
        read.name,
        tuple(each.member for each in planned),
        parallel=read.parallel,
        share=read.share,
        command=words_on_record(request.invocation),
        working_directory=os.path.relpath(os.curdir, folder),
        notify=read.notify,
    )
    return _sound(campaign, folder, planned)


def of_several(request: SearchRequest) -> CampaignPlan:
    """The campaign of study files and study folders that were named one by one: each lies where it would lie alone."""
    words = [by_name(word).rstrip("/") or word for word in request.study]
    stems = [os.path.splitext(os.path.basename(os.path.abspath(word)))[0] for word in words]
    name = request.name or _name_of(stems)
    if not re.search(native.NAME_PATTERN, name.replace("+", "-")):
        if request.name:
            raise UsageError(f"--name: `{name}` is not {native.NAME_SAYS}")
        raise UsageError(
            f"together these are called `{name}`, which is not {native.NAME_SAYS}",
            cure="give the campaign a name: --name NAME",
        )
    folder = above_placeholders(request.directory) if request.directory else os.path.join(studies_here(), name)
    planned: list[Planned] = []
    meant: dict[str, int] = {}  # a study's folder → which of the words
    for at, word in enumerate(words):
        for each in _of_one(request, word, folder):
            other = meant.setdefault(os.path.realpath(each.folder), at)
            files = {os.path.realpath(file) for file in (words[other], word) if os.path.isfile(file)}
            if other != at and len(files) < 2:  # two files with one name are another mistake
                fact = f"{words[other]} and {word} are the same study: {each.folder}"
                raise UsageError(fact, cure="name it once")
            planned.append(each)
    campaign = Campaign(
        name,
        tuple(each.member for each in planned),
        parallel=request.parallel,
        command=words_on_record(request.invocation),
        working_directory=os.path.relpath(os.curdir, folder),
    )
    return _sound(campaign, folder, planned)


def of_folder(request: SearchRequest, folder: str) -> CampaignPlan | None:
    """The campaign that has this folder, from its record or from the studies below it; ``None`` where there is neither.

    A study that was begun goes on from its own record. One that was not is read again, as the campaign's own command says.
    """
    record = read_campaign(folder)
    if record is None:
        below = [os.path.relpath(each, folder) for each in member_folders(folder)]
        if not (members := tuple(Member(each, each) for each in below if os.sep not in each)):
            return None
        name = os.path.basename(os.path.abspath(folder))
        record = Campaign(name, members, command=("run", folder), working_directory=os.path.relpath(os.curdir, folder))
    if request.name is not None and request.name != record.name:
        raise UsageError(f"--name: the campaign that is there is called {record.name}", cure="leave it out")
    record = record if request.parallel is None else changed(record, parallel=request.parallel)
    planned: list[Planned] = []
    anew: dict[str, Planned] | None = None
    lost: OutlastError | None = None
    for member in record.members:
        place = os.path.normpath(os.path.join(folder, member.folder))
        if is_study_folder(place):
            planned.append(_from_record(request, member, place))
            continue
        if anew is None:
            try:
                anew = _read_again(request, record, folder)
            except OutlastError as error:  # of those that were not begun only: the others go on by their records
                anew, lost = {}, error
        found = anew.get(member.study) or Planned(member=member, folder=place, error=lost or _forgotten(member, record))
        planned.append(Planned(member=member, folder=place, settings=found.settings, error=found.error))
    aims = tuple(aimed(each.member, each.settings) for each in planned)
    return _sound(changed(record, members=aims), folder, planned)


def _not_begun(request: SearchRequest, folder: str, member: Member) -> Settings:
    """A study of a campaign that was not begun yet, and is to be begun alone."""
    record = read_campaign(folder)
    found = _read_again(request, record, folder).get(member.study) if record is not None else None
    if found is not None and found.settings is not None:
        return found.settings
    raise (found.error if found is not None else None) or _forgotten(member, record)


def _place_of(study: CampaignStudy, folder: str, named: str | None) -> str:
    """Where a study of a campaign lies: in its folder, or where ``--dir`` with placeholders has it."""
    if named is None or folder == named or study.settings is None:
        return os.path.join(folder, study.name)
    return folder_of(study.settings, named)


def _planned(study: CampaignStudy, folder: str, place: str) -> Planned:
    most = limit_of(study.settings)
    member = Member(study.name, os.path.relpath(place, folder), float(study.weight), study.priority, most)
    return Planned(member=aimed(member, study.settings), folder=place, settings=study.settings, error=study.error)


def _of_one(request: SearchRequest, word: str, folder: str) -> list[Planned]:
    """What one word of several means: one study, or those of its ``matrix``."""
    if is_study_folder(word):
        name = os.path.basename(os.path.abspath(word))
        begun = _from_record(request, Member(name, os.path.relpath(word, folder)), word)
        known = member_on_record(word)  # what `submit` has put on record for a study is its part of a campaign's slots
        most = limit_of(begun.settings) if known is None else known.parallel
        member = changed(aimed(begun.member, begun.settings), parallel=most)
        return [Planned(member=member, folder=word, settings=begun.settings, error=begun.error)]
    if os.path.isdir(word) and read_campaign(word) is not None:
        raise UsageError(f"{word} is a campaign, which goes on alone", cure=f"outlast run {word}")
    if os.path.isdir(word) or not os.path.exists(word):  # a word that means nothing, not a study that is broken
        yaml.read(word)
    if makes_a_campaign(word):
        raise UsageError(f"{word} is a campaign file, which is run alone", cure=f"outlast run {word}")
    found = studies_in(word, changes=request.changes_of_each, metric=request.metric)
    if len(found) == 1 and request.directory is None:
        settings = found[0].settings
        alone = os.path.join(studies_here(), found[0].name) if settings is None else study_of_file(word, settings)
        return [_planned(found[0], folder, alone)]
    stem = os.path.splitext(os.path.basename(word))[0]
    above = os.path.join(studies_here(), stem) if request.directory is None else folder
    return [_planned(each, folder, _place_of(each, above, request.directory)) for each in found]


def _from_record(request: SearchRequest, member: Member, place: str) -> Planned:
    try:
        settings = request.recorded(place, one_of_several=True)
    except OutlastError as error:
        return Planned(member=member, folder=place, error=error)
    return Planned(member=changed(member, parallel=limit_of(settings)), folder=place, settings=settings)


def _read_again(request: SearchRequest, record: Campaign, folder: str) -> dict[str, Planned]:
    """The studies that the campaign's own command means now, each by its name; none where that cannot be told any more."""
    start = os.path.normpath(os.path.join(folder, record.working_directory))
    if (asked := request_of(record.command)) is None:
        return {}
    words = tuple(os.path.relpath(os.path.join(start, word)) for word in asked.study)
    if any(os.path.isdir(word) and os.path.realpath(word) == os.path.realpath(folder) for word in words):
        return {}
    again = replace(
        asked,
        study=words,
        directory=folder,
        overrides=(*asked.overrides, *request.overrides),
        trials=request.trials or asked.trials,
        deadline=None,  # that of an earlier run
    )
    meant = again.meant
    return {each.member.study: each for each in meant.planned} if isinstance(meant, CampaignPlan) else {}


def _forgotten(member: Member, record: Campaign | None) -> StudyNotFound:
    words = record.command if record is not None else ()
    cure = f"the campaign's own command begins it: {shlex.join(['outlast', *words])}" if words else None
    return StudyNotFound(f"{member.study} was not begun, and nothing says any more what it is to do", cure=cure)


def _folder_of(file: str, name: str) -> str:
    """``studies/NAME`` here, unless that file's campaign was begun from another working directory above it or this one."""
    here = os.path.join(studies_here(), name)
    if read_campaign(here) is None:
        for above in (*Path(file).resolve().parents, *Path.cwd().parents):
            folder = above / "studies" / name
            record = read_campaign(folder)
            if record is not None and os.path.realpath(file) in _files_of(record, folder):
                return os.path.relpath(folder)
    return here


def _files_of(record: Campaign, folder: Path) -> set[str]:
    return {os.path.realpath(folder / record.working_directory / word) for word in record.command[1:]}


def _name_of(stems: Sequence[str]) -> str:
    name = "+".join(dict.fromkeys(stems))
    return name if len(name) <= _LONGEST else f"{stems[0][: _LONGEST - 10]}+{len(stems) - 1}"


def _sound(campaign: Campaign, folder: str, planned: Sequence[Planned]) -> CampaignPlan:
    """The plan, unless no campaign can be that.

    Raises:
        UsageError: Two studies have a name or a folder in common, or the campaign's folder is a study's.
    """
    if is_study_folder(folder):
        fact = f"{folder} is the folder of one study, and cannot be a campaign's"
        raise UsageError(fact, cure="give the campaign another name: --name NAME, or --dir FOLDER")
    names, places = [each.member.study for each in planned], [os.path.realpath(each.folder) for each in planned]
    for index, each in enumerate(planned):
        if places[index] in places[:index] and each.member.study not in names[:index]:
            fact = f"{names[places.index(places[index])]} and {each.member.study} would share one folder: {each.folder}"
            raise UsageError(fact, cure="let it say what tells them apart, as in --dir 'FOLDER/{name}'")
        if each.member.study in names[:index]:
            fact = f"two studies are called {each.member.study}"
            raise UsageError(fact, cure="say `name: …` in one of the files; or write a campaign file that names them")
    return CampaignPlan(campaign=campaign, folder=folder, planned=tuple(_kept(each) for each in planned))


def _kept(each: Planned) -> Planned:
    """A study that keeps nothing on disk cannot be looked after."""
    if each.settings is None or not each.settings.index.in_memory:
        return each
    error = UsageError("index.in_memory keeps nothing, and a campaign goes on with what is kept", cure="leave it out")
    return Planned(member=each.member, folder=each.folder, error=error)
