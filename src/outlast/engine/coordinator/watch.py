"""The watch over running attempts: who they are, what they report, and what their ends mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from outlast._system.processes import Identity
from outlast.config.settings import Settings
from outlast.core.evidence import Evidence
from outlast.core.faults import HOPELESS, is_beyond_hope
from outlast.core.file_names import attempt_name
from outlast.core.records import AttemptEnded, JobSubmitted, Trial
from outlast.core.states import BY_HAND, Cause, TrialState
from outlast.engine.attempts.kept_attempts import end_kept, saved_since
from outlast.engine.attempts.objectives import objectives_of
from outlast.engine.attempts.outcome import outcome_of
from outlast.engine.attempts.running import Pulse, Running
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.decisions import Decisions
from outlast.engine.coordinator.life_signs import LOOK_EVERY, LifeSigns
from outlast.errors import StorageError
from outlast.executors.base import Executor
from outlast.executors.heard import EndRequest
from outlast.study.attempts import Life, ask_to_end, trained_seconds, void_start
from outlast.study.layout import StudyPaths

_IN_ORDER = (Cause.COMPLETED, Cause.PART)  # what a process left that may serve for further trials


class Watch:
    """Every open attempt of the study, by name.

    Args:
        pulses: Heartbeats that this process saw under earlier coordinators; kept up to date.
    """

    def __init__(
        self,
        paths: StudyPaths,
        settings: Settings,
        decisions: Decisions,
        executor: Executor,
        slots: Slots,
        pulses: dict[str, Pulse] | None = None,
    ) -> None:
        self.running: dict[str, Running] = {}
        self._pulses = {} if pulses is None else pulses
        self._paths, self._settings, self._decisions = paths, settings, decisions
        self._executor, self._slots = executor, slots
        self._objectives = objectives_of(settings)
        self._must_be_numbers = [metric.name for metric in settings.metrics if metric.take == "last"]
        self._metric = settings.metrics[0].name  # the one that pruning looks at
        self._life_signs = LifeSigns(paths, settings, decisions, executor, self.running)

    def track(self, trial: Trial, number: int, slot: str) -> Running:
        """Begin to watch an attempt that was opened, by us or by an earlier coordinator."""
        attempt, name = trial.attempts[-1], attempt_name(trial.number, number)
        running = Running(
            trial=trial.number,
            number=number,
            paths=self._paths.attempt(trial.number, number),
            trial_paths=self._paths.trial(trial.number),
            slot=slot,
            objectives=self._objectives,
            pulse=self._pulses.setdefault(name, Pulse(self._decisions.clock.monotonic())),
            worker=slot.startswith("worker:"),
            kept=attempt.kept,
            asker=Identity.from_json(attempt.worker) if attempt.worker else None,
            job=attempt.job,
            restarts=attempt.restarts,
        )
        running.look_at = running.pulse.first_seen + LOOK_EVERY
        self.running[name] = running
        self._slots.take(slot)
        return running

    def hear(self) -> None:
        """Take in what runners said since the last round, and know who says nothing by himself."""
        for name, heard in self._executor.hear().items():
            if name in self.running:
                self.running[name].hear(heard)
        for name, running in self.running.items():
            running.speaks = self._executor.speaks(name)

    def submitted(self, job: JobSubmitted) -> None:
        """Our executor has a job for an attempt now: the scheduler will be asked about it."""
        running = self.running.get(job.attempt)
        if running is not None:
            running.job, running.restarts = job.job, 0

    def take_over(self, *, unclean: bool = False, fence: Callable[[], object] = lambda: None) -> None:
        """Adopt the live attempts of a dead coordinator; those that no runner has claimed will never be started.

        Args:
            unclean: It had no time to end its run. What is not alive now went with it: a host that was taken away.
            fence: Raises where somebody else decides by now, whose workers are not ours to end.
        """
        now = self._decisions.clock.monotonic()
        self._take_over_kept(fence)
        for running in self.running.values():
            if running.kept:
                continue
            self._replay(running)
            status = running.look(now)
            running.orphaned = unclean and status.life in (Life.GONE, Life.ELSEWHERE)
            if running.job or not running.worker:  # of one that is over, its executor may have a job on record
                running.submitted = self._executor.adopt(
                    running.name, status.runner, job=running.job, restarts=running.restarts
                )
            if running.worker:
                continue
            if status.life in (Life.RUNNING, Life.ELSEWHERE):
                self._decisions.say(f"trial {running.trial} is still running: taken over, not restarted")
            elif status.life is Life.UNCLAIMED and not running.submitted:
                void_start(running.paths)
        for job in self._executor.take_submissions():  # now: once its attempt has ended, nothing says whose job it was
            self._decisions.take(job)
            self.submitted(job)

    def _take_over_kept(self, fence: Callable[[], object]) -> None:
        """What ran in a dead coordinator's kept workers died with them: they are seen to be dead, and that is their evidence."""
        left = [running for running in self.running.values() if running.kept]
        stuck = end_kept(self._paths, fence)
        if stuck:
            raise StorageError(f"workers of an earlier run cannot be ended: {stuck}", cure="end these processes")
        for running in left:
            running.evidence = Evidence(
                lost="its worker ended with its coordinator", new_steps=False, together=True, saved=self._saved(running)
            )

    def _saved(self, running: Running) -> bool:
        opened_at = self._decisions.study.trials[running.trial].attempts[-1].opened_at
        return saved_since(running.trial_paths.checkpoints, self._settings.checkpoints.pattern, opened_at)

    def _replay(self, running: Running) -> None:
        """Show the pruner what was judged before we came; what was reported since then is judged in the next round."""
        last = running.recall()
        if running.pruned_at is not None:
            last = running.pruned_at
        running.read_reports()
        running.reports.sort(key=lambda report: report.step)
        seen = [report for report in running.reports if report.step <= last]
        running.judged = len(seen)
        told = [(r.step, r.metrics[self._metric]) for r in seen if self._metric in r.metrics]
        self._decisions.pruning.replay(running.trial, told)

    def gather(self, now: float) -> Iterator[tuple[Running, AttemptEnded, Evidence]]:
        """Decide about every attempt that is over, one by one; it is no longer watched. With what was seen of it."""
        for attempt in list(self.running.values()):
            evidence = self._life_signs.evidence(attempt, now)
            if evidence is None:
                continue
            trial = self._decisions.study.trials[attempt.trial]
            study, at = self._decisions.study, self._decisions.clock.now()
            event = outcome_of(evidence, trial, attempt.number, self._settings, at, study)
            if (ended := attempt.ended) is not None:
                event = replace(event, drawn=ended.drawn, printed=ended.printed if ended.printed[1] > 0 else None)
            if event.state is TrialState.PRUNED:
                by_hand = event.reason == HOPELESS and attempt.stop_reason == "pruned" and attempt.pruned_at is None
                event = replace(event, pruned_at=attempt.pruned_at, reason=BY_HAND if by_hand else event.reason)
            if event.cause is Cause.PART and self._hopeless(event):
                reason = f"pruned after {event.reason}"
                event = replace(event, state=TrialState.PRUNED, cause=Cause.PRUNED, reason=reason)
            self._decisions.take(event)
            del self.running[attempt.name]
            self._pulses.pop(attempt.name, None)
            self._executor.forget(attempt.name, spoilt=event.cause not in _IN_ORDER)
            self._slots.free(attempt.slot)
            yield attempt, event, evidence

    def _hopeless(self, event: AttemptEnded) -> bool:
        """Whether the pruner gives a trial up after this part."""
        assert event.part is not None and event.part_values is not None
        scored = event.part_values  # nothing, where no score was asked for
        return bool(scored) and self._decisions.pruning.should_prune(event.trial, event.part, scored[0])

    def gpu_seconds(self) -> float:
        """What the attempts that run now have used of their cards, up to their last heartbeats; 0 where nobody limits it."""
        if self._settings.budget.gpu_hours is None:
            return 0.0
        return sum(
            attempt.cards * trained_seconds(running.paths)
            for running in self.running.values()
            if not running.kept
            and (attempt := self._decisions.study.trials[running.trial].open_attempt) is not None
            and attempt.cards
        )

    def judge(self, attempt: Running) -> bool:
        """Show the pruner what an attempt has reported since. Returns whether it gives the trial up now."""
        attempt.read_reports()
        fresh = attempt.reports[attempt.judged :]
        attempt.judged = len(attempt.reports)
        if attempt.stop_reason or not self._decisions.pruning.active:
            return False
        told = [(report.step, value) for report in fresh if (value := report.metrics.get(self._metric)) is not None]
        for step, value in told:
            if self._decisions.pruning.should_prune(attempt.trial, step, value):
                attempt.stop_reason, attempt.pruned_at = "pruned", step
                return True
        if told and not attempt.kept:
            attempt.mark_judged(told[-1][0])
        if self._decisions.pruning.trouble:
            self._decisions.warn("pruner", self._decisions.pruning.trouble)
        return False

    def prune(self, attempt: Running) -> None:
        """Ask an attempt to stop for good: its trial counts as pruned."""
        self._end(attempt, "pruned")

    def _end(self, attempt: Running, reason: str) -> None:
        attempt.end_soon(reason)
        self.tell(attempt)

    def tell(self, attempt: Running) -> None:
        """Write the request to end that was decided on. May be done again where the disk refused."""
        grace, step = self._settings.trial.grace, attempt.pruned_at
        if not attempt.kept:
            ask_to_end(attempt.paths, attempt.stop_reason, grace=grace, step=step)
        self._executor.pass_on(attempt.name, EndRequest(attempt.stop_reason, grace, step=step))
        attempt.to_be_told = False

    def end_if_diverged(self, attempt: Running) -> None:
        """End an attempt that reported NaN: what it trains is lost.

        Not where the best report counts: an earlier one may be good.
        """
        attempt.read_reports()
        fresh = attempt.reports[attempt.seen_finite :]
        attempt.seen_finite = len(attempt.reports)
        if not attempt.stop_reason and is_beyond_hope(fresh, self._must_be_numbers):
            self._end(attempt, "diverged")
