"""The studies of a campaign file: what each extends, what it is called, and what is wrong with it alone."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct

from outlast.config import native, overrides, reference_dialect, wandb, yaml
from outlast.config.campaign_shape import CAMPAIGN_FILE, NAMED, OF_A_MEMBER
from outlast.config.chain import read_chain
from outlast.config.load import CAMPAIGN_KEY, Metric, read_studies
from outlast.config.settings import Settings
from outlast.config.shapes import At, show
from outlast.config.yaml import Document, Path, Place
from outlast.core.nearest import nearest
from outlast.errors import OutlastError, StudyFileError

#: Keys that a command line changes of the campaign itself, and of no study.
ITS_OWN = tuple(key for key in CAMPAIGN_FILE.shapes if key not in ("matrix", "description"))


class CampaignStudy(Struct, frozen=True, kw_only=True):
    """One study that a file means: its settings, or why there are none."""

    name: str
    settings: Settings | None = None
    error: OutlastError | None = None
    weight: float = 1.0
    priority: int = 0


class Changes(Struct):
    """What a command line changes: of the campaign, of each study, of one study only."""

    each: list[str] = []
    own: list[tuple[list[str], Any, Place]] = []
    of_one: list[str] = []

    @classmethod
    def of(cls, texts: Sequence[str]) -> Changes:
        """Sort ``key=value`` texts by what they are about."""
        found = cls()
        for text in texts:
            parts, value, place = overrides.parse_override(text)
            if parts[0] == CAMPAIGN_KEY and len(parts) > 2:
                found.of_one.append(text)
            elif parts[0] in ITS_OWN:
                found.own.append((parts, value, place))
            else:
                found.each.append(text)
        return found

    def taken_for(self, name: str) -> list[str]:
        """Those of one study, as they would be said of it alone; and no longer here."""
        begins = f"{CAMPAIGN_KEY}.{name}."
        mine = [text for text in self.of_one if text.startswith(begins)]
        self.of_one = [text for text in self.of_one if text not in mine]
        return [text.removeprefix(begins) for text in mine]


def base_of(document: Document, file: str) -> list[Document]:
    """What every study extends: the campaign's `matrix`, and its `base` with all that this extends."""
    chain: list[Document] = []
    if document.data.get("matrix") is not None:
        chain.append(_part(document, ("matrix",), "matrix"))
    given = document.data.get("base")
    if given is None:
        return chain
    if isinstance(given, str):
        found = read_chain(_beside(document, ("base",), given, file))
    elif isinstance(given, Mapping):
        found = read_chain(file, _part(document, ("base",)))
    else:
        raise document.error(("base",), f"must be a study file's path, or its keys, not {show(given)}")
    found[-1].data.pop("name", None)
    return [*chain, *found]


def entries(document: Document) -> Iterator[tuple[str | None, Path]]:
    """Each study by its name, where the campaign file says it, and where it stands."""
    given = document.data[CAMPAIGN_KEY]
    if isinstance(given, Mapping):
        yield from ((name, (CAMPAIGN_KEY, name)) for name in given)
        return
    for index, item in enumerate(given):
        path = (CAMPAIGN_KEY, index)
        if isinstance(item, Mapping):
            if item.get("name") is None:
                raise document.error(path, "needs `name`", "add `name: …`, or write the studies as `NAME: …`")
            name = CAMPAIGN_FILE.shapes["name"].read(item["name"], At(document, (*path, "name")))
            if not re.search(NAMED, name):
                raise document.error((*path, "name"), f"`{name}` is a file of the campaign's own", "another name")
            yield name, path
        elif isinstance(item, str):
            yield None, path
        else:
            raise document.error(path, f"must be a study file's path, or keys with `name`, not {show(item)}")


def named(document: Document, called: str | None, path: Path) -> str:
    """What an entry is called in the campaign file, and on the command line: a file by itself as that file is."""
    given: Any = document.data
    for key in path:
        given = given[key]
    return called or native.clean_name(os.path.splitext(os.path.basename(str(given)))[0])


def studies_of(
    document: Document,
    file: str,
    called: str | None,
    path: Path,
    base: Sequence[Document],
    changes: Changes,
    metric: Metric | None,
) -> list[CampaignStudy]:
    """The studies that one entry means: one, but for a `matrix`."""
    given: Any = document.data
    for key in path:
        given = given[key]
    name = named(document, called, path)
    try:
        share, mine = _own_part(document, path, given, changes.taken_for(name))
        if isinstance(given, str):
            home = _beside(document, path, given, file)
            chain = read_chain(home)
        elif isinstance(given, Mapping) or given is None:
            home, part = file, _part(document, path)
            for key in (*OF_A_MEMBER, "name"):
                part.data.pop(key, None)
            _refuse_near_misses(part)
            chain = read_chain(file, part)
        else:
            raise document.error(path, f"must be a study file's path, or its keys, not {show(given)}")
        fixed = None if called is None else (called, document.place(path))
        found = read_studies(home, [*base, *chain], changes=[*changes.each, *mine], metric=metric, name=fixed)
    except StudyFileError as error:
        return [CampaignStudy(name=name, error=_as_seen(error, document, path))]
    return [
        CampaignStudy(name=each.name, settings=each.settings, error=_as_seen(each.error, document, path), **share)
        for each in carried(found)
    ]


def _own_part(document: Document, path: Path, given: Any, changes: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Weight and priority, from the file or the command line; and the changes that are the study's."""
    held = given if isinstance(given, Mapping) else {}
    said = {key: (held[key], At(document, (*path, key))) for key in OF_A_MEMBER if held.get(key) is not None}
    rest = []
    for text in changes:
        parts, value, place = overrides.parse_override(text)
        if parts[0] in OF_A_MEMBER:
            said[parts[0]] = (value, At(Document({}, place.file)))
        else:
            rest.append(text)
    return {key: OF_A_MEMBER[key].read(value, at) for key, (value, at) in said.items()}, rest


def _refuse_near_misses(part: Document) -> None:
    """`weigth` is meant for `weight`, which no study file has."""
    known = (*native.STUDY_FILE.shapes, *wandb.SWEEP_FILE.shapes, *reference_dialect.HPO_FILE.shapes)
    for key in part.data:
        own = nearest(key, OF_A_MEMBER)
        if key not in known and own is not None and nearest(key, (*known, *OF_A_MEMBER)) == own:
            raise part.error(
                (key,), f"unknown key; allowed here: {', '.join((*OF_A_MEMBER, *native.STUDY_FILE.shapes))}", own
            )


def _as_seen(error: OutlastError | None, document: Document, path: Path) -> OutlastError | None:
    """The error, with its key as the campaign file has it where it is in there."""
    if not isinstance(error, StudyFileError) or error.file != document.file:
        return error
    if error.key is None:
        error.key = yaml.dotted(path)
        return error
    whole = [
        yaml.dotted(each)
        for each, place in document.places.items()
        if place.line == error.line and f".{yaml.dotted(each)}".endswith(f".{error.key}")
    ]
    error.key = min(whole, key=len, default=error.key)
    return error


def _beside(document: Document, path: Path, name: str, file: str) -> str:
    """A file that is named in a campaign file, as seen from here."""
    found = os.path.join(os.path.dirname(file), name)
    if not os.path.exists(found):
        close = nearest(
            name, [each for each in yaml.names_in(os.path.dirname(found)) if each.endswith((".yaml", ".yml"))]
        )
        raise document.error(path, f"`{name}` does not exist", close or "paths start at the campaign file's folder")
    return found


def _part(document: Document, path: Path, key: str | None = None) -> Document:
    """What stands at a path as a document of its own, below `key` where one is given; its lines stay."""
    here: Any = document.data
    for each in path:
        here = here[each]
    data = copy.deepcopy(here) if here is not None else {}
    above: Path = () if key is None else (key,)

    def moved(given: Mapping[Path, Any]) -> dict[Path, Any]:
        return {(*above, *old[len(path) :]): value for old, value in given.items() if old[: len(path)] == path}

    part = Document(data if key is None else {key: data}, document.file)
    part.places, part.written, part.numbers = moved(document.places), moved(document.written), moved(document.numbers)
    return part


def copied(document: Document) -> Document:
    """The same once more: what resolves a chain changes its documents."""
    return _part(document, ())


def carried(found: Sequence[tuple[str, Settings | StudyFileError]]) -> Iterator[CampaignStudy]:
    """What `outlast.config.load.read_studies` found, as studies of a campaign."""
    for name, each in found:
        if isinstance(each, StudyFileError):
            yield CampaignStudy(name=name, error=each)
        else:
            yield CampaignStudy(name=name, settings=each)
