"""What is wrong with several studies that one command runs: each study's own warnings, and what concerns them together. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from outlast.core.states import StudyState
from outlast.monitor.health.rules_of_the_run import not_told_warning
from outlast.monitor.health.warning import LEVELS, HealthFacts, HealthWarning

if TYPE_CHECKING:
    from outlast.monitor.overview import Overview, Sight

_RESTARTS = 3


def campaign_health(overview: Overview) -> list[HealthWarning]:
    """Everything that is wrong, worst first; each names its study, or none where it concerns all."""
    found = [*_together(overview)] if overview.is_campaign or len(overview.sights) > 1 else []
    for sight in overview.sights:
        found += study_health(sight, overview)
    return sorted(found, key=lambda warning: LEVELS.index(warning.level))


def _together(overview: Overview) -> Iterator[HealthWarning]:
    if (untold := not_told_warning(HealthFacts(untold=overview.untold))) is not None:
        yield untold
    live = [sight for sight in overview.sights if sight.snapshot is not None and sight.snapshot.live is not None]
    fallen = [sight for sight in overview.sights if _has_fallen(sight)]
    if fallen and not live and overview.supervisor is None:  # who would begin them again
        since = max((w.since for sight in fallen for w in _warnings(sight) if w.key == "left_alone"), default="")
        names = ", ".join(sight.name for sight in fallen)
        text = f"nothing runs any more, and there is work left in {names}"
        yield HealthWarning("all_stopped", text, _to_go_on(overview, fallen), since, "error")
    elif overview.supervised and overview.supervisor is None and any(_has_a_coordinator(sight) for sight in live):
        text = "nobody supervises: the searches go on, and one that dies is not started again"
        yield HealthWarning("supervisor_gone", text, f"outlast run {overview.folder}")


def _has_a_coordinator(sight: Sight) -> bool:
    """Whether a process holds it. What jobs or workers run among themselves has no host, and nobody to begin it again."""
    return sight.snapshot is not None and sight.snapshot.live is not None and bool(sight.snapshot.live.host)


def _to_go_on(overview: Overview, fallen: list[Sight]) -> str:
    """What goes on with all of them; of studies that are no campaign's, with the first."""
    seen = [sight.snapshot for sight in fallen if sight.snapshot is not None]
    if not overview.is_campaign:
        return seen[0].next_command
    return f"outlast {'submit' if any(each.begun_by == 'submit' for each in seen) else 'run'} {overview.folder}"


def _has_fallen(sight: Sight) -> bool:
    """Whether it came to rest otherwise than by its end or a person's hand. One that never began has a rule of its own."""
    halted = sight.snapshot is not None and sight.snapshot.state is StudyState.HALTED
    return halted or any(w.key == "left_alone" for w in _warnings(sight))


def _warnings(sight: Sight) -> tuple[HealthWarning, ...]:
    return () if sight.snapshot is None else sight.snapshot.warnings


def study_health(sight: Sight, overview: Overview) -> Iterator[HealthWarning]:
    """What is wrong with one of them: by itself, and as its supervisor sees it."""
    snapshot, name = sight.snapshot, sight.name
    if snapshot is None:
        if sight.begun:
            text = f"{name} cannot {'start' if sight.refused else 'be run'}: {sight.error}"
            then = (
                f"mend that, then: outlast run {overview.folder}" if sight.refused else f"outlast check {sight.folder}"
            )
            yield HealthWarning("not_started", text, sight.cure or then, level="error", study=name)
        return
    if snapshot.state is StudyState.HALTED:
        text = f"{name} halted: {snapshot.reason}"
        at = snapshot.time.ended.isoformat(timespec="seconds") if snapshot.time.ended is not None else ""
        yield HealthWarning("halted", text, snapshot.next_command, at, "error", name)
    restarts = overview.supervisor.restarts.get(name, 0) if overview.supervisor is not None else 0
    if restarts >= _RESTARTS:
        text = f"the process that runs {name} died and was started again {restarts} times"
        yield HealthWarning("restarted", text, f"see {sight.folder}/run.log", study=name)
    for warning in snapshot.warnings:
        yield replace(warning, study=name)
