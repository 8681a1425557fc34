from __future__ import annotations

from lab.functions import run

__all__ = ["run"]
