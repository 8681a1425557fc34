"""Rules about what takes too long, is silent, or has a clock that cannot be right."""

from __future__ import annotations

from datetime import datetime

from outlast.core.moments import parse_time
from outlast.core.records import HERE
from outlast.core.states import TrialState
from outlast.monitor.health.warning import HealthWarning, Level
from outlast.monitor.health.what_rules_see import View
from outlast.monitor.times import duration

_HOUR = 3600.0
_NOTHING_COMPLETED = 2 * _HOUR
_LONG_TRIAL = 24 * _HOUR
_SILENT = 0.5 * _HOUR
_HUNG = 600.0
_STEPS = 10  # usual steps without a word: no longer a slow one
_NO_SIGN = 60.0  # without a heartbeat, of which there is one every five seconds
_IDLE_CARD = 600.0
_CLOCK = 60.0  # by which recorded times may contradict each other


def nothing_completed(view: View) -> HealthWarning | None:
    """No trial has completed for two hours of work, and for longer than trials take. While none runs no time passes: a study
    that waits for a slot, a job or room on its disk is in good health."""
    run = parse_time(view.study.last_run.at) if view.study.last_run is not None else None
    if not view.live or run is None or (view.study.in_state(TrialState.RUNNING) and not view.running):
        return None
    complete = view.complete
    last = max((moment for t in complete[-1:] if (moment := parse_time(t.finished_at)) is not None), default=run)
    since = max(run, last)
    limit = max(_NOTHING_COMPLETED, 1.5 * view.longest_trial)  # trials that take five hours each are no trouble
    if (view.now - since).total_seconds() < limit or (quiet := view.worked_since(since)) < limit:
        return None
    text = f"no trial has completed for {duration(quiet)}"
    return HealthWarning("nothing_completed", text, f"outlast logs {view.where}", view.time(since), "error")


def long_trial(view: View) -> HealthWarning | None:
    """A trial that has been running for more than a day."""
    ages: list[tuple[datetime, int]] = [(at, t.number) for t in view.running if (at := view.opened(t)) is not None]
    if not view.live or not ages:
        return None
    began, number = min(ages)
    age = (view.now - began).total_seconds()
    if age < _LONG_TRIAL:
        return None
    cure = f"outlast logs {view.where} {number}; outlast stop {view.where} --trial {number} ends it"
    return HealthWarning("long_trial", f"trial {number} has been running for {duration(age)}", cure, view.time(began))


def silent(view: View) -> HealthWarning | None:
    """Nothing that runs has printed or reported anything for half an hour, and for longer than is usual here."""
    quiet = [view.facts.quiet.get(trial.number) for trial in view.running]
    known = [each for each in quiet if each is not None]
    if not view.live or not known or len(known) < len(quiet):
        return None
    step = view.usual_step
    usual = 1.5 * view.longest_trial if step is None else _STEPS * step
    if min(known) < max(_SILENT, usual):
        return None
    what = "the trial that runs has" if len(known) == 1 else f"the {len(known)} trials that run have"
    text = f"{what} printed and reported nothing for {duration(min(known))}"
    cure = f"outlast logs {view.where} -f; trial.hang_after ends such trials"
    level: Level = "error" if view.complete else "warning"  # of the first trials nobody knows yet how quiet they are
    return HealthWarning("silent", text, cure, view.before(min(known)), level)


def hung_trial(view: View) -> HealthWarning | None:
    """One trial is silent for many times as long as its siblings take for a step, while others talk."""
    step = view.usual_step
    if not view.live or step is None or silent(view) is not None:
        return None
    limit = max(_HUNG, _STEPS * step, 0.5 * (view.usual_trial or 0.0))
    quiet = [(seconds, t.number) for t in view.running if (seconds := view.facts.quiet.get(t.number, 0.0)) > limit]
    if not quiet:
        return None
    seconds, number = max(quiet)
    text = f"trial {number} has said nothing for {duration(seconds)}; a step usually takes {duration(step)}"
    cure = f"outlast logs {view.where} {number}; outlast stop {view.where} --trial {number} ends it"
    return HealthWarning("hung_trial", text, cure, view.before(seconds))


def stale_worker(view: View) -> HealthWarning | None:
    """A runner that gives no sign of life, and that nobody has given up yet."""
    lost = [(age, t) for t in view.running if (age := view.facts.lost_touch.get(t.number, 0.0)) > _NO_SIGN]
    if not view.live or not lost:
        return None
    age, trial = max(lost, key=lambda each: each[0])
    attempt = trial.open_attempt
    slot = attempt.slot if attempt is not None else ""
    who = f" ({slot})" if slot and not slot.startswith(HERE) else ""
    text = f"the runner of trial {trial.number}{who} has given no sign of life for {duration(age)}"
    cure = "nothing, if its host is gone: the trial is given to somebody else; wake it up if it was stopped"
    return HealthWarning("stale_worker", text, cure, view.before(age))


def idle_card(view: View) -> HealthWarning | None:
    """A card that a running trial holds, and that nobody computes on."""
    held = {
        card: (trial.number, (view.now - began).total_seconds())
        for trial in reversed(view.running)  # of several that share a card the first
        if (a := trial.open_attempt) is not None and (began := view.opened(trial)) is not None
        for card in a.gpus
    }
    idle = [
        (age, card)
        for card, at_most in view.facts.idle_cards.items()
        if card in held and (age := min(at_most, held[card][1])) > _IDLE_CARD
    ]
    if not view.live or not idle:
        return None
    age, card = max(idle)
    more = f" and {len(idle) - 1} more" if len(idle) > 1 else ""
    text = f"GPU {card}{more} has computed nothing for {duration(age)}, and trial {held[card][0]} holds it"
    cure = f"outlast logs {view.where} {held[card][0]}: is it loading data, or training on the CPU?"
    return HealthWarning("idle_card", text, cure, view.before(age))


def clock_jump(view: View) -> HealthWarning | None:
    """The clock was set: seen by who looks, or told by records that contradict each other."""
    cure = "see that the clock is set by NTP (timedatectl); durations are measured otherwise and stay right"
    jump = view.facts.clock_jump
    if jump is not None and abs(jump) > _CLOCK:
        way = "back" if jump < 0 else "forward"
        return HealthWarning(
            "clock_jump", f"the clock was set {way} by {duration(abs(jump))}", cure, view.time(view.now)
        )
    last = parse_time(view.study.last_at)
    if last is not None and (ahead := (last - view.now).total_seconds()) > _CLOCK:
        return HealthWarning("clock_jump", f"the last record is {duration(ahead)} ahead of the clock", cure)
    return _backwards(view, cure)


def _backwards(view: View, cure: str) -> HealthWarning | None:
    """Attempts that trained longer than there was time between their records: the clock went back meanwhile."""
    for trial in view.recent:
        outcome, attempt = trial.last, trial.attempts[-1] if trial.attempts else None
        began, ended = parse_time(attempt.opened_at if attempt else ""), parse_time(outcome.at if outcome else "")
        if outcome is None or began is None or ended is None or attempt is None or not attempt.slot.startswith(HERE):
            continue
        back = outcome.seconds - (ended - began).total_seconds()
        if back > max(_CLOCK, 0.05 * outcome.seconds):
            text = f"the clock went back by {duration(back)} while trial {trial.number} ran"
            return HealthWarning("clock_jump", text, cure, outcome.at, "note")
    return None
