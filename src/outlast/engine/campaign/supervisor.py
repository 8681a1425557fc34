"""The supervisor: a coordinator for each study until that comes to rest, begun again when it dies, and each of it said."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from outlast._system.clock import utc_now
from outlast.engine.campaign.coordination import Coordination
from outlast.engine.campaign.looked_after import Wanted, Watched
from outlast.engine.campaign.restarts import REFUSED, Ending, follow, manner, worst
from outlast.engine.campaign.vital_signs import judge
from outlast.engine.launch import make_ready
from outlast.errors import OutlastError, StudyBusy
from outlast.monitor.times import duration
from outlast.study.lease import lease_duration
from outlast.study.supervision import Charge, Post, Supervision

_LOOK_EVERY = 5.0  # seconds between two looks at the vital signs
_TOUCH_EVERY = 30.0  # seconds after which the record is written anew, as a sign of life


def pace() -> float:
    """Seconds before the first restart; what a supervisor waits for otherwise is in proportion to it."""
    return float(os.environ.get("OUTLAST_RESTART_SECONDS") or 1.0)


class Supervisor:
    """Looks after studies, each in a process of its own. One that cannot start, halts or is broken touches no other.

    Args:
        post: Taken.
        wanted: The studies, in their order; no two of one name.
        before: What an earlier supervisor has on record: its coordinators may live.
        alone: It is one study in the background, whose coordinator says itself how it begins and ends.
        say: Told what happens, study and sentence; the study is empty for what is about all.
    """

    def __init__(
        self,
        post: Post,
        wanted: Sequence[Wanted],
        before: Supervision | None,
        say: Callable[[str, str], object],
        *,
        alone: bool = False,
    ) -> None:
        self._post, self._before, self._say, self._alone = post, before, say, alone
        self._studies = [Watched(each) for each in wanted]
        self._begins_nothing = self._by_person = self._now = False  # the end was asked for; by whom; without any grace
        self._pace = pace()
        self._touched = 0.0
        self._changed = True

    # -- from outside -------------------------------------------------------------------------------------------------

    def round(self, heard: Sequence[object] = ()) -> None:
        """Begin what is due, take in what ended, look after what runs.

        Args:
            heard: Once there is something in it, the rest of the round waits: beginning fifty studies takes its time.
        """
        now = time.monotonic()
        for each in self._studies:
            if heard:
                break
            try:
                self._attend(each, now)
            except Exception as error:  # whatever is wrong with one is nothing to the others
                what = f"a fault of Outlast's own ({type(error).__name__}: {error})"
                self._died(each, Ending(1), what, now)
        if self._changed or now - self._touched > _TOUCH_EVERY:
            self._changed, self._touched = False, now
            self._post.write(self.charges)

    def stop(self, *, now: bool = False, by_person: bool = True) -> None:
        """Every study stops, each in its own grace or at once; nothing is begun again.

        Args:
            now: Without any grace. May follow a stop with it.
            by_person: Not by a signal that a machine which goes down sends, too: only a person undoes what a person did.
        """
        self._begins_nothing = True
        self._by_person, self._now = self._by_person or by_person, self._now or now
        for each in self._studies:
            if self._is_let_go(each) or (now and each.is_over and each.charge.code == 4):
                self._end_what_trains(each)
            elif each.at is not None and not each.is_over:
                self._set(each, asked=each.charge.asked or by_person)
                each.at.ask_to_stop(now=now, by_person=by_person)

    def begin_nothing(self) -> None:
        """Let what runs come to its rest by itself, and begin nothing again: a person asked for that."""
        self._begins_nothing = self._by_person = True
        for each in self._studies:
            self._is_let_go(each)

    @property
    def is_over(self) -> bool:
        """Whether every study has come to its end."""
        return all(each.is_over for each in self._studies)

    @property
    def charges(self) -> tuple[Charge, ...]:
        """The studies as they are seen now."""
        return tuple(each.charge for each in self._studies)

    @property
    def in_hand(self) -> bool:
        """Whether every study is held by its coordinator, or over."""
        return all(each.is_over or (each.at is not None and each.at.holds) for each in self._studies)

    # -- one study ----------------------------------------------------------------------------------------------------

    def _attend(self, each: Watched, now: float) -> None:
        if each.is_over:
            return
        if each.charge.condition in ("starting", "waiting"):
            self._begin(each, now)
        elif each.at is not None and (ending := each.at.ending()) is not None:
            self._take_in(each, each.at, ending, now)
        elif each.at is not None and now >= each.look_at:
            each.look_at = now + _LOOK_EVERY * min(1.0, self._pace)
            self._look(each, each.at)

    def _set(self, each: Watched, **changes: object) -> None:
        each.charge = replace(each.charge, **changes)
        self._changed = True

    def _begin(self, each: Watched, now: float) -> None:
        if each.at is not None and each.charge.condition == "waiting" and (how := each.at.asked_to_end()) is not None:
            self._set(each, condition="ended", code=4, asked=True, since=utc_now())
            self._say(each.wanted.study, "a person asked for its end: it is not begun again")
            if not how.get("drain"):
                self._end_what_trains(each, now=bool(how.get("now")))
            return
        if now < each.not_before:
            return
        try:
            if self._is_taken_over(each):
                return
            if each.at is None or not each.is_ready:
                each.at, each.is_ready = self._made_ready(each.wanted), True
                each.wanted = replace(each.wanted, fresh=False)  # it is done: what is there now is what goes on
                if self._is_taken_over(each):
                    return
            restart = each.charge.condition == "waiting"
            each.at.begin()
            if restart or not self._alone:
                self._say(each.wanted.study, f"{'begun again' if restart else 'begun'} (pid {_pid(each.at)})")
        except OutlastError as error:
            self._refused(each, error, now)
            return
        except OSError as error:
            self._died(each, Ending(1), f"cannot be begun: {error.strerror or error}", now)
            return
        self._runs(each, each.at, restarts=each.charge.restarts + restart)

    def _is_taken_over(self, each: Watched) -> bool:
        """Whether there is a coordinator already, whom we look after from now on, whatever would speak against a beginning."""
        at = None if each.wanted.fresh else each.where_it_lies
        if at is None or not at.find(None if self._before is None else self._before.of(each.wanted.study)):
            return False
        each.at, each.leaves = at, at.is_leaving()
        if each.leaves:
            self._say(each.wanted.study, f"is stopping (pid {_pid(at)}): it is begun again once it has")
        else:
            self._say(each.wanted.study, f"runs already (pid {_pid(at)}): taken over, not begun again")
        self._runs(each, at)
        return True

    def _runs(self, each: Watched, at: Coordination, **changes: object) -> None:
        self._set(
            each, condition="running", process=at.process, ours=at.ours, since=at.since,
            folder=str(at.paths.root), word="", **changes,
        )  # fmt: skip
        each.said, each.look_at = "", time.monotonic() + _LOOK_EVERY * min(1.0, self._pace)
        self._post.write(self.charges)  # before anything else: whoever comes after us takes it over

    def _is_let_go(self, each: Watched) -> bool:
        """Whether it was to be begun, which it is not any more."""
        if each.charge.condition not in ("starting", "waiting"):
            return False
        with contextlib.suppress(OutlastError, OSError):  # what cannot be looked at cannot be begun either
            if self._is_taken_over(each):
                return False
        self._set(each, condition="ended", code=4, asked=self._by_person, since=utc_now())
        return True

    def _end_what_trains(self, each: Watched, *, now: bool = False) -> None:
        """Trainings outlive their coordinator: where none will come, they are asked themselves."""
        at = each.where_it_lies
        if at is not None and (words := at.end_what_trains(now=now or self._now)):
            self._say(each.wanted.study, words)

    def _made_ready(self, wanted: Wanted) -> Coordination:
        if wanted.error is not None or wanted.orders is None:
            raise wanted.error or OutlastError("there is nothing to run")
        orders = wanted.orders
        folder = make_ready(
            orders.settings, wanted.folder, fresh=wanted.fresh, resume=wanted.resume,
            say=lambda text: self._say(wanted.study, text),
        )  # fmt: skip
        return Coordination(replace(orders, folder=folder))

    def _refused(self, each: Watched, error: OutlastError, now: float) -> None:
        if error.exit_code == REFUSED or isinstance(error, StudyBusy) or not error.worth_retrying:
            code = error.exit_code if isinstance(error, StudyBusy) else REFUSED
            self._set(each, condition="refused", code=code, word=str(error), since=utc_now())
            self._say(each.wanted.study, f"cannot start: {error}")
        else:
            self._died(each, Ending(error.exit_code), f"cannot be begun: {error.fact}", now)

    def _take_in(self, each: Watched, at: Coordination, ending: Ending, now: float) -> None:
        if at.find(None):  # somebody else holds it by now
            self._set(each, process=at.process, ours=at.ours, since=at.since)
            self._say(each.wanted.study, f"is run by another process by now (pid {_pid(at)}): nothing is begun")
            return
        after = follow(ending, each.misfortunes, pace=self._pace)
        if each.leaves and after.what == "over" and after.code == 4 and not self._begins_nothing:
            each.leaves = False
            self._set(each, condition="starting", since=utc_now())
            return
        if after.what == "over":
            refused = after.code == REFUSED
            word = at.last_words() if refused else ""
            self._set(each, condition="refused" if refused else "ended", code=after.code, since=utc_now(), word=word)
            came_to = {0: "is done", 3: "has halted", REFUSED: f"cannot start: {word}"}.get(after.code, "has stopped")
            if not self._alone:
                self._say(each.wanted.study, came_to)
            if ending.asked and not ending.state:  # it was ended before it had asked them
                self._end_what_trains(each)
            return
        words = at.last_words() if ending.code is not None and ending.code > 0 else ""
        self._died(each, ending, f"its coordinator {manner(ending)}" + (f" ({words})" if words else ""), now)

    def _died(self, each: Watched, ending: Ending, what: str, now: float) -> None:
        after = follow(ending, each.misfortunes, pace=self._pace)
        each.misfortunes = after.misfortunes
        if after.what == "again" and not self._begins_nothing:
            each.not_before = now + after.after
            self._set(each, condition="waiting", word=what, since=utc_now())
            self._say(each.wanted.study, f"{what}: it is begun again in {duration(after.after)}")
        else:
            self._set(each, condition="given up", code=4, word=what, since=utc_now())
            self._say(each.wanted.study, f"{what}: it is not begun again; the same command goes on")

    def _look(self, each: Watched, at: Coordination) -> None:
        judgement = judge(at.signs(), lease=lease_duration(), pace=self._pace)
        if judgement.what == "replace" and at.ours:
            what = f"its coordinator (pid {_pid(at)}) {judgement.why}: it is ended and replaced"
            if each.said != what:  # one that hangs in the kernel is told of once, and goes when it can
                self._say(each.wanted.study, what)
            each.said = what
            at.replace()
            return
        if judgement.what != "well" and each.said != judgement.why:
            what = "it is replaced if that lasts" if at.ours else "somebody else began it: it is left alone"
            self._say(each.wanted.study, f"its coordinator (pid {_pid(at)}) {judgement.why}: {what}")
            self._set(each, word=f"its coordinator {judgement.why}")
        elif judgement.what == "well" and each.said:
            self._say(each.wanted.study, "its coordinator is at work again")
            self._set(each, word="")
        each.said = "" if judgement.what == "well" else judgement.why


def _pid(at: Coordination) -> int:
    return at.process.pid if at.process is not None else 0


def exit_code(charges: Sequence[Charge]) -> int:
    """What a command leaves with: 2 one could never start, 3 one halted, 4 there is work left, 0 all are done."""
    return worst(4 if each.code is None else each.code for each in charges)
