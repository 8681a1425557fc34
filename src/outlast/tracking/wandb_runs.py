"""Runs of Weights & Biases as a sink needs them: begun or gone on with by id, bounded in time, its errors told apart.

A run's rows are numbered by us. W&B says which number comes next when a run is gone on with, so that each row is there once
(https://docs.wandb.ai/guides/runs/resuming). Offline it knows nothing of earlier processes: a run is written in one go then, in
the place of what an earlier process left of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from outlast._system.files import remove_tree
from outlast.config.secrets import mask_text
from outlast.tracking.sink import SinkError

#: What a row's own number is called, and the training's.
STEP = "step"
_PATIENCE = 30.0  # seconds for a beginning, and for what is still to be uploaded at an end
_SIGN_IN = "wandb login, or set WANDB_API_KEY; `mode: offline` needs neither"


class Runs:
    """Begins runs of one project.

    Args:
        folder: Where W&B keeps its files; made where there is none. Nobody else's runs lie there.
        offline: Whether nothing is sent: the files are for ``wandb sync``.
        said: What every run is given: project, entity, group, tags.
    """

    def __init__(self, folder: Path, offline: bool, said: Mapping[str, Any]) -> None:
        self._folder, self.offline, self._said = folder, offline, said

    @cached_property
    def _wandb(self) -> Any:
        """Seconds to import: what trainings are to know of their runs does not wait for it."""
        os.environ.pop("WANDB_SERVICE", None)  # of a process that began us and may end before us
        import wandb

        return wandb

    def begin(self, run_id: str, name: str | None, kind: str | None) -> Run:
        """A run, new or gone on with.

        Args:
            run_id: Its own in the project.
            name: For people; ``None`` leaves it as it is.
            kind: W&B's job type.

        Raises:
            SinkError: W&B does not answer, or accepts no key.
        """
        if (known := _open.pop(run_id, None)) is not None:
            return known
        self._folder.mkdir(parents=True, exist_ok=True)
        if self.offline:
            for left in self._folder.glob(f"wandb/offline-run-*-{run_id}"):
                remove_tree(left)
        with self._told():
            run = self._wandb.init(
                **self._said, id=run_id, name=name, job_type=kind, dir=str(self._folder), resume="allow",
                mode="offline" if self.offline else "online", settings=self._wandb.Settings(**_QUIET),
            )  # fmt: skip
            run.define_metric(STEP)
            run.define_metric("*", step_metric=STEP)
        return Run(run, run_id, self._told)

    def _begin_anew(self) -> None:
        """Without W&B's own service: it takes a run that failed for one that is still in use."""
        _open.clear()
        with suppress(Exception):
            self._wandb.teardown()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """W&B's errors as a sink says them."""
        try:
            yield
        except Exception as error:
            self._begin_anew()
            text = mask_text(" ".join(str(error).split()))[:400] or type(error).__name__
            errors = self._wandb.errors
            if isinstance(error, (errors.UsageError, errors.AuthenticationError)) or "401" in text or "API key" in text:
                raise SinkError(f"W&B lets us not in: {text}", cure=_SIGN_IN, lasting=True) from error
            raise SinkError(f"W&B does not answer: {text}") from error


#: Nothing of this process, which only sends, belongs into a trial's run; and no wait is for ever.
_QUIET: Mapping[str, Any] = {
    "console": "off",
    "silent": True,
    "disable_git": True,
    "save_code": False,
    "disable_job_creation": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_disable_machine_info": True,
    "x_save_requirements": False,
    "reinit": "create_new",
    "init_timeout": _PATIENCE,
    "finish_timeout": _PATIENCE,
    "finish_timeout_raises": True,
}


class Run:
    """A run that is open."""

    def __init__(self, run: Any, run_id: str, told: Any) -> None:
        self._run, self._id, self._told = run, run_id, told

    def stay(self) -> None:
        """Leave it open for whoever begins it next in this process, also where sending has failed in between."""
        _open[self._id] = self

    @property
    def count(self) -> int:
        """How many rows it has, of whoever logged them."""
        with self._told():
            return int(max(self._run.step, self._run.starting_step))

    def log(self, rows: Sequence[Mapping[str, float]], ats: Sequence[float]) -> None:
        """Log the rows that it does not have yet.

        Args:
            rows: All that it is to have, from the first one.
            ats: When each was reported: seconds since 1970, UTC.
        """
        with self._told():
            for number in range(self.count, len(rows)):
                self._run.log({**rows[number], "_timestamp": ats[number]}, step=number, commit=True)

    def say(self, config: Mapping[str, Any], summary: Mapping[str, Any]) -> None:
        """Set its configuration, and what stands at its end."""
        with self._told():
            self._run.config.update(dict(config), allow_val_change=True)
            self._run.summary.update(dict(summary))

    def finish(self, *, failed: bool = False, interrupted: bool = False) -> None:
        """End it; returning means that everything has arrived.

        Raises:
            SinkError: It has not.
        """
        with self._told():
            if interrupted:
                self._run.mark_preempting()
            self._run.finish(exit_code=1 if failed or interrupted else 0)


#: Runs that are open in this process, as W&B's own service has them: it has each once.
_open: dict[str, Run] = {}


def finish_open() -> None:
    """End what was left open: those trials were interrupted, or go on with the next process that sends."""
    while _open:
        _open.popitem()[1].finish(interrupted=True)


def is_offline(mode: str | None) -> bool:
    """Whether W&B is to send nothing.

    Args:
        mode: As the study file says it; by default as WANDB_MODE does.

    Raises:
        SinkError: It is switched off.
    """
    said = mode or os.environ.get("WANDB_MODE") or "online"
    if said not in ("online", "offline"):
        raise SinkError(f"WANDB_MODE says {said}", cure="tracking: {wandb: {mode: offline}}, or online", lasting=True)
    return said == "offline"
