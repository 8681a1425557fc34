"""What is wrong with several studies that one command runs: each study's own warnings, and what concerns them together. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from outlast.core.states import StudyState
from outlast.monitor.health.warning import LEVELS, HealthWarning
from outlast.monitor.overview import Overview, Sight

_RESTARTS = 3


def campaign_health(overview: Overview, *, supervised: bool = False) -> list[HealthWarning]:
    """Everything that is wrong, worst first; each names its study, or none where it concerns all.

    Args:
        overview: The studies as they were looked at.
        supervised: Somebody is meant to supervise them: a supervisor began, and did not leave in good order.
    """
    found = [*_together(overview, supervised)]
    for sight in overview.sights:
        found += _of_one(sight, overview)
    return sorted(found, key=lambda warning: LEVELS.index(warning.level))


def _together(overview: Overview, supervised: bool) -> Iterator[HealthWarning]:
    live = [sight for sight in overview.sights if sight.snapshot is not None and sight.snapshot.live is not None]
    fallen = [sight for sight in overview.sights if _has_fallen(sight)]
    if fallen and not live and overview.supervisor is None:  # who would begin them again
        since = max((w.since for sight in fallen for w in _warnings(sight) if w.key == "left_alone"), default="")
        names = ", ".join(sight.name for sight in fallen)
        text = f"nothing runs any more, and there is work left in {names}"
        yield HealthWarning("all_stopped", text, f"outlast run {overview.folder}", since, "error")
    elif supervised and overview.supervisor is None and any(_has_a_coordinator(sight) for sight in live):
        text = "nobody supervises: the searches go on, and one that dies is not started again"
        yield HealthWarning("supervisor_gone", text, f"outlast run {overview.folder}")


def _has_a_coordinator(sight: Sight) -> bool:
    """Whether a process holds it. What jobs or workers run among themselves has no host, and nobody to begin it again."""
    return sight.snapshot is not None and sight.snapshot.live is not None and bool(sight.snapshot.live.host)


def _has_fallen(sight: Sight) -> bool:
    """Whether it came to rest otherwise than by its end or a person's hand. One that never began has a rule of its own."""
    halted = sight.snapshot is not None and sight.snapshot.state is StudyState.HALTED
    return halted or any(w.key == "left_alone" for w in _warnings(sight))


def _warnings(sight: Sight) -> tuple[HealthWarning, ...]:
    return () if sight.snapshot is None else sight.snapshot.warnings


def _of_one(sight: Sight, overview: Overview) -> Iterator[HealthWarning]:
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
