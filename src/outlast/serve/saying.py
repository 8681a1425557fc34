"""What the server says on its terminal, which may be gone: that ends nothing."""

from __future__ import annotations

import contextlib
import sys


def say(text: str) -> None:
    """A line for whoever started the server."""
    with contextlib.suppress(OSError, ValueError):
        print(text, flush=True)


def complain(text: str) -> None:
    """A line about something that failed; what cannot be printed is shown escaped."""
    with contextlib.suppress(OSError, ValueError):
        print(ascii(f"outlast serve: {text}")[1:-1], file=sys.stderr, flush=True)
