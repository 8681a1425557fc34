"""Whether the store that `index:` names can be written. What is wrong with it ends no search, so it is a note."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.core.finding import Finding
from outlast.engine.derived.indexes import store_of
from outlast.engine.record.examine import read_study
from outlast.engine.record.recorded import study_paths
from outlast.errors import OutlastError
from outlast.study.home import live_of

#: Seconds that a server is given to answer: `check` is quick.
_PATIENCE = 3.0


def store_findings(settings: Settings, folder: str) -> Iterator[Finding]:
    """Look into the store, without writing anything there."""
    from outlast.optimizer.stores.store_probe import probe

    paths = study_paths(live_of(folder), settings)
    try:
        address = store_of(settings)
        if address is None:
            return
        identity = read_study(paths).identity if paths.exists else None
        found = probe(replace(address, timeout=min(address.timeout, _PATIENCE)), settings.name, identity)
    except OutlastError as error:
        yield Finding("index", "note", f"{error.fact}; the search runs without it", error.cure)
        return
    yield Finding("index", "ok", f"{address} {found}")
