"""`confirm` on the terminal: what is run, the live view of each block, what it says in the end."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, suppress
from typing import Any

from outlast.cli.live.watching import Watching
from outlast.cli.render.render_confirm import beginning, laid_out, summary
from outlast.cli.render.text import make_console
from outlast.cli.running.ending import what_halted
from outlast.config.settings import ConfirmSettings
from outlast.core.fold import Study
from outlast.core.plain_json import plain_json
from outlast.core.plan import Verdict
from outlast.core.states import StudyState
from outlast.engine.coordinator.listener import Listener
from outlast.engine.coordinator.seen_live import live_here
from outlast.engine.followup.child import Followup, Search
from outlast.engine.followup.confirm import confirm, standing
from outlast.engine.followup.confirmation_document import document
from outlast.engine.record.recorded import study_paths
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths
from outlast.study.opened import Opened


def confirm_here(
    search: Search, wanted: ConfirmSettings, *, run: bool, fresh: bool, quiet: bool
) -> tuple[dict[str, Any], int]:
    """Confirm a search in this process, its progress on the terminal.

    Args:
        search: Whose best are confirmed.
        wanted: How many, and what decides.
        run, fresh: See `outlast.engine.followup.confirm.confirm`.
        quiet: Say nothing of the way: a program reads what is printed.

    Returns:
        What ``confirmation.json`` says, and the exit code: 0 final, or laid out; 3 halted; 4 there is work left.
    """
    console, view = make_console(stderr=quiet), ExitStack()
    followup, code = Followup(search, "confirm"), 0

    def listener(opened: Opened, slots: int) -> Listener:
        live = live_here(opened, slots)
        settings = followup.settings(len(opened.study.trials))
        return view.enter_context(closing(Watching(settings, live, followup.folder, lambda: console)))

    def tell(verdict: Verdict, study: Study) -> None:
        nonlocal code
        view.close()
        code = {StudyState.DONE: 0, StudyState.HALTED: 3}.get(verdict.state, 4)
        story = what_halted(study_paths(live_of(followup.folder), followup.settings(1)), study, followup.folder)
        if code == 3 and story is not None:
            console.print(story)

    with view:
        if run:
            before = document(standing(search, wanted, fresh=fresh))
            with suppress(OSError):  # a pipe that nobody reads ends no confirmation
                console.print(beginning(before, folder=followup.folder, ended=before["repetitions"]["ended"]))
        now = confirm(search, wanted, listener, tell=tell, run=run, fresh=fresh, say=console.print)
    said = plain_json(document(now))
    if not quiet:
        names = {"search": search.folder, "folder": followup.folder}
        waiting = sum(not trial.state.finished for trial in now.known.trials.values())
        with suppress(OSError):
            if (
                waiting and not run and not now.final
            ):  # what a kill left of a block that changes nothing any more does not wait
                console.print(laid_out(said, waiting=waiting, **names))
            else:
                console.print(summary(said, files=_files(search), **names))
    return said, code if code or now.final or not run else 4


def _files(search: Search) -> dict[str, str]:
    """What was written, by its label."""
    home = StudyPaths.at(search.home)
    found = {"facts": home.confirm / home.confirmation.name, "config": home.confirmed_config}
    return {label: os.path.relpath(path) for label, path in found.items() if path.exists()}
