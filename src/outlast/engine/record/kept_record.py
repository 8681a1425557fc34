"""A study's settings and fold, kept between two looks: what was appended to its ledger is read, and nothing twice."""

from __future__ import annotations

import os

from outlast.config.settings import Settings
from outlast.core.fold import Study
from outlast.engine.record.examine import read_to_look
from outlast.engine.record.recorded import recorded_settings
from outlast.study.layout import StudyPaths
from outlast.study.reading_on import ReadingOn


class KeptRecord:
    """What the study folder has on record. Reads it all at first, and again whenever something else than appending happened.

    Attributes:
        changed: Whether the last reading found anything that the one before had not.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = folder
        self._reading: ReadingOn | None = None
        self._study: Study | None = None
        self.changed = True
        self._settings: tuple[object, object, Settings] | None = None  # of which revision, by which run

    def read(self) -> tuple[Settings, Study]:
        """The settings in force and the study; the same `Study` as before, changed, where it goes on.

        Raises:
            StudyNotFound: There is no study in this folder.
            LedgerDamaged: Its ledger cannot be read.
        """
        study = self._gone_on() or self._anew()
        known = self._settings
        if known is None or known[0] is not study.revision or known[1] is not study.last_run:
            settings, _ = recorded_settings(self._folder, study)
            self._settings = known = (study.revision, study.last_run, settings)
        return known[2], study

    def _gone_on(self) -> Study | None:
        """The study as it is now, if only something was appended."""
        study, self._study = self._study, None  # a fold that broke off half-way is nobody's
        events = self._reading.more() if self._reading is not None and study is not None else None
        if events is None or study is None:
            return None
        try:
            for event in events:
                study.apply(event)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        self._study, self.changed = study, bool(events)
        return study

    def _anew(self) -> Study:
        paths = StudyPaths.at(self._folder)
        reading, study = read_to_look(paths)
        self._reading, self._study, self.changed = ReadingOn(paths.ledger, reading), study, True
        return study
