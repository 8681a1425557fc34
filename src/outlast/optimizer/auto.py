"""What ``sampler: auto`` means: known without loading a sampler."""

from __future__ import annotations


def meant_by_auto(objectives: int) -> str:
    """The sampler's name, for so many objectives."""
    return "tpe" if objectives == 1 else "nsga2"
