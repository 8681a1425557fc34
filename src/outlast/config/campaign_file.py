"""The campaign file: several studies over a shared base, begun by one command. A broken study hides none of the others."""

from __future__ import annotations

import os
from collections.abc import Sequence

from msgspec import Struct

from outlast.config import native, overrides, yaml
from outlast.config.campaign_members import (
    ITS_OWN,
    CampaignStudy,
    Changes,
    base_of,
    carried,
    copied,
    entries,
    named,
    studies_of,
)
from outlast.config.campaign_shape import CAMPAIGN_FILE, TAKEN
from outlast.config.chain import read_chain
from outlast.config.load import CAMPAIGN_KEY, Metric, read_studies
from outlast.config.settings import NotifySettings, Settings
from outlast.config.shapes import At
from outlast.config.yaml import Document, Place
from outlast.core.nearest import nearest
from outlast.core.sharing import Share
from outlast.errors import StudyFileError


class CampaignFile(Struct, frozen=True, kw_only=True):
    """What a file that makes several studies says."""

    name: str
    studies: tuple[CampaignStudy, ...]
    parallel: int | None = None  # of all studies together; None: auto
    share: Share = "weight"
    notify: NotifySettings = NotifySettings()


def load_search(
    path: str,
    *,
    changes: Sequence[str] = (),
    metric: Metric | None = None,
    name: str | None = None,
    parallel: int | None = None,
) -> Settings | CampaignFile:
    """Read a file that means one study, or several: a campaign file, or a study file with ``matrix``.

    Args:
        path: The file.
        changes: ``key=value`` texts. They change each study; ``studies.NAME.key=value`` changes one, and the keys that only a
            campaign has change that.
        metric: Name and goal for each study.
        name: The study's or the campaign's.
        parallel: Trials at once: the study's, or of all studies together.

    Raises:
        StudyFileError: It means nothing at all. What is wrong with one of several studies is on record there.
    """
    document = yaml.read(path)
    if CAMPAIGN_KEY in document.data:
        return _campaign(document, path, changes, metric, name, parallel)
    own = name or document.data.get("name")
    pool = () if parallel is None else (f"parallel={parallel}",)
    called = None if name is None else (name, Place("--name"))
    found = read_studies(path, read_chain(path, document), changes=(*changes, *pool), metric=metric, name=called)
    if len(found) == 1:
        if isinstance(found[0][1], StudyFileError):
            raise found[0][1]
        return found[0][1]
    if pool:  # of all of them together, then
        found = read_studies(path, read_chain(path), changes=changes, metric=metric, name=called)
    of_all = own and "{" not in str(own)  # `{backbone}` is of each study
    stem = native.clean_name(str(own if of_all else os.path.splitext(os.path.basename(path))[0]))
    return CampaignFile(name=stem, studies=tuple(carried(found)), parallel=parallel)


def studies_in(path: str, *, changes: Sequence[str] = (), metric: Metric | None = None) -> list[CampaignStudy]:
    """The studies of one file among several: one, or those of its ``matrix``; or one with what is wrong with the file."""
    try:
        return list(carried(read_studies(path, read_chain(path), changes=changes, metric=metric)))
    except StudyFileError as error:
        return [CampaignStudy(name=native.clean_name(os.path.splitext(os.path.basename(path))[0]), error=error)]


def makes_a_campaign(path: str) -> bool:
    """Whether it is a campaign file; what cannot be read is none."""
    try:
        return CAMPAIGN_KEY in yaml.read(path).data
    except StudyFileError:
        return False


def _campaign(
    document: Document, file: str, texts: Sequence[str], metric: Metric | None, name: str | None, parallel: int | None
) -> CampaignFile:
    changes = Changes.of(texts)
    for parts, value, place in changes.own:
        overrides.override(document, parts, value, place, ITS_OWN)
    if name is not None:
        document.put(("name",), name, Place("--name"))
    values = CAMPAIGN_FILE.read(document.data, At(document))
    base = base_of(document, file)
    studies: list[CampaignStudy] = []
    for called, path in entries(document):
        found = studies_of(document, file, called, path, [copied(each) for each in base], changes, metric)
        taken = {each.name for each in studies}
        if (twice := next((each.name for each in found if each.name in taken), None)) is not None:
            raise document.error(path, f"there is a study named `{twice}` already", "give it another `name`")
        if (own := next((each.name for each in found if each.name in TAKEN), None)) is not None:
            raise document.error(path, f"`{own}` is a file of the campaign's own", "say another `name: …` in that file")
        studies += found
    if changes.of_one:
        word = changes.of_one[0]
        known = [named(document, called, path) for called, path in entries(document)]
        raise StudyFileError(f"there is no such study; the campaign file has: {', '.join(known)}",
                             file=f"--set {word}", cure=nearest(word.split(".")[1], known))  # fmt: skip
    given = values.get("parallel", "auto") if parallel is None else parallel
    return CampaignFile(
        name=values.get("name") or native.clean_name(os.path.splitext(os.path.basename(file))[0]),
        studies=tuple(studies),
        parallel=None if given == "auto" else given,
        share=values.get("share", "weight"),
        notify=values.get("notify", NotifySettings()),
    )
