"""What a check says about one thing that it looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    about: str
    level: Literal["ok", "note", "error"]
    text: str
    cure: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain object."""
        return asdict(self)
