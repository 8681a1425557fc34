"""What is wrong with a study's records, and what they add up to all the same. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from outlast.core.fold import Study
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    Event,
    ParamDrawn,
    RevisionMade,
    StudyCreated,
    Trial,
    TrialCreated,
    from_json,
)
from outlast.core.states import UNFINISHED, Cause
from outlast.errors import LedgerTooNew
from outlast.study.segments import Reading


class Problem(Struct, frozen=True):
    """One thing that is wrong."""

    about: str  # ledger, index, trial, files
    text: str
    cure: str  # what repair does about it
    serious: bool = True  # a run refuses to start before it is mended


def ledger_problems(reading: Reading, *, trial_folders: int) -> list[Problem]:
    """What is wrong with a ledger, beside which there are so many trial folders."""
    found = []
    if not any(segment.lines or segment.skipped for segment in reading.segments) and trial_folders:
        cure = "it is rebuilt from the trials' copies, the open attempts and the index"
        found.append(Problem("ledger", "the ledger is lost", cure))
    cure = "what it decided is taken from the trials' copies and the index"
    found += [Problem("ledger", flaw, cure) for flaw in reading.flaws]
    last = reading.last
    if last is not None and last.torn:
        torn = f"segment {last.number:08d} ends in a torn line of {last.torn} bytes"
        found.append(Problem("ledger", torn, "it is nobody's decision; it is sealed off", serious=False))
    return found


def fold_known(events: Iterable[Event]) -> tuple[Study, list[Problem]]:
    """What these events add up to, and those that do not belong to anything: what they rest on is lost.

    A whole ledger has none.
    """
    study, found = Study(), []
    for event in events:
        try:
            study.apply(event)
        except (KeyError, TypeError, ValueError, AttributeError):
            text = f"the ledger tells of trial {getattr(event, 'trial', '?')} ({event.kind}) but not how it began"
            found.append(Problem("ledger", text, "it is taken from the trial's copy, its folder or the index"))
    if study.trials and not study.revisions:
        found.append(Problem("ledger", "the ledger does not know the study file", "it is taken from study.yaml"))
    return study, found


def lost_decisions(study: Study, folders: set[int], copies: Set[int]) -> list[Problem]:
    """What the trials' folders know and the ledger does not: no trial gets a folder, or a record (`copies`), before its decision
    is durable."""
    unknown = sorted(folders.difference(study.trials))
    unfinished = {t.number for t in study.in_state(*UNFINISHED) if not t.retried_at_attempt}
    lost = [(f"trial {n}", "it is taken in from its folder, or from what was imported") for n in unknown]
    lost += [(f"how trial {n} ended", "it is taken from the trial's copy") for n in sorted(unfinished & copies)]
    return [Problem("ledger", f"the ledger does not know {what}", cure) for what, cure in lost]


def trial_problems(study: Study, agrees: Mapping[int, bool | None], imported: Set[int]) -> list[Problem]:
    """Finished trials whose copy is gone, or does not say what the ledger says.

    `agrees`: trial → whether its ``trial.json`` says the same; ``None`` if there is none. `imported`: as `lacks_its_copy`.
    """
    found = []
    for trial in study.trials.values():
        if trial.state.finished and lacks_its_copy(trial, agrees.get(trial.number), imported):
            gone = agrees.get(trial.number) is None
            text = f"trial.json of trial {trial.number} {'is gone' if gone else 'does not say what the ledger says'}"
            found.append(Problem("trial", text, "it is written anew from the ledger", serious=False))
    return found


def had_a_folder(trial: Trial) -> bool:
    """Whether any attempt of a trial was laid out on the disk: not of one that was ruled out when it was drawn, nor in a kept
    worker, nor where it was imported from."""
    ran_here = (attempt for attempt in trial.attempts if attempt.slot or trial.source != "imported")
    return any(attempt.slot != "none" and not attempt.kept for attempt in ran_here)


def lacks_its_copy(trial: Trial, agrees: bool | None, imported: Set[int]) -> bool:
    """Whether a finished trial's ``trial.json`` is gone where there should be one, or does not say what the ledger says.

    Args:
        trial: As the ledger has it.
        agrees: Whether the ``trial.json`` says the same; ``None`` if there is none.
        imported: The trials that an import's copy tells of: those need no other one.
    """
    if agrees is not None:
        return not agrees
    return had_a_folder(trial) or (_ended_elsewhere(trial) and trial.number not in imported)


def _ended_elsewhere(trial: Trial) -> bool:
    """Whether it came with its outcome. One that was going on there, and was ruled out here, has nothing to keep."""
    ran_here = any(attempt.kept or attempt.slot for attempt in trial.attempts)
    return trial.source == "imported" and not ran_here and trial.cause is not Cause.SPACE_CHANGED


def events_of_copy(copy: Any, *, needed: str = "") -> list[Event]:
    """The events that a ``trial.json`` holds; none if it is damaged. It has no checksum: a kind that nobody knows is damage.

    Args:
        copy: What it holds.
        needed: Where it lies, if the ledger is lost: what a later version may have written is not thrown away then.

    Raises:
        LedgerTooNew: It is `needed`, and may be of a later version.
    """
    if not isinstance(copy, dict) or not isinstance(copy.get("events"), list):
        return []
    events = []
    for obj in copy["events"]:
        try:
            events.append(from_json(obj))
        except LedgerTooNew:
            if needed:
                raise LedgerTooNew(needed, str(obj["kind"])) from None
            return []
        except (KeyError, TypeError, ValueError, AttributeError):
            return []
    return events if events and isinstance(events[0], TrialCreated) else []


def merged(
    readable: Sequence[Event],
    copies: Mapping[int, Sequence[Event]],
    rows: Mapping[int, Sequence[Event]],
    unfinished: Mapping[int, Sequence[Event]],
    *,
    name: str,
    settings: Mapping[str, Any],
    now: str,
) -> list[Event]:
    """All decisions that can still be known, in one list whose fold is the study.

    Args:
        readable: What the ledger still tells.
        copies: Trial → events of its ``trial.json``; a finished copy beats an unfinished memory of the ledger.
        rows: Trial → events made from its row in the index, or how it was imported, for trials that nothing else knows.
        unfinished: Trial → events made from what its latest attempt left on the disk.
        name: Of the study, should its first record be lost.
        settings: The resolved study file, should its revision be lost.
        now: Time for records that have to be made up.
    """
    readable = [*_beginnings(readable, copies, rows, unfinished), *readable]
    created = {event.trial: event for event in readable if isinstance(event, TrialCreated)}
    study = fold_known(readable)[0]
    events = _head([event for event in readable if not hasattr(event, "trial")], name, settings, now)
    for number in sorted({*study.trials, *copies, *rows, *unfinished}):
        known = study.trials.get(number)
        for event in _best_of(known, *(found.get(number, ()) for found in (copies, rows, unfinished))):
            if isinstance(event, TrialCreated) and number in created:
                event = replace(event, study_attrs=created[number].study_attrs)
            events.append(event)
    return events


def _beginnings(readable: Sequence[Event], *sources: Mapping[int, Sequence[Event]]) -> list[Event]:
    """How trials began whose further life the ledger tells, as the first source has it that knows."""
    created = {event.trial for event in readable if isinstance(event, TrialCreated)}
    lacking = {event.trial for event in readable if isinstance(event, (AttemptOpened, AttemptEnded))} - created
    found: list[Event] = []
    for number in sorted(lacking):
        told = next((source[number] for source in sources if source.get(number)), ())
        # Third, by place, is the end that was made up for an attempt whose parameters are lost.
        of_attempts = [event for event in told if isinstance(event, (TrialCreated, AttemptOpened, AttemptEnded))]
        if not any(isinstance(event, AttemptEnded) and event.cause is Cause.LOST for event in of_attempts[2:3]):
            found += [event for event in told if isinstance(event, (TrialCreated, ParamDrawn))]
    return found


def _head(about_the_study: Sequence[Event], name: str, settings: Mapping[str, Any], now: str) -> list[Event]:
    """What is known of the study itself, its beginning made up where that is lost."""
    head = list(about_the_study)
    if not any(isinstance(event, RevisionMade) for event in head):
        head.insert(0, RevisionMade(1, now, settings))
    if not any(isinstance(event, StudyCreated) for event in head):
        sampler = settings.get("sampler")
        seed = sampler.get("seed") if isinstance(sampler, Mapping) else None
        head.insert(0, StudyCreated(name, now, study_seed=int(seed or 0)))
    return head


def _best_of(
    known: Trial | None, copy: Sequence[Event], row: Sequence[Event], unfinished: Sequence[Event]
) -> list[Event]:
    if copy and (known is None or _tells_more(copy, known)):
        return list(copy)
    if known is not None and known.open_attempt is None and not known.state.finished and unfinished:
        return [*known.events(), *(e for e in unfinished if isinstance(e, AttemptOpened) and _is_news(e, known))]
    if known is not None:
        return known.events()
    finished = any(isinstance(event, AttemptEnded) and event.state.finished for event in row)
    if unfinished and row and not finished:  # the row knows the parameters for certain, the folder the attempt
        return [row[0], *(event for event in unfinished if isinstance(event, AttemptOpened))]
    return list(row if finished else unfinished or row)


def _tells_more(copy: Sequence[Event], known: Trial) -> bool:
    """Whether a finished trial's copy is of the end that the ledger lacks, and not of one that a person had it retried after;
    or of attempts before that end, which the ledger has lost."""
    attempts = len({event.attempt for event in copy if isinstance(event, (AttemptOpened, AttemptEnded))})
    if known.state.finished:
        return attempts > len(known.attempts)
    return attempts >= len(known.attempts) and (attempts > known.retried_at_attempt or not known.attempts)


def _is_news(opened: AttemptOpened, trial: Trial) -> bool:
    return all(attempt.number < opened.attempt for attempt in trial.attempts)
