"""`run` of a study that is done: it says what a run would say, and nothing that runs anything is loaded."""

from __future__ import annotations

import contextlib
import os

from outlast.cli.render.text import print_out
from outlast.cli.running.banner import banner
from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.engine.attempts.slots import local_slots
from outlast.engine.check.nothing_left import done_before
from outlast.engine.derived.final_plots import are_wanted, is_page_wanted
from outlast.engine.record.recorded import study_paths
from outlast.monitor.snapshot import LiveFacts
from outlast.study.glance import known_glance


def told_as_done(settings: Settings, folder: str) -> int | None:
    """Say how a search ended that has nothing left to do. Returns the exit code; ``None``: there may be something, run it.

    Raises:
        UsageError: A trial needs more of this machine than it may ever use.
    """
    study = done_before(settings, folder)
    if study is None:
        return None
    from outlast.cli.running.ending import tell_end  # a run that has something to do begins without it

    with contextlib.closing(local_slots(settings, None)) as slots:
        live = LiveFacts(os.uname().nodename, os.getpid(), "", len(slots.local))
    with contextlib.suppress(OSError):  # a pipe that nobody reads
        print_out(banner(study, settings, folder, slots=len(slots.local), live=live))
    code = tell_end(folder, study, settings)
    _settle(settings, folder, study)
    return code


def _settle(settings: Settings, folder: str, study: Study) -> None:
    """What the last run left to do, if it was kept from it: how it stands, for whoever looks; report and plots."""
    paths = study_paths(folder, settings)
    if known_glance(paths) is None or are_wanted(paths, study) or is_page_wanted(paths, study):
        from outlast.engine.launch import settle

        settle(paths, study, settings, print_out)
