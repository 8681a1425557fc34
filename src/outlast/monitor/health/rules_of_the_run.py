"""Rules about who runs the study and where: its process, its lease, its disk."""

from __future__ import annotations

from collections.abc import Mapping

from outlast.config.settings import Settings
from outlast.core.moments import parse_time
from outlast.monitor.health.warning import HealthFacts, HealthWarning
from outlast.monitor.health.what_rules_see import View
from outlast.monitor.times import duration

_DISK_BYTES, _DISK_SHARE = 5 * 2**30, 0.05  # nearly full: below both
_DISK_INODES = 10_000
_NO_SIGN = 60.0
_TAKEN_OVER, _WITHIN = 4, 1800.0


def left_alone(view: View) -> HealthWarning | None:
    """Whoever ran the study is gone, and said nothing."""
    study = view.study
    if view.live or study.ended is not None or study.last_run is None:
        return None
    began = parse_time(study.last_run.at)
    ago = f" {duration((view.now - began).total_seconds())} ago" if began is not None else ""
    who = f"pid {study.last_run.pid} on {study.last_run.host or 'an unknown host'}"
    text = f"the run that began{ago} ({who}) ended without a word"
    if view.facts.supervised:
        return HealthWarning("left_alone", text, "nothing: its supervisor begins it again", study.last_at, "note")
    return HealthWarning("left_alone", text, f"outlast run {view.where}", study.last_at, "error")


def holder_silent(view: View) -> HealthWarning | None:
    """Whoever decides is there and does nothing: stopped, or hung."""
    silent, run = view.facts.holder_silent, view.study.last_run
    if not view.live or run is None or not (view.facts.holder_stopped or (silent is not None and silent > _NO_SIGN)):
        return None
    who = f"pid {run.pid} on {run.host or 'an unknown host'}"
    state = f"is stopped; kill -CONT {run.pid} lets it go on" if view.facts.holder_stopped else "may hang"
    how_long = "" if silent is None else f" for {duration(silent)}"
    text = f"the process that runs this study ({who}) has given no sign of life{how_long}: it {state}"
    since = "" if silent is None else view.before(silent)
    return HealthWarning("holder_silent", text, f"outlast run {view.where} takes over", since, "error")


def contention(view: View) -> HealthWarning | None:
    """The study is taken over again and again."""
    times = [moment for at in view.facts.takeovers if (moment := parse_time(at)) is not None]
    close = [moment for moment in times if 0 <= (view.now - moment).total_seconds() < _WITHIN]
    if len(close) < _TAKEN_OVER:
        return None
    span = duration((view.now - close[0]).total_seconds())
    text = f"the study was taken over {len(close)} times in the last {span}, and no run had ended before"
    cure = f"run it in one place only, and see {view.where}/run.log for why runs die"
    return HealthWarning("contention", text, cure, view.time(close[0]))


def not_told(view: View) -> HealthWarning | None:
    """Somebody who was to be told something could not be reached."""
    return not_told_warning(view.facts)


def not_told_warning(facts: HealthFacts) -> HealthWarning | None:
    """The same, of a study of which nothing else is known."""
    if not facts.untold:
        return None
    text = f"what was to be told has not arrived ({facts.untold}); it is tried again"
    return HealthWarning("not_told", text, "outlast check STUDY.yaml --notify sends a test message")


def not_sent(view: View) -> HealthWarning | None:
    """A tracker does not take what it is sent, or nobody sends it."""
    if not view.facts.unsent:
        return None
    text = f"a tracker lacks what the search has ({view.facts.unsent}); nothing is lost, and it is sent later"
    return HealthWarning("not_sent", text, f"outlast track {view.where} sends it now", level="note")


def disk(view: View) -> HealthWarning | None:
    """The study's filesystem is nearly full."""
    return disk_warning(view.facts, view.where)


def disk_warning(facts: HealthFacts, where: str) -> HealthWarning | None:
    """The same, of a study of which nothing else is known than its folder, as a person types it."""
    free, total = facts.disk_free, facts.disk_total
    if free is not None and free < _DISK_BYTES and (total is None or free < _DISK_SHARE * total):
        text = f"the disk is nearly full: {free / 2**30:.1f} GiB free"
    elif facts.inodes_free is not None and facts.inodes_free < _DISK_INODES:
        text = f"the filesystem is nearly out of inodes: {facts.inodes_free} free"
    else:
        return None
    return HealthWarning("disk", text, f"outlast clean {where}")


def purge_warning(untouched_days: Mapping[str, float], purge_days: float, where: str) -> HealthWarning | None:
    """Whether files that a study needs to go on are about to be purged: within a week, or within half of a shorter time.

    `untouched_days`: file → days since it was last read or written; `purge_days` is the filesystem's rule, as
    ``slurm.purge_days`` says it; `where` is the study folder as a person types it.
    """
    limit = max(purge_days - 7, purge_days / 2)
    due = sorted(
        (file for file, days in untouched_days.items() if days > limit), key=lambda file: -untouched_days[file]
    )
    if not due:
        return None
    days = untouched_days[due[0]]
    more = f" and {len(due) - 1} more files" if len(due) > 2 else " and one more file" if len(due) == 2 else ""
    left = f"in {duration((purge_days - days) * 86400)}" if days < purge_days else "any moment"
    text = f"{due[0]}{more}, needed to resume, may be purged {left}: untouched for {days:.0f} of {purge_days:g} days"
    return HealthWarning("purge", text, f"find {where}/ -type f -exec touch -a {{}} +")


def purge(view: View) -> HealthWarning | None:
    """Files that the site is about to purge."""
    days = purge_days(view.settings)
    return None if days is None else purge_warning(view.facts.untouched_days, days, view.where)


def purge_days(settings: Settings) -> float | None:
    """After how many days the site purges a file that nobody touches; ``None`` where the study file does not say."""
    given = (settings.slurm or {}).get("purge_days")
    return float(given) if isinstance(given, (int, float)) and not isinstance(given, bool) else None
