"""What a coordinator that is a process of its own is told, and how it is begun.

It is told by the standard input: the values of a study file may be secrets, and no command line, environment or file of its own
shows them.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import time
from typing import IO, TYPE_CHECKING, Any

from msgspec import Struct

from outlast._system.platforms import SESSION_VARIABLE, session_began
from outlast._system.syncing import make_dir
from outlast._system.tokens import environment_of
from outlast._system.turning_log import turn_over
from outlast.config.settings import Settings
from outlast.errors import UsageError
from outlast.executors.shared_slots import Sharing
from outlast.study.campaign import Campaign, CampaignPaths, Member
from outlast.study.layout import StudyPaths

if TYPE_CHECKING:
    from outlast.engine.care.warm_start import WarmStart

#: In the environment of a coordinator that a supervisor began, and of nothing that it starts.
SUPERVISED = "OUTLAST_SUPERVISED"


class Orders(Struct, frozen=True, kw_only=True):
    """What one coordinator is to do."""

    study: str  # as its campaign calls it
    settings: Settings
    folder: str  # that `outlast.engine.launch.make_ready` gave
    accept_changes: bool = False
    warm_start: WarmStart | None = None
    sharing: Sharing | None = None  # of one of several: how it takes part in their slots


def sharing_in(folder: str, campaign: Campaign, member: Member, pool: int | None) -> Sharing:
    """How a study takes part in its campaign's slots.

    Args:
        folder: The campaign's.
        pool: Slots of all studies; ``None``: as many as the machine holds.
    """
    return Sharing(
        str(CampaignPaths.at(folder).slots),
        member.study,
        weight=member.weight,
        priority=member.priority,
        share=campaign.share,
        parallel=pool,
    )


def begin(orders: Orders) -> subprocess.Popen[bytes]:
    """Start a coordinator in a session of its own; what it says is appended to its study's ``run.log``.

    Raises:
        OSError: The folder cannot be written, or no process can be had.
    """
    paths = StudyPaths.at(orders.folder)
    make_dir(paths.root)
    turn_over(paths.run_log)
    os.environ.setdefault(SESSION_VARIABLE, str(session_began() or time.time()))  # a restart begins no new session
    with open(paths.run_log, "ab") as log, _told(orders) as told:
        return subprocess.Popen(
            [sys.executable, "-m", "outlast", "coordinate", orders.folder],
            stdin=told,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, SUPERVISED: "1"},
        )


def _told(orders: Orders) -> IO[bytes]:
    """In memory: a supervisor that dies meanwhile leaves no half of it. Where there is no such file, in one without a name."""
    memory = getattr(os, "memfd_create", None)
    file: Any = tempfile.TemporaryFile() if memory is None else os.fdopen(memory("orders"), "r+b")  # noqa: SIM115
    file.write(pickle.dumps(orders))
    file.seek(0)
    return file  # type: ignore[no-any-return]


def orders_given() -> Orders:
    """What this process was told.

    Raises:
        UsageError: Nothing: a person typed the command.
    """
    os.environ.pop(SUPERVISED, None)
    orders = None
    if not sys.stdin.isatty():
        try:
            orders = pickle.load(sys.stdin.buffer)  # noqa: S301  # from our own parent
        except (EOFError, pickle.UnpicklingError):
            orders = None
    if not isinstance(orders, Orders):
        raise UsageError("a coordinator is begun by a supervisor", cure="outlast run STUDY.yaml")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return orders


def is_supervised(pid: int) -> bool:
    """Whether a supervisor began this coordinator, this one or one before."""
    return f"{SUPERVISED}=".encode() in environment_of(pid)
