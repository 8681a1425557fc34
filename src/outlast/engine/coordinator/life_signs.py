"""Whether a watched attempt is over, and what evidence it leaves. Unknown is never an ending."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec.structs import replace

from outlast._system.processes import is_running
from outlast.config.settings import Settings
from outlast.core.evidence import Evidence, JobEnd
from outlast.core.faults import ended_by_others
from outlast.core.parts import next_part
from outlast.engine.attempts.folds import study_parts
from outlast.engine.attempts.kept_attempts import of_crash, saved_since
from outlast.engine.attempts.running import Running
from outlast.engine.coordinator.decisions import Decisions
from outlast.executors.base import Executor
from outlast.runner.spec import silent_after, token_of_attempt
from outlast.study.attempts import Life, end_tree, give_up, last_words, void_start
from outlast.study.layout import StudyPaths

LOOK_EVERY = 2.0  #: Seconds between looks into the folder of an attempt whose runner says by itself what happens.
_NOBODY_KNOWS = 5  # times as long is waited for a job's heartbeat where its scheduler cannot be asked


class LifeSigns:
    """What the files of the running attempts, their hosts and their scheduler say of them.

    Args:
        running: The attempts, by name; kept by the watch.
    """

    def __init__(
        self, paths: StudyPaths, settings: Settings, decisions: Decisions, executor: Executor, running: Mapping[str, Running]
    ) -> None:  # fmt: skip
        self._paths, self._settings, self._decisions = paths, settings, decisions
        self._executor, self._running = executor, running
        self._gone: dict[str, float] = {}  # host → when several attempts on it had fallen silent together

    def evidence(self, attempt: Running, now: float) -> Evidence | None:
        """The evidence of an attempt that is over; ``None`` while it may live. Unknown is never an ending."""
        if attempt.kept:
            return self._kept(attempt)
        if attempt.evidence is not None:
            return self._completed(attempt, attempt.evidence, now)
        if attempt.speaks and now < attempt.look_at:
            return None
        attempt.look_at = now + LOOK_EVERY
        status = attempt.look(now)
        if status.life is Life.OVER and status.evidence is not None:
            return self._completed(attempt, status.evidence, now)
        why = self._certainly_dead(attempt, status.life, status.reason, now)
        if why is None:
            return None
        if status.life is Life.UNCLAIMED:
            return self._unclaimed(attempt, why) if self._void(attempt) else None
        stuck = end_tree(attempt.paths, token_of_attempt(str(self._paths.root), attempt.trial, attempt.number))
        if stuck:
            text = f"processes of trial {attempt.trial} cannot be ended: {stuck}"
            self._decisions.warn(f"stuck-{attempt.name}", text)
            return None
        return self._completed(attempt, give_up(attempt.paths, why), now)

    def _kept(self, attempt: Running) -> Evidence | None:
        """Of an attempt in a kept worker, which is heard of or never was handed over."""
        evidence = attempt.evidence
        if evidence is None:
            return None if attempt.submitted else Evidence(never_started=True)
        if attempt.ended is not None and attempt.ended.crashed:
            trial = self._decisions.study.trials[attempt.trial]
            part = next_part(trial, study_parts(self._settings))
            last = trial.last_step(None if part is None else part.number)
            pattern, opened_at = self._settings.checkpoints.pattern, trial.attempts[-1].opened_at
            saved = saved_since(attempt.trial_paths.checkpoints, pattern, opened_at)
            return replace(of_crash(evidence, attempt.ended, attempt.told, attempt.objectives, last), saved=saved)
        return evidence

    def _void(self, attempt: Running) -> bool:
        """See to it that nobody claims the attempt any more. Where its marker was never laid out nobody can, and nothing is
        written: the disk may be full."""
        marker = self._paths.open_marker(attempt.trial, attempt.number)
        return (not attempt.worker and not marker.exists()) or void_start(attempt.paths)

    def _unclaimed(self, attempt: Running, why: str) -> Evidence:
        """A runner that dies before its claim would die again: that counts. One that nobody started does not."""
        submitted = attempt.submitted and not attempt.worker
        end = self._executor.job_end(attempt.name) if submitted else JobEnd.NEVER_SUBMITTED
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
        others = [other for other in self._running.values() if other is not attempt and other.host == attempt.host]
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
