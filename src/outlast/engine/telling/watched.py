"""What is looked at to tell of it: one study, or a campaign."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Protocol

from outlast._system.locks import is_locked
from outlast.config.settings import NotifySettings
from outlast.core.states import StudyState
from outlast.engine.record.look import Looker
from outlast.engine.record.look_many import ManyLooker
from outlast.engine.telling import message
from outlast.engine.telling.addresses import addresses_of
from outlast.engine.telling.message import Message
from outlast.engine.telling.told_before import ToldBefore
from outlast.errors import OutlastError
from outlast.monitor.health import HealthWarning, begun_well
from outlast.monitor.overview import Sight
from outlast.study.campaign import CampaignPaths, campaigns_of, read_campaign
from outlast.study.layout import StudyPaths
from outlast.study.supervision import live_supervision

_SUPERVISED = 4  # looks that a supervisor has to begin again what died


class Watched(Protocol):
    """Looked at again and again."""

    over: bool  # it has come to rest, or nobody runs it any more: there is nothing more to see
    doubtful: bool  # the last look saw what the next one has to bear out

    def news(self, told: ToldBefore, *, alone: bool) -> list[Message]:
        """What there is to tell; `told` is brought up to date. `alone`: whoever began us is gone."""


class OneStudy:
    """A study in its folder."""

    def __init__(self, folder: str, what: Sequence[str], shown: str) -> None:
        self._folder = os.path.abspath(folder)
        self._name, self._what, self.over = os.path.basename(self._folder), what, False
        self.doubtful = False
        self._looker = Looker(folder, shown)
        self._left_since: float | None = None

    def news(self, told: ToldBefore, *, alone: bool) -> list[Message]:
        """See `Watched`. That a run died is told after a while only: a supervisor may begin it again at once."""
        now = time.time()
        try:
            seen, study, settings = self._looker.look()
        except OutlastError as error:
            self.over = alone
            broken = HealthWarning("unreadable", error.fact, error.cure or "", level="error")
            return told.see(self._name, [broken], self._what, now)
        found = list(seen.warnings)
        dead = any(each.key == "left_alone" for each in found)
        self._left_since = (self._left_since or time.monotonic()) if dead else None
        settled = self._left_since is not None and time.monotonic() - self._left_since >= self._patience()
        self.doubtful = dead and not settled
        if self.doubtful:
            found = [each for each in found if each.key != "left_alone"]
        news: list[Message] = []
        if "begin" in self._what and study.last_run is not None and told.begun != study.last_run.at:
            well = begun_well(study, settings, now=seen.now, folder=seen.folder)
            if well is not None:
                told.begun = study.last_run.at
                news.append(message.begun(seen.study, well))
        if study.ended is None:
            self.over = dead and settled
            return [*told.see(seen.study, found, self._what, now, last=self.over), *news]
        self.over = True
        told.forget()
        if "end" in self._what and told.ended != study.ended.at:
            told.ended = study.ended.at
            news.append(message.ended(seen))
        return news

    def _patience(self) -> float:
        """Seconds after which a run that died is believed to be dead: a supervisor needs some to begin it again."""
        records = [StudyPaths.at(self._folder).supervisor]
        records += [CampaignPaths.at(folder).supervisor for folder, _ in campaigns_of(self._folder)]
        return look_every() * (_SUPERVISED if any(live_supervision(each) is not None for each in records) else 1)


class ACampaign:
    """The studies of a campaign. What is wrong with one that tells of itself is left to it."""

    def __init__(self, folder: str, what: Sequence[str]) -> None:
        self._what, self.over, self.doubtful = what, False, False
        self._looker = ManyLooker(folder)
        self._dead_since: dict[tuple[str, str], float] = {}
        self._heard: set[str] = set()  # studies of which somebody was seen to tell, by their names

    def news(self, told: ToldBefore, *, alone: bool) -> list[Message]:
        """See `Watched`."""
        now, overview = time.time(), self._looker.look()
        themselves = {each.name for each in overview.sights if self._tells_of_itself(each)}
        seen = overview.snapshots
        resting = all(each.live is None for each in seen)  # also where nothing is left to be seen
        ended = bool(seen) and resting and all(each.state is not StudyState.STOPPED or each.reason for each in seen)
        found = [
            each for each in overview.findings
            if each.study not in themselves or each.key in ("not_started", "restarted")
        ]  # fmt: skip
        patient = overview.supervisor is not None or not seen  # coordinators may be on their way
        found = self._borne_out(found, patience=look_every() * (_SUPERVISED if patient else 1), nothing=not seen)
        self.over = alone and resting and not self.doubtful
        news = told.see(overview.name, found, self._what, now, last=self.over)
        if self.over and ended and "end" in self._what:
            last = max((each.time.ended.isoformat() for each in seen if each.time.ended is not None), default="")
            if told.ended != last:
                told.ended = last
                news.append(message.all_ended(overview.name, seen))
        return news

    def _tells_of_itself(self, sight: Sight) -> bool:
        """Whether a study's own `notify` reaches anybody. Where its record hides the addresses, whoever runs it may have them."""
        if sight.settings is None or not sight.settings.notify:
            return False
        usable, _ = addresses_of(sight.settings.notify, {**os.environ, **sight.settings.env}, os.curdir)
        if not usable and sight.name not in self._heard and is_locked(str(StudyPaths.at(sight.folder).telling)):
            self._heard.add(sight.name)
        return bool(usable) or sight.name in self._heard

    def _borne_out(
        self, found: Sequence[HealthWarning], patience: float, *, nothing: bool = False
    ) -> list[HealthWarning]:
        """Without processes that died a moment ago: a supervisor begins a study's again, and systemd a supervisor."""
        now = time.monotonic()
        dead = {
            (each.study, each.key) for each in found if each.key in ("left_alone", "supervisor_gone", "all_stopped")
        }
        dead |= {("", "nothing")} if nothing else set()
        self._dead_since = {each: self._dead_since.get(each, now) for each in dead}
        fresh = {each for each, since in self._dead_since.items() if now - since < patience}
        self.doubtful = bool(fresh)
        return [each for each in found if (each.study, each.key) not in fresh]


def watched_in(folder: str, notify: NotifySettings, cwd: str) -> Watched:
    """A study where there is one, otherwise a campaign. Commands name it as seen from `cwd`, where it lies below that."""
    near = os.path.relpath(folder, cwd)
    shown = os.path.abspath(folder) if near.startswith(os.pardir) else near
    if StudyPaths.at(folder).exists or read_campaign(folder) is None:
        return OneStudy(folder, notify.what, shown)
    os.chdir(cwd)
    return ACampaign(shown, notify.what)


def look_every() -> float:
    """Seconds between two looks, and after which a run that died is believed to be dead."""
    return float(os.environ.get("OUTLAST_TELL_SECONDS") or 15.0)
