"""The watch over running attempts: whether they live, what they report, and what evidence they leave."""

from __future__ import annotations

import math
from dataclasses import replace

from outlast._system import Identity, is_running
from outlast.config.settings import Settings
from outlast.core.evidence import Evidence, JobEnd
from outlast.core.faults import BY_HAND, HOPELESS, ended_by_others, is_beyond_hope
from outlast.core.layout import attempt_name
from outlast.core.parts import next_part
from outlast.core.records import AttemptEnded, JobSubmitted, Trial
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.folds import study_parts
from outlast.engine.attempts.outcome import outcome_of
from outlast.engine.attempts.running import Pulse, Running, objectives_of
from outlast.engine.attempts.slots import Slots
from outlast.engine.coordinator.decisions import Decisions
from outlast.executors.base import Executor
from outlast.runner.spec import silent_after, token_of_trial
from outlast.study.attempts import Life, end_tree, give_up, last_words, request_stop, trained_seconds, void_start
from outlast.study.layout import StudyPaths

__all__ = ["Watch"]

_NOBODY_KNOWS = 5  # times as long is waited for a job's heartbeat where its scheduler cannot be asked
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
        self._gone: dict[str, float] = {}  # host → when several attempts on it had fallen silent together

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
            asker=Identity.from_json(attempt.worker) if attempt.worker else None,
            job=attempt.job,
            restarts=attempt.restarts,
        )
        self.running[name] = running
        self._slots.take(slot)
        return running

    def submitted(self, job: JobSubmitted) -> None:
        """Our executor has a job for an attempt now: the scheduler will be asked about it."""
        running = self.running.get(job.attempt)
        if running is not None:
            running.job, running.restarts = job.job, 0

    def take_over(self, *, unclean: bool = False) -> None:
        """Adopt the live attempts of a dead coordinator; those that no runner has claimed will never be started.

        Args:
            unclean: It had no time to end its run. What is not alive now went with it: a host that was taken away.
        """
        now = self._decisions.clock.monotonic()
        for running in self.running.values():
            self._replay(running)
            status = running.look(now)
            running.orphaned = unclean and status.life in (Life.GONE, Life.ELSEWHERE)
            if running.job or (not running.worker and status.life is not Life.OVER):
                running.submitted = self._executor.adopt(
                    running.name, status.runner, job=running.job, restarts=running.restarts
                )
            if running.worker:
                continue
            if status.life in (Life.RUNNING, Life.ELSEWHERE):
                self._decisions.say(f"trial {running.trial} is still running: taken over, not restarted")
            elif status.life is Life.UNCLAIMED and not running.submitted:
                void_start(running.paths)

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

    def gather(self, now: float) -> list[tuple[Running, AttemptEnded]]:
        """Decide about every attempt that is over; it is no longer watched."""
        over = []
        for attempt in list(self.running.values()):
            evidence = self._evidence(attempt, now)
            if evidence is None:
                continue
            trial = self._decisions.study.trials[attempt.trial]
            study, at = self._decisions.study, self._decisions.clock.now()
            event = outcome_of(evidence, trial, attempt.number, self._settings, at, study)
            if event.state is TrialState.PRUNED:
                by_hand = event.reason == HOPELESS and attempt.stop_reason == "pruned" and attempt.pruned_at is None
                event = replace(event, pruned_at=attempt.pruned_at, reason=BY_HAND if by_hand else event.reason)
            if event.cause is Cause.PART and self._hopeless(event):
                event = replace(
                    event, state=TrialState.PRUNED, cause=Cause.PRUNED, reason=f"pruned after {event.reason}"
                )
            self._decisions.take(event)
            del self.running[attempt.name]
            self._pulses.pop(attempt.name, None)
            self._executor.forget(attempt.name, spoilt=event.cause not in _IN_ORDER)
            self._slots.free(attempt.slot)
            over.append((attempt, event))
        return over

    def _hopeless(self, event: AttemptEnded) -> bool:
        """Whether the pruner gives a trial up after this part."""
        assert event.part is not None and event.part_values is not None
        return self._decisions.pruning.should_prune(event.trial, event.part, event.part_values[0])

    def gpu_seconds(self) -> float:
        """What the attempts that run now have used of their cards, up to their last heartbeats; 0 where nobody limits it."""
        if self._settings.budget.gpu_hours is None:
            return 0.0
        return sum(
            attempt.cards * trained_seconds(running.paths)
            for running in self.running.values()
            if (attempt := self._decisions.study.trials[running.trial].open_attempt) is not None and attempt.cards
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
        if told:
            attempt.mark_judged(told[-1][0])
        if self._decisions.pruning.trouble:
            self._decisions.warn("pruner", self._decisions.pruning.trouble)
        return False

    def prune(self, attempt: Running) -> None:
        """Ask an attempt to stop for good: its trial counts as pruned."""
        attempt.stop_reason = "pruned"
        request_stop(attempt.paths, "pruned", grace=self._settings.trial.grace, step=attempt.pruned_at)

    def end_if_diverged(self, attempt: Running) -> None:
        """End an attempt that reported NaN: what it trains is lost.

        Not where the best report counts: an earlier one may be good.
        """
        attempt.read_reports()
        fresh = attempt.reports[attempt.seen_finite :]
        attempt.seen_finite = len(attempt.reports)
        if not attempt.stop_reason and is_beyond_hope(fresh, self._must_be_numbers):
            attempt.stop_reason = "diverged"
            request_stop(attempt.paths, "diverged", grace=self._settings.trial.grace)

    # -- evidence -----------------------------------------------------------------------------------------------------

    def _evidence(self, attempt: Running, now: float) -> Evidence | None:
        """The evidence of an attempt that is over; ``None`` while it may live. Unknown is never an ending."""
        status = attempt.look(now)
        if status.life is Life.OVER and status.evidence is not None:
            return self._completed(attempt, status.evidence, now)
        why = self._certainly_dead(attempt, status.life, status.reason, now)
        if why is None:
            return None
        if status.life is Life.UNCLAIMED:
            return self._unclaimed(attempt, why) if self._void(attempt) else None
        stuck = end_tree(attempt.paths, f"{token_of_trial(str(self._paths.root), attempt.trial)}{attempt.number};")
        if stuck:
            self._decisions.warn(
                f"stuck-{attempt.name}", f"processes of trial {attempt.trial} cannot be ended: {stuck}"
            )
            return None
        return self._completed(attempt, give_up(attempt.paths, why), now)

    def _void(self, attempt: Running) -> bool:
        """See to it that nobody claims the attempt any more. Where its marker was never laid out nobody can, and nothing is
        written: the disk may be full."""
        marker = self._paths.open_marker(attempt.trial, attempt.number)
        return (not attempt.worker and not marker.exists()) or void_start(attempt.paths)

    def _unclaimed(self, attempt: Running, why: str) -> Evidence:
        """A runner that dies before its claim would die again: that counts. One that nobody started does not."""
        end = (
            self._executor.job_end(attempt.name) if attempt.submitted and not attempt.worker else JobEnd.NEVER_SUBMITTED
        )
        if end is not None and end.blames_nobody:
            return Evidence(never_started=True)
        return Evidence(lost=why + last_words(attempt.paths), new_steps=False)

    def _completed(self, attempt: Running, evidence: Evidence, now: float) -> Evidence | None:
        if attempt.job and ended_by_others(evidence):
            end = self._executor.job_end(attempt.name)
            attempt.pulse.over_since = attempt.pulse.over_since or now
            if end is None and now - attempt.pulse.over_since < silent_after() / 2:
                return None  # it ended, and not by itself: the scheduler will say for what
            evidence = replace(evidence, job_end=end or JobEnd.UNTOLD)
        if not evidence.lost:
            return evidence
        evidence = replace(evidence, together=attempt.orphaned or self._went_with_others(attempt, now))
        if attempt.stop_reason == "pruned":
            evidence = replace(evidence, stop_reason="pruned")  # that was decided; no further attempt changes it
        trial = self._decisions.study.trials[attempt.trial]
        part = next_part(trial, study_parts(self._settings))
        return attempt.complete(evidence, trial.last_step(None if part is None else part.number), self._paths)

    def _certainly_dead(self, attempt: Running, life: Life, reason: str, now: float) -> str | None:
        if life is Life.GONE:
            return reason
        if life is Life.UNCLAIMED and attempt.worker:
            return "its worker never began it" if self._worker_gone(attempt, now) else None
        if life is Life.UNCLAIMED:
            never = not attempt.submitted or self._executor.ended(attempt.name)
            return "its runner never started" if never else None
        return self._silent(attempt, now) if life is Life.ELSEWHERE else None

    def _silent(self, attempt: Running, now: float) -> str | None:
        """Why an attempt on another host is certainly dead; ``None`` while it may live."""
        if attempt.job and not self._executor.asks:  # it may be suspended, and nobody here can say so
            longest = _NOBODY_KNOWS * silent_after()
            return f"no heartbeat for {longest:g} s" if attempt.pulse.silent > longest else None
        longest = silent_after() / 2 if attempt.job else silent_after()  # the scheduler says as well that a job is over
        if attempt.pulse.silent <= longest or (attempt.job and not self._executor.ended(attempt.name)):
            return None
        return f"no heartbeat for {longest:g} s" + (", and its job is over" if attempt.job else "")

    def _went_with_others(self, attempt: Running, now: float) -> bool:
        """Whether whatever else ran on the attempt's host fell silent in the same moment."""
        if not attempt.host or attempt.pulse.silent == 0.0:
            return False
        others = [other for other in self.running.values() if other is not attempt and other.host == attempt.host]
        if others and all(other.pulse.silent > attempt.pulse.silent / 2 for other in others):
            self._gone[attempt.host] = now
        return now - self._gone.get(attempt.host, -math.inf) < silent_after()

    def _worker_gone(self, attempt: Running, now: float) -> bool:
        who = attempt.asker
        if who is not None and who.here and not is_running(who):
            return True
        if attempt.job and self._executor.ended(attempt.name):
            return True
        return attempt.known_for(now) > silent_after()  # to claim what it was given
