"""A study in hand: its lease is held, its ledger is open for appending, and what it says is folded.

Taking one in hand is a block, here and wherever else it is done: the ledger is claimed under a held lease, and at the block's
end, or at an exception anywhere in it, the ledger is closed and the lease given back, in this order.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from msgspec import Struct

from outlast.core.fold import Study, fold
from outlast.study.folded import read_folded
from outlast.study.layout import StudyPaths
from outlast.study.lease import Lease
from outlast.study.ledger import Ledger
from outlast.study.segments import read_ledger


class Opened(Struct):
    """A study in hand."""

    ledger: Ledger  # its newest segment is ours
    study: Study  # what the ledger says; whoever appends applies the events to it as well
    new: bool = False  # it has just been begun
    # the holder before did not end its run, or the machine its writing: what it derived may be stale
    taken_over: bool = False
    rivalled: bool = False  # and it may be alive, in the middle of something
    elapsed: float = 0.0  # seconds that this run of the study goes on already, under earlier holders
    # requests from before it was ours: those to stop were meant for the holder before
    asked_before: frozenset[str] = frozenset()
    told: list[str] = []  # what a person should know of it
    drawn: bool = False  # index, tables and best files show every trial as it is


@contextmanager
def opened_briefly(paths: StudyPaths) -> Iterator[Opened]:
    """A study in hand for something that is done to it outside a run.

    Raises:
        StudyBusy: Somebody holds it.
        LeaseLost: Somebody else took its ledger at the same moment.
    """
    with Lease(paths.lease) as lease:
        known = read_folded(paths)
        # Read first: what refuses to be read is left as it is.
        before = read_ledger(paths.ledger) if known is None else known[0]
        ledger, reading = Ledger.claim(paths.ledger, known=before, fence=lease.check)
        with closing(ledger):
            study = fold(reading.events) if known is None or reading is not before else known[1]
            yield Opened(ledger, study, new=not study.revisions)
