"""What a check says about one thing that it looked at."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import asdict


class Finding(Struct, frozen=True):
    """One thing that was looked at."""

    about: str
    level: Literal["ok", "note", "error"]
    text: str
    cure: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain object."""
        return asdict(self)
