"""How a study stands now, from outside: reads its folder and SLURM's queue, changes nothing.

What only a running study needs, or one with jobs, is imported where it is needed: most looks are at neither.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from outlast.config.settings import Settings
from outlast.core.file_names import AttemptPaths
from outlast.core.fold import Study
from outlast.core.states import StudyState, TrialState
from outlast.engine.record.health_facts import FactFinder, open_attempts
from outlast.engine.record.kept_record import KeptRecord
from outlast.engine.record.recorded import study_paths
from outlast.engine.record.supervised import supervisor_facts
from outlast.errors import OutlastError, SlurmUnavailable
from outlast.monitor.moved_on import WHOLE_EVERY, moved_on
from outlast.monitor.overview import Overview, Sight, overview_of
from outlast.monitor.queue import QueuedJob
from outlast.monitor.snapshot import LiveFacts, Snapshot, snapshot
from outlast.study.disk_space import lacking_space
from outlast.study.layout import StudyPaths
from outlast.study.lease import current_holder, holder_is_live

if TYPE_CHECKING:
    from outlast.runner.capture.curve import LiveReports

_ASK_EVERY = 15.0  # seconds between two listings of the queue, for somebody who keeps looking


class Looker:
    """Looks at the study in a folder, once or again and again: what was read is kept, and the queue is asked now and then only.

    Looks of one looker are made one after the other. The study that a look gives is changed by the next one.
    """

    def __init__(self, folder: str | os.PathLike[str], shown: str = "") -> None:
        self._folder, self._shown = folder, shown or os.fspath(folder)  # as a person types it
        self._jobs: Sequence[QueuedJob] | None = None
        self._silence = ""  # why SLURM did not answer
        self._asked_at = float("-inf")
        self._facts = FactFinder()
        self._record = KeptRecord(folder)
        self._whole: tuple[Snapshot, object] | None = None  # the last look at everything, and what it was about
        self._reports: dict[AttemptPaths, LiveReports] = {}
        self._latest: dict[AttemptPaths, tuple[int, float]] = {}
        self._counted: tuple[Settings, int] | None = None  # slots that a study file allows for here

    def look(self) -> tuple[Snapshot, Study, Settings]:
        """How it stands.

        Raises:
            StudyNotFound: There is no study in this folder.
            LedgerDamaged: Its ledger cannot be read.
        """
        settings, study = self._record.read()
        paths = study_paths(self._folder, settings)
        jobs = self._queued(paths, settings, study)
        live = _waits_for_room(paths, _live(paths, settings, study, jobs, self._silence, self._slots))
        reports, now = self._latest_reports(paths, study, settings), datetime.now(timezone.utc)
        waiting = _waiting(paths, study) if settings.executor.plugged else frozenset()
        supervisor = supervisor_facts(paths.supervisor)
        whole, key = self._whole, (live, supervisor, jobs, self._silence)
        if whole is not None and whole[1] == key and not self._record.changed and self._is_recent(whole[0], now):
            return moved_on(whole[0], study, now=now, running_reports=reports, waiting=waiting), study, settings
        found = snapshot(
            study,
            settings,
            now=now,
            live=live,
            running_reports=reports,
            running_seconds=_trained(paths, study),
            folder=self._shown,
            facts=self._facts.find(paths, study, settings, live=live is not None),
            jobs=jobs or (),
            silence=self._silence,
            waiting=waiting,
        )
        found = replace(found, supervisor=supervisor)
        self._whole = found, key
        return found, study, settings

    def _slots(self, holder: Mapping[str, Any], settings: Settings) -> int:
        """What the holder says, who alone knows; as many as would be here where it is an older Outlast's."""
        if isinstance(said := holder.get("slots"), int):
            return said
        if self._counted is None or self._counted[0] is not settings:
            from outlast.engine.attempts.slots import slot_count

            self._counted = settings, slot_count(settings)
        return self._counted[1]

    @staticmethod
    def _is_recent(before: Snapshot, now: datetime) -> bool:
        """Whether what depends on the time alone need not be worked out again yet."""
        passed = (now - before.now).total_seconds()
        return 0 <= passed < WHOLE_EVERY

    def overview(self) -> Overview:
        """`look`, of a study that is looked at alone."""
        found, study, settings = self.look()
        return overview_of(
            Sight(found.study, os.fspath(self._folder), found, study=study, settings=settings), found.now
        )

    def _latest_reports(self, paths: StudyPaths, study: Study, settings: Settings) -> dict[int, tuple[int, float]]:
        """Running trial → its latest report of the first objective, read from the attempts' files."""
        attempts = open_attempts(paths, study)
        self._reports = {files: self._reports[files] for files in attempts.values() if files in self._reports}
        if not attempts:
            return {}
        from outlast.engine.attempts.objectives import objectives_of
        from outlast.runner.capture.curve import LiveReports

        name, found = settings.metrics[0].name, {}
        for number, files in attempts.items():
            reports = self._reports.get(files)
            if reports is None:
                reports = self._reports[files] = LiveReports(files.reports, objectives_of(settings))
                self._latest.pop(files, None)
            for report in reports.poll():
                if name in report.metrics:
                    self._latest[files] = report.step, float(report.metrics[name])
            if files in self._latest:
                found[number] = self._latest[files]
        return found

    def _queued(self, paths: StudyPaths, settings: Settings, study: Study) -> Sequence[QueuedJob] | None:
        """The study's jobs that wait or run; ``None`` where it has none, or the queue cannot be asked from here."""
        if not study.jobs:
            return None
        from outlast.engine.record.study_queue import StudyQueue
        from outlast.executors.slurm.commands import can_list
        from outlast.executors.slurm.parse import JobLife

        if not can_list():
            return None
        now = time.monotonic()
        if now - self._asked_at >= _ASK_EVERY:
            self._asked_at = now
            try:
                queue = StudyQueue(paths, settings)
                active, self._silence = queue.active(), ""
            except SlurmUnavailable as error:
                self._silence = " ".join(error.fact.split())
                return self._jobs
            except OutlastError:
                return self._jobs
            self._jobs = [
                QueuedJob(
                    job.id, job.comment.removeprefix(queue.mark), job.state, job.life is JobLife.WAITING,
                    "" if job.reason == "None" else job.reason, job.node, job.restarts, job.suspended,
                )
                for job in active
            ]  # fmt: skip
        return self._jobs


def look(folder: str | os.PathLike[str]) -> tuple[Snapshot, Study, Settings]:
    """`Looker.look`, once."""
    return Looker(folder).look()


def _live(
    paths: StudyPaths,
    settings: Settings,
    study: Study,
    jobs: Sequence[QueuedJob] | None,
    silence: str,
    slots: Callable[[Mapping[str, Any], Settings], int],
) -> LiveFacts | None:
    """Who runs the study now: the holder of its lease, or its jobs among themselves, as far as SLURM tells of them."""
    if study.ended is not None:
        return None
    since = study.last_run.at if study.last_run else ""
    shared = any(job.role == "array" for job in study.jobs[-2:])  # then nobody holds it for longer than a moment
    if holder_is_live(paths.ledger) is not False and not shared:
        holder = current_holder(paths.ledger)
        return LiveFacts(str(holder.get("host", "")), int(holder.get("pid", 0)), since, slots(holder, settings))
    trials = [job for job in jobs or () if not job.is_small]
    if not trials and not any(job.role == "controller" for job in jobs or ()):
        working = _workers(study, since)
        if working is None and silence:
            return LiveFacts(since=since, slots=1, state=StudyState.WAITING, reason="SLURM gives no answer")
        return working
    suspended = [job for job in trials if job.suspended]
    running = [job for job in trials if not job.waits and not job.suspended]
    if running:
        return LiveFacts(since=since, slots=len(running))
    waiting = [job for job in trials if job.waits]
    reasons = sorted({job.reason for job in waiting if job.reason})
    why = f"{len(waiting)} {'job waits' if len(waiting) == 1 else 'jobs wait'} in the queue" + (
        f" ({', '.join(reasons)})" if reasons else ""
    )
    if suspended:
        others = f", {why}" if waiting else ""
        why = f"SLURM has suspended whatever runs ({len(suspended)}){others}"
    return LiveFacts(since=since, slots=1, state=StudyState.WAITING, reason=why)


def _waits_for_room(paths: StudyPaths, live: LiveFacts | None) -> LiveFacts | None:
    """A search that goes on begins nothing while the disk is full."""
    lacking = None if live is None else lacking_space(paths)
    return live if live is None or not lacking else replace(live, state=StudyState.WAITING, reason=lacking)


def _workers(study: Study, since: str) -> LiveFacts | None:
    """Workers that somebody started by hand, as far as they have trials."""
    at_work = [
        trial
        for trial in study.in_state(TrialState.RUNNING)
        if trial.open_attempt is not None and trial.open_attempt.slot.startswith("worker:")
    ]
    return LiveFacts(since=since, slots=len(at_work)) if at_work else None


def _waiting(paths: StudyPaths, study: Study) -> frozenset[int]:
    """Running trials whose jobs nobody has started yet."""
    of_jobs = [trial for trial in study.in_state(TrialState.RUNNING) if trial.open_attempt and trial.open_attempt.job]
    started = {trial.number: paths.attempt(trial.number, trial.attempts[-1].number).started for trial in of_jobs}
    return frozenset(number for number, claim in started.items() if not claim.exists())


def _trained(paths: StudyPaths, study: Study) -> dict[int, float]:
    """Running trial → seconds that its attempt has trained so far. A kept one has no heartbeat: it trains since it was opened."""
    if not (attempts := open_attempts(paths, study)):
        return {}
    from outlast.study.attempts import trained_seconds

    kept = {number for number in attempts if study.trials[number].attempts[-1].kept}
    return {number: trained_seconds(attempt) for number, attempt in attempts.items() if number not in kept}
