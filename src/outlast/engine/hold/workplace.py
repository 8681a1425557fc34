"""What a worker works with: the study's files, places for trials, and the job that it is or the cards that it locks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from outlast._system.job_environment import JobFacts
from outlast.engine.hold.leaving import Leaving
from outlast.study.layout import StudyPaths

if TYPE_CHECKING:
    from outlast.core.plan import Verdict
    from outlast.engine.coordinator.coordinator import Coordinator
    from outlast.engine.hold.worker_cards import WorkerCards


class OwnJob(Protocol):
    """The scheduler's job that a worker is, and what it can do about it.

    Attributes:
        facts: What its environment says.
    """

    facts: JobFacts

    def something_was_lost(self) -> bool:
        """Whether tasks of the study were lost that nobody has noticed or made up for. Only looks."""
        ...

    def top_up(self, coordinator: Coordinator, verdict: Verdict | None, say: Callable[[str], object]) -> None:
        """Make up for tasks that were lost, at the end of a turn."""

    def requeue(self) -> str:
        """Go back into the queue; what came of it, in words."""
        ...


@dataclass
class Workplace:
    """One worker's.

    Attributes:
        paths: The study's files.
        say: Takes a line for the person, or for the job's log; a full disk there costs the line and nothing else.
        parallel: Trials side by side.
        most: Trials in all; ``None``: as many as there are.
        job: That we are, as a task of an array.
        cards: Locks cards for a trial that needs some, where no scheduler has given us ours.
        leaving: Whether we leave.
    """

    paths: StudyPaths
    say: Callable[[str], object] = print
    parallel: int = 1
    most: int | None = None
    job: OwnJob | None = None
    cards: WorkerCards | None = None
    leaving: Leaving = field(init=False)

    def __post_init__(self) -> None:
        told = self.say

        def say(text: str) -> None:
            with contextlib.suppress(OSError):
                told(text)

        self.say = say
        self.leaving = Leaving(say)

    @property
    def seconds_left(self) -> float | None:
        """Until the job that we are ends; ``None`` where nobody says, or we are none."""
        return None if self.job is None else self.job.facts.seconds_left()
