"""What a worker works with: files, places for trials, the job that it is or the cards that it locks; and why it leaves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from outlast._system.job_environment import JobFacts
from outlast.errors import OutlastError, StorageError
from outlast.study.layout import StudyPaths

if TYPE_CHECKING:
    from outlast.core.plan import Verdict
    from outlast.engine.coordinator.coordinator import Coordinator
    from outlast.engine.hold.worker_by_hand import WorkerCards

_REFUSED_FOR = 600.0  # seconds for the disk to come back


class OwnJob(Protocol):
    """The scheduler's job that a worker is, and what it can do about it."""

    facts: JobFacts  # what its environment says

    def something_was_lost(self) -> bool:
        """Whether tasks of the study were lost that nobody has noticed or made up for. Only looks."""
        ...

    def top_up(self, coordinator: Coordinator, verdict: Verdict | None, say: Callable[[str], object]) -> None:
        """Make up for tasks that were lost, at the end of a turn."""

    def requeue(self) -> str:
        """Go back into the queue; what came of it, in words."""
        ...


class Workplace:
    """One worker's.

    Args:
        paths: The study's files.
        say: Takes a line for the person, or for the job's log; a full disk there costs the line and nothing else.
        parallel: Trials side by side.
        most: Trials in all; ``None``: as many as there are.
        job: That we are, as a task of an array.
        cards: Locks cards for a trial that needs some, where no scheduler has given us ours.

    Attributes:
        leaving: Whether we leave.
    """

    def __init__(
        self, paths: StudyPaths, say: Callable[[str], object] = print, parallel: int = 1, most: int | None = None,
        job: OwnJob | None = None, cards: WorkerCards | None = None,
    ) -> None:  # fmt: skip
        def said(text: str) -> None:
            with contextlib.suppress(OSError):
                say(text)

        self.paths, self.say, self.parallel, self.most, self.job, self.cards = paths, said, parallel, most, job, cards
        self.leaving = Leaving(said)

    @property
    def seconds_left(self) -> float | None:
        """Until the job that we are ends; ``None`` where nobody says, or we are none."""
        return None if self.job is None else self.job.facts.seconds_left()


class Leaving:
    """Whether a worker leaves. It asks for no more trials then, and goes once what it began is over and taken in.

    There is nothing more to do, it was told to, its walltime is over, or it cannot go on.

    Args:
        say: Takes a line for the person; does without where the disk of our log is the one that refuses.

    Attributes:
        begun: It leaves.
        pressed: How often a person, or the machine, asked it to.
        requeue: It does so as a job whose walltime is almost over.
        failure: Why it leaves once nothing runs here any more.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self.begun, self.pressed, self.requeue = False, 0, False
        self.failure: OutlastError | None = None
        self._refused, self._refused_since = "", 0.0  # what the disk says, and since when

    def press(self, *, requeue: bool) -> None:
        """It was asked to."""
        self.begun, self.pressed, self.requeue = True, self.pressed + 1, self.requeue or requeue

    def nothing_refused(self) -> None:
        """All went well just now."""
        self._refused, self._refused_since = "", 0.0

    def bear(self, error: OutlastError | OSError, *, running: bool) -> None:
        """What runs here is not to blame for a disk that refuses, nor for a study that cannot be read, and is left to its end."""
        error, now = StorageError.of(error) if isinstance(error, OSError) else error, time.monotonic()
        self._refused_since = self._refused_since or now
        if not error.worth_retrying or (not running and now - self._refused_since > _REFUSED_FOR):
            self.failure, self.begun = error, True
        said = str(error).splitlines()[0]
        if said != self._refused and (self.failure is None or running):
            self._refused = said
            then = "trying again" if self.failure is None else "leaving once what runs here has ended"
            self._say(f"{said}; {then}")
