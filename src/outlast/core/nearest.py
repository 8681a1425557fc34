"""What a misspelt word may have been meant for. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: object, known: Iterable[str]) -> str | None:
    """The cure for a misspelling, or ``None`` where nothing is near."""
    from difflib import get_close_matches

    close = get_close_matches(str(word), list(known), n=1, cutoff=0.5)
    return f"did you mean `{close[0]}`?" if close else None
