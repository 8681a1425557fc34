"""What `run` says first, whether there is anything to run or not."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from outlast.cli.render.render_run import start_banner
from outlast.cli.running.tracked_where import tracked_where
from outlast.config.settings import Settings
from outlast.config.store_address import masked_address
from outlast.core.fold import Study
from outlast.engine.attempts.code_snapshot import changed_code
from outlast.engine.record.kept_where import kept_where
from outlast.engine.record.recorded import study_paths
from outlast.monitor.snapshot import LiveFacts, snapshot
from outlast.optimizer.auto import said_of_auto

if TYPE_CHECKING:
    from rich.console import RenderableType


def banner(
    study: Study, settings: Settings, folder: str, *, slots: int, live: LiveFacts, kept: bool = True, new: bool = False
) -> RenderableType:
    """What a person reads before the first trial.

    Args:
        study: As it was opened.
        folder: Where it lies.
        slots: Attempts side by side.
        live: Who runs it.
        kept: Its folder stays.
        new: It has just been begun.
    """
    paths = study_paths(folder, settings)
    return start_banner(
        snapshot(study, settings, now=datetime.now(timezone.utc), live=live, folder=folder, judged=False),
        settings,
        index=os.path.join(folder, paths.index.name) + _beside(settings),
        slots=slots,
        sampler=_sampler_text(settings),
        notes=[
            *_notes(settings, study),
            *tracked_where(settings, folder),
            *(kept_where(paths, folder) if kept else ()),
        ],
        kept=kept,
        new=new,
    )


def _sampler_text(settings: Settings) -> str:
    """The sampler's name; of ``auto`` what it turned out to be."""
    name = settings.sampler.name
    return said_of_auto(settings) if name == "auto" else name


def _beside(settings: Settings) -> str:
    return (
        "" if settings.index.url is None or settings.index.in_memory else f", and {masked_address(settings.index.url)}"
    )


def _notes(settings: Settings, study: Study) -> list[tuple[str, str]]:
    notes = [("note", note) for note in settings.notes]
    if change := changed_code(study, settings):
        notes.append(("code", change))
    kept = settings.checkpoints.keep
    if kept is not None:
        best = f"the best {kept} finished trials' and " if kept else ""
        notes.append(("checkpoints", f"kept: {best}those of trials without an outcome; the others are deleted"))
    return notes
