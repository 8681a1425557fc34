"""What comes after a search, from Python: the best again with fresh seeds, and the model put together."""

from __future__ import annotations

import os
from typing import Any

from msgspec.structs import replace

from outlast.api.searching import view
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.plan import Verdict
from outlast.engine.coordinator.listener import Listener
from outlast.engine.followup.child import Followup, the_search
from outlast.engine.followup.confirmation_document import document
from outlast.engine.record.recorded import study_paths
from outlast.study.home import live_of
from outlast.study.opened import Opened


def confirm(folder: str, *, top: int | None, seeds: int | None, race: bool | None, quiet: bool) -> dict[str, Any]:
    """Confirm the search in a folder; again goes on with the rest. Returns what ``confirmation.json`` says.

    Args:
        folder: Where it runs, or ran.
        top, seeds, race: Instead of what its study file says.
        quiet: Show nothing.
    """
    from outlast.engine.followup.confirm import confirm as run_confirm

    search = the_search(folder)
    usual = search.settings.confirm
    wanted = replace(usual, top=top or usual.top, seeds=seeds or usual.seeds, race=usual.race if race is None else race)
    followup = Followup(search, "confirm")
    views = []

    def listener(opened: Opened, slots: int) -> Listener:
        settings = followup.settings(len(opened.study.trials))
        shown = view(settings, followup.folder, study_paths(live_of(followup.folder), settings), quiet=quiet)
        shown.begun(opened, slots, "")
        views.append(shown)
        return shown

    def tell(verdict: Verdict, study: Study) -> None:
        views[-1].ended(verdict, study)

    said: list[str] = []
    now = run_confirm(search, wanted, listener, tell=tell, say=said.append)
    return dict(plain_json(document(now)))


def export(folder: str, output: str | None, *, trial: int | None) -> str:
    """Put the model of the search in a folder together. Returns where it lies."""
    from outlast.engine.followup.export import export_model, place_of

    search = the_search(folder)
    done = export_model(search, search.settings.evaluate, place=place_of(search, output, False), trial=trial)
    return os.path.relpath(done.place)
