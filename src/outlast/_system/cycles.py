"""Python's search for cycles of references, which looks through everything that was made since it last did."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_look_for_cycles() -> Iterator[None]:
    """While much is made that stays and has none."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            look_for_cycles_again()


def look_for_cycles_again() -> None:
    """After ``gc.disable()``: look for cycles, among what comes from now on. What is there stays, and counts as old."""
    gc.freeze()
    gc.unfreeze()  # the two together make all of it the oldest generation, without looking at any
    gc.enable()
