"""A study for trying things out, in a folder beside the real one; gone, with everything it started, when the try is over."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from types import FrameType

from msgspec.structs import replace

from outlast._system.tokens import end_processes
from outlast.config.settings import (
    OBJECTIVE,
    BudgetSettings,
    CheckpointSettings,
    ExecutorSettings,
    IndexSettings,
    NotifySettings,
    PrunerSettings,
    SamplerSettings,
    Settings,
)
from outlast.config.tracking_section import TrackingSettings
from outlast.core.file_names import throwaway_prefix
from outlast.core.plan import Limits
from outlast.engine.hold.signals import handling
from outlast.errors import StorageError, UsageError
from outlast.runner.spec import token_of_trial
from outlast.study.layout import StudyPaths

#: Seconds that a tried trial may take before it is ended.
LIMIT = 180.0
_GRACE = 2.0  # seconds at most between asking a trial to end and ending it
_BACKSTOP = 60.0


@contextlib.contextmanager
def throwaway_study(settings: Settings, folder: str) -> Iterator[StudyPaths]:
    """A study folder on the filesystem of the real one, where permissions and room are the same.

    Whatever happens inside, a Ctrl-C included, nothing is left: no process that it started, no folder.

    Args:
        folder: The real study's folder; it need not exist and is not touched.

    Raises:
        StorageError: No folder can be made there.
    """
    left = contextlib.ExitStack()  # to be removed, the last thing first

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt  # it ends like with Ctrl-C, and is cleaned up after

    with handling({signal.SIGTERM: interrupt, signal.SIGHUP: interrupt}):
        try:
            try:
                paths = _lay_out(settings, folder, left)
            except OSError as error:
                raise StorageError(f"cannot write {error.filename or folder}: {error.strerror}") from error
            left.callback(_end_everything, paths)
            yield paths
        finally:
            with handling(dict.fromkeys((signal.SIGINT, signal.SIGTERM, signal.SIGHUP), signal.SIG_IGN)):
                left.close()


def _lay_out(settings: Settings, folder: str, left: contextlib.ExitStack) -> StudyPaths:
    parent = os.path.dirname(os.path.abspath(folder))
    root = os.path.join(_place(settings, parent, left), f"{settings.name}.check")  # loggers name groups after it
    os.mkdir(root)
    if settings.checkpoints.dir is None:
        return StudyPaths.at(root)
    elsewhere = os.path.abspath(os.path.join(settings.working_directory, settings.checkpoints.dir))
    return StudyPaths.at(root, _place(settings, elsewhere, left))


def _place(settings: Settings, parent: str, left: contextlib.ExitStack) -> str:
    for missing in _missing_parents(parent):
        left.callback(_remove_empty, missing)
    os.makedirs(parent, exist_ok=True)
    place = tempfile.mkdtemp(prefix=throwaway_prefix(settings.name), dir=parent)
    left.callback(_remove, place)
    return place


def trial_settings(settings: Settings, *, trials: int, limit: float, arguments: tuple[str, ...] = ()) -> Settings:
    """The settings for trying trials out: nothing is searched, pruned, announced or kept.

    Args:
        limit: Seconds that a trial may take. Its runner ends it a little later even if nobody is left to ask for it.

    Raises:
        UsageError: The study's objective was handed over from Python.
    """
    if settings.function == OBJECTIVE:
        fact = "this study's objective was handed over from Python: it cannot be tried from here"
        raise UsageError(fact, cure="call it where it is defined, with trials=1 and another dir")
    backstop = limit + _BACKSTOP
    trial = replace(
        settings.trial,
        grace=min(settings.trial.grace, _GRACE),
        timeout=min(settings.trial.timeout or backstop, backstop),
        seeds=settings.trial.seeds[:1],
    )
    return replace(
        settings,
        command=None if settings.command is None else (*settings.command, *arguments),
        budget=BudgetSettings(trials=trials, count=("complete", "pruned", "failed", "infeasible")),
        sampler=SamplerSettings(name="random", seed=settings.sampler.seed or 0),
        pruner=PrunerSettings(),
        trial=trial,
        executor=ExecutorSettings(),  # here, whoever runs the search
        checkpoints=CheckpointSettings(pattern=settings.checkpoints.pattern),
        index=IndexSettings(),
        notify=NotifySettings(),
        tracking=TrackingSettings(),
        later={},
    )


def every_outcome_counts(trials: int) -> Limits:
    """So many trials, whatever becomes of them."""
    every = ("complete", "pruned", "failed", "infeasible")
    return Limits(trials=trials, count=every, failures_alike=trials + 1, needs_result=False)


def _missing_parents(folder: str) -> list[str]:
    """The folders that are not there yet, the outermost first."""
    missing: list[str] = []
    while not os.path.isdir(folder):
        missing.insert(0, folder)
        folder = os.path.dirname(folder)
    return missing


def _end_everything(paths: StudyPaths) -> None:
    """A run that ended in order has nothing left; one that failed leaves its trainings to whoever runs the study next."""
    with contextlib.suppress(OSError):
        for name in os.listdir(paths.trials):
            if name.isdigit():
                end_processes(token_of_trial(str(paths.root), int(name)))


def _remove(place: str) -> None:
    deadline = time.monotonic() + 5.0
    while os.path.exists(place) and time.monotonic() < deadline:
        shutil.rmtree(place, ignore_errors=True)  # again: a runner may have been writing its last words
        if os.path.exists(place):
            time.sleep(0.05)


def _remove_empty(folder: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(folder)
