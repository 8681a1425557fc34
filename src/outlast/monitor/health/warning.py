"""What the rules say, and what they are told: one finding, and the facts that only a look at the machine can tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

#: ``error``: the search stands still, or what it does is for nothing. ``warning``: somebody should look at it. ``note``: good to
#: know, and no trouble.
Level = Literal["error", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "warning", "note")


class HealthWarning(Struct, frozen=True):
    """One thing that a person should know. ``key`` is stable, for scripts and for saying it once."""

    key: str
    text: str
    cure: str = ""
    since: str = ""  # when it began, UTC in ISO 8601; empty where nobody can tell
    level: Level = "warning"
    study: str = ""  # whose it is, where several are looked at; empty: of the campaign, or of the only one

    @property
    def is_trouble(self) -> bool:
        """Whether something is wrong: more than a note."""
        return self.level != "note"

    @property
    def named(self) -> str:
        """What is said of it where several studies are told of: behind the study's name."""
        return self.text if not self.study or self.text.startswith(f"{self.study} ") else f"{self.study}: {self.text}"

    def to_json(self) -> dict[str, Any]:
        """Plain object: what a command is told, and what is kept."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


class HealthFacts(Struct, frozen=True):
    """What only a look at the machine can tell. Everything is optional: an unknown fact warns of nothing.

    Ages and silences are seconds.
    """

    still: frozenset[int] = frozenset()  # running trials whose jobs the scheduler has suspended, or not started yet
    disk_free: int | None = None  # bytes, where the study folder lies
    disk_total: int | None = None
    inodes_free: int | None = None
    untouched_days: Mapping[str, float] = {}  # file needed to go on → days, where old ones are purged
    trained: Mapping[int, float] = {}  # running trial → that its attempt has trained, where that is known
    quiet: Mapping[int, float] = {}  # running trial → since it last printed or reported anything
    lost_touch: Mapping[int, float] = {}  # running trial → since its runner's last heartbeat
    holder_silent: float | None = None  # since the last heartbeat of whoever decides
    supervised: bool = False  # somebody begins it again if whoever decides dies
    holder_stopped: bool = False  # that process is stopped (SIGSTOP), and of this host
    takeovers: tuple[str, ...] = ()  # when the ledger changed hands without an end before, UTC; the latest ones
    locked: tuple[str, ...] = ()  # whose output ends with "database is locked", as phrases
    idle_cards: Mapping[str, float] = {}  # card of a running attempt → since it last did anything
    walltime: float | None = None  # of a job of this study
    untold: str = ""  # why somebody does not have what they were to be told
    unsent: str = ""  # which trackers take nothing, or lack trials that nobody sends any more, and why
    clock_jump: float | None = None  # by how much the clock was set while somebody looked; back is negative
