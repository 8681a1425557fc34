"""What is derived from the ledger during a run: the index, the tables, the kept checkpoints. None of it decides anything."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.core.records import Trial
from outlast.engine.attempts.outcome import points
from outlast.engine.attempts.running import Running
from outlast.engine.derived.checkpoints import Retention
from outlast.engine.derived.drawn import keep_drawn
from outlast.engine.derived.home_sync import HomeSyncThread
from outlast.engine.derived.indexes import Indexes, other_stores
from outlast.engine.derived.report_behind import ReportBehind
from outlast.optimizer.index.index_build import rebuild_index
from outlast.optimizer.index.index_check import check_index, has_waiting
from outlast.optimizer.index.index_rows import noted_texts
from outlast.optimizer.index.study_db import IndexWriter
from outlast.results.writer import ResultsWriter
from outlast.study.home import home_of
from outlast.study.layout import StudyPaths

_MANY = 200  # trials whose rows take as long as a training may
_SELDOM = 30.0  # seconds between two drawings of long tables
_OF_EACH = 20 * 30e-6  # seconds that each trial adds to that: twenty times what its rows take
_ASKED_WITHIN = 5.0  # seconds that the first trial waits for what a person asked for
_CURVES_EVERY = 1.0  # seconds between looks at running curves for the index


class DerivedFiles:
    """Keeps everything derived current; trouble with it is said and never stops the study."""

    def __init__(self, paths: StudyPaths, settings: Settings, *, fence: Callable[[], object] | None = None) -> None:
        self._paths, self._settings, self._fence = paths, settings, fence
        self._own = IndexWriter(paths.index, settings, fence=fence)
        self.index = Indexes([self._own])
        self._results = ResultsWriter(
            paths.root, settings, checkpoints=lambda number: paths.trial(number).checkpoints, fence=fence
        )
        self._warnings: list[str] = []
        self._curves_due = 0.0
        self._stale, self._results_due = True, 0.0
        self._to_begin = self._drawn = False
        self.begun = False  # to be written: in a turn that may be left to others
        self.decided_anything = False
        self.is_whole = False  # once closed: tables and indexes hold everything
        self._lengths: dict[int, int] = {}
        self._retention = Retention(paths, settings, fence=fence, warnings=self._warnings)
        home = home_of(paths)
        self._home_sync = None if home is None else HomeSyncThread(paths, home, self._warnings, fence=fence)
        self._news = False
        self._report, self._report_news = ReportBehind(paths), False

    def start(self, study: Study, *, doubtful: bool, rivalled: bool, drawn: bool = False) -> None:
        """Check or rebuild what is there, and begin to write behind; of a long study once its first trials have begun.

        What somebody enqueued in the index since it was drawn, or in a file that `index:` names, is known on return: no other
        trial is drawn in its place. A server is waited for by nobody.

        Args:
            doubtful: The holder before did not end its run.
            rivalled: It may even be alive and in the middle of a write: its index is replaced by a new file.
            drawn: Index and tables show every trial as it is: they are brought up to date when one changes.
        """
        self.begun, index = True, self._paths.index
        if index.exists() and (rivalled or (doubtful and check_index(index, study, self._settings))):
            try:
                rebuild_index(index, study, self._settings)
            except OSError as error:
                text = f"{index.name} cannot be built ({error}); every result is safe in the ledger"
                self._own.warnings.append(text)
        others = other_stores(self._paths.index, self._settings, study, self._fence, self._warnings)
        self.index.add(others)
        if drawn and not others and index.exists():
            self._drawn, self._stale = True, False
            self._results_due = time.monotonic() + min(_SELDOM, _OF_EACH * len(study.trials))
        asked = not self._drawn and index.exists() and has_waiting(index)
        self._to_begin = len(study.trials) > _MANY and not asked
        if not self._to_begin:
            self._begin(study)
        if asked:
            self._own.flush(_ASKED_WITHIN)  # whose thread finds it
        if self._home_sync is not None:
            self._home_sync.start()

    def _begin(self, study: Study) -> None:
        self._to_begin = False
        if self._drawn:
            self.index.trust(study.trials.values())
        else:
            self.index.update(study.trials.values())
        self.index.note_study(noted_texts(study))
        self.index.start()
        self._write_results(study)

    def noted(self, study: Study) -> None:
        """Something was noted about the study."""
        self.index.note_study(noted_texts(study))

    def decided(self, trials: Sequence[Trial]) -> None:
        """These trials changed."""
        if trials:
            self.index.update(trials)
            self._stale = self._news = self._report_news = self.decided_anything = True

    def tidied(self) -> None:
        """A trial's files are put away: they can be brought home."""
        self._news = True

    def looked(self, study: Study, running: Sequence[Running]) -> list[str]:
        """Write what is due; hand new reports to the index, about once a second. Returns what people are told."""
        told = self._told()
        if self._to_begin:
            self._begin(study)
        if self._home_sync is not None and self._news:  # it looks for itself what there is to bring
            self._home_sync.wanted()
            self._news = False
        if self.begun:
            self._write_results(study)
        self._report.looked(news=self._report_news)
        self._report_news = False
        now = time.monotonic()
        if now < self._curves_due:
            return told
        curves: dict[int, dict[int, float]] = {}
        for attempt in running:
            if len(attempt.reports) != self._lengths.get(attempt.trial, 0):
                self._lengths[attempt.trial] = len(attempt.reports)
                curves[attempt.trial] = dict(points(attempt.reports, self._settings.metrics[0].name))
        if curves:
            self.index.update([study.trials[number] for number in curves], curves)
        after = time.monotonic()
        self._curves_due = after + max(_CURVES_EVERY, 20 * (after - now))  # long curves: less often, never in the way
        return told

    def _write_results(self, study: Study) -> None:
        """Bring the tables up to date, but spend at most a twentieth of the time on it."""
        now = time.monotonic()
        if not self._stale or now < self._results_due:
            return
        self._stale = not self._results_written(study)
        after = time.monotonic()
        self._results_due = after + (5.0 if self._stale else min(_SELDOM, 20 * (after - now)))

    def _results_written(self, study: Study) -> bool:
        try:
            self._results.write(study)
        except OSError as error:
            if self._fence is not None:
                self._fence()  # whoever took over has removed our temporary files
            text = f"{error.filename or 'the result files'} cannot be written ({error.strerror}): tried again later"
            if text not in self._warnings:
                self._warnings.append(text)
            return False
        return True

    def retain(self, study: Study) -> list[int]:
        """Let the checkpoints of finished trials go that are not among the best `checkpoints.keep`.

        Called after the trials' outcomes are durable. Returns the trials whose checkpoints are gone.
        """
        due = self._retention.due(study)
        if due and self._best_is_among(due):
            self._results_written(study)  # the link moves on before its target goes
        gone = self._retention.clear(due, study) if due else []
        self._stale = self._stale or bool(gone)
        return gone

    def _best_is_among(self, numbers: Sequence[int]) -> bool:
        target = os.path.realpath(self._paths.best_checkpoint)
        return any(os.path.realpath(self._paths.trial(number).checkpoints) == target for number in numbers)

    @property
    def home_seconds(self) -> float:
        """That it takes by now to bring home what is new."""
        return 0.0 if self._home_sync is None else self._home_sync.took

    def close(self, study: Study, *, within: float | None = None) -> list[str]:
        """Write what is left; `is_whole` tells whether all of it was. Returns what people are told.

        Args:
            within: Seconds after which the session ends.
        """
        self._report.close()
        if self._to_begin:
            self._begin(study)
        written = self._results_written(study)
        self.is_whole = self.index.close() and written
        self._retention.close()
        if self.is_whole and study.ended is not None and not has_waiting(self._paths.index):
            with contextlib.suppress(OSError):
                keep_drawn(self._paths, study)
        if self._home_sync is not None:
            self._home_sync.close(within)
        return self._told()

    def leave(self) -> list[str]:
        """Write nothing: that is left to others. What is being deleted is waited for by nobody. Returns what people are told."""
        self._retention.close(0.0)
        return self._told()

    def _told(self) -> list[str]:
        told = self.index.told()
        while self._warnings:  # the thread that brings the study home appends meanwhile
            told.append(self._warnings.pop(0))
        return told

    def abandon(self) -> None:
        """Write no more: what we know may not be what the study is."""
        self.index.close(timeout=0.0)
        if self._home_sync is not None:
            self._home_sync.abandon()
        self._report.close()  # last: it may wait for a process's end, and the others still write
