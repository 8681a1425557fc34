"""A study that a supervisor is to look after, and what it knows of it meanwhile."""

from __future__ import annotations

import os

from msgspec import Struct
from msgspec.structs import replace

from outlast.engine.campaign.coordination import Coordination
from outlast.engine.campaign.orders import Orders
from outlast.engine.campaign.restarts import Misfortunes
from outlast.errors import OutlastError
from outlast.study.home import live_of
from outlast.study.supervision import Charge

_GONE = ("ended", "refused", "given up")


class Wanted(Struct, frozen=True, kw_only=True):
    """A study to be looked after: its orders, whose folder is not made ready yet; or why it cannot be run."""

    study: str
    folder: str
    orders: Orders | None = None
    error: OutlastError | None = None
    fresh: bool = False  # set an earlier study aside first
    resume: bool = False  # go on with one that is there; start no new one
    resting: Charge | None = None  # it is over, which nobody but a person undoes: it is not begun


class Watched:
    """One study between its beginning and its end."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.charge = wanted.resting or Charge(wanted.study, os.path.abspath(wanted.folder))
        self.at: Coordination | None = None
        self.is_ready = False  # its folder is
        self.misfortunes = Misfortunes()
        self.not_before = 0.0
        self.look_at = 0.0
        self.said = ""  # what is wrong with its coordinator, as long as it is
        self.leaves = (
            False  # it was asked to stop before it was taken over: whoever ran the command since wants it to go on
        )

    @property
    def is_over(self) -> bool:
        """Whether it has come to its end."""
        return self.charge.condition in _GONE

    @property
    def where_it_lies(self) -> Coordination | None:
        """Its coordination, also before its folder is made ready; ``None`` where nothing says what it is to do."""
        orders = self.wanted.orders
        if self.at is not None or orders is None:
            return self.at
        return Coordination(replace(orders, folder=live_of(self.wanted.folder)))
