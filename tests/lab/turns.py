"""Two who do something to the same files at once, in every order that two changes of turn can bring about."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from outlast._system import observed

__all__ = ["Turns", "every_order"]

_MOST = 40  # operations of one of them
_UNSEEN = ("fsync", "fsync_dir")  # that change nothing for anybody else


class Turns:
    """Two who take turns before each operation on the disk: the first does so many, then the second, then each the rest.

    Args:
        first, second: How many.
        apart_from: What is done below this folder is done at once.
    """

    def __init__(self, first: int, second: int, *, apart_from: Path | None = None) -> None:
        self.after = (first, second)
        self._apart_from = apart_from
        self._goes = (threading.Event(), threading.Event())
        self._done = [0, 0]
        self._over: set[int] = set()
        self.errors: dict[int, BaseException] = {}

    def see(self, operation: str, path: str, **_detail: object) -> None:
        """An operation comes now: the other's turn may come first."""
        if operation in _UNSEEN or (self._apart_from is not None and Path(path).is_relative_to(self._apart_from)):
            return
        me = int(threading.current_thread().name)
        if self._done[me] == self.after[me]:
            self._hand_over(me)
        self._done[me] += 1

    def watched(self, read: Callable[[Path], object]) -> Callable[[Path], object]:
        """A function that reads: between two that do, the other may come, too."""

        def seen(path: Path) -> object:
            self.see("read", str(path))
            return read(path)

        return seen

    def _hand_over(self, me: int) -> None:
        if 1 - me in self._over:
            return
        self._goes[me].clear()
        self._goes[1 - me].set()
        assert self._goes[me].wait(30)

    def run(self, work: Callable[[], object], other: Callable[[], object] | None = None) -> None:
        """Have both do it, or the second something else, and wait for them."""

        def one(me: int, does: Callable[[], object]) -> None:
            assert self._goes[me].wait(30)
            try:
                does()
            except BaseException as error:
                self.errors[me] = error
            self._over.add(me)
            self._goes[1 - me].set()

        works = (work, other or work)
        threads = [threading.Thread(target=one, args=(me, works[me]), name=str(me)) for me in (0, 1)]
        before, observed.observer = observed.observer, self.see
        try:
            for thread in threads:
                thread.start()
            self._goes[0].set()
            for thread in threads:
                thread.join()
        finally:
            observed.observer = before

    @property
    def first_over(self) -> bool:
        """Whether the first never came so far."""
        return self._done[0] <= self.after[0]

    @property
    def second_over(self) -> bool:
        """Whether the second never did."""
        return self._done[1] <= self.after[1]


def every_order(*, apart_from: Path | None = None, whole: bool = False) -> Iterator[Turns]:
    """The turns of every order, until neither has an operation left to be interrupted at; each is to be run.

    Args:
        apart_from: As of `Turns`.
        whole: Only those in which one of them does all of its work in the midst of the other's.
    """
    for first in range(_MOST):
        for second in [_MOST] if whole and first else range(_MOST):
            yield (turns := Turns(first, second, apart_from=apart_from))
            if turns.second_over:
                break
        if turns.first_over:
            break
    assert first > 1, "the first was never interrupted"
