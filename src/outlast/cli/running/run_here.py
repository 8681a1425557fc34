"""`run` on the terminal: the banner before, the live view during, what came of it after."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, suppress
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from outlast._system.cycles import look_for_cycles_again
from outlast.cli.live.watching import Watching
from outlast.cli.render.text import print_out
from outlast.cli.running.banner import banner
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.engine.campaign.life import Living
from outlast.engine.coordinator.listener import Listener
from outlast.engine.coordinator.seen_live import live_here
from outlast.engine.hold.opening import Given
from outlast.engine.launch import run
from outlast.engine.record.recorded import study_paths
from outlast.executors.shared_slots import Sharing
from outlast.study.opened import Opened


def run_here(
    settings: Settings,
    folder: str,
    accept_changes: bool,
    *,
    kept: bool = True,
    given: Given | None = None,
    supervised: bool = False,
    sharing: Sharing | None = None,
) -> int:
    """Run a search in this process, its progress on the terminal. Returns the exit code.

    Args:
        kept: Its folder stays.
        supervised: For a supervisor, with nobody there to read; it is shown that this process lives.
        sharing: How it shares this machine's slots with other studies.
    """
    paths = study_paths(folder, settings)
    view, code = ExitStack(), 0

    def listener(opened: Opened, slots: int) -> Listener:
        live = live_here(opened, slots)
        with suppress(OSError):  # a pipe that nobody reads ends no search
            print_out(banner(opened.study, settings, folder, slots=slots, live=live, kept=kept, new=opened.new))
        watching = view.enter_context(closing(Watching(settings, live, folder)))
        look_for_cycles_again()
        return Living(watching, paths) if supervised else watching

    def tell(_verdict: Verdict, study: Study) -> None:
        nonlocal code
        from outlast.cli.running.ending import tell_end  # the first trial does not wait for how the end is told

        view.close()
        code = tell_end(folder, study, settings, kept=kept)

    with view:
        run(
            paths, settings, listener,
            tell=tell, accept_changes=accept_changes, say=print_out, unattended=supervised, gone=not kept, given=given,
            sharing=sharing,
        )  # fmt: skip
    return code


def run_without_a_trace(settings: Settings, accept_changes: bool, given: Given | None) -> int:
    """Checkpointing is off (reference dialect): the study lives in a temporary folder and is gone at the end."""
    with TemporaryDirectory(prefix="outlast-in-memory-") as place:
        note = "checkpointing is off: nothing is kept but what is printed here, and nothing can be resumed"
        told = replace(settings, notes=(*settings.notes, note))
        return run_here(told, os.path.join(place, settings.name), accept_changes, kept=False, given=given)
