"""The page of one study, as lines: how far it is, what runs, what is best, what failed, what is wrong."""

from __future__ import annotations

from outlast.cli.live.choice import Choice
from outlast.cli.live.columns import shares_of
from outlast.cli.live.curves import best_lines
from outlast.cli.live.lines import Shown, Window, bar_line, fact_lines, footer
from outlast.cli.live.slot_lines import slot_lines
from outlast.cli.live.troubles import failure_lines, warning_lines
from outlast.cli.render.phrases import counts_text, state_text, supervisor_text
from outlast.cli.render.styled import Text
from outlast.cli.render.text import one_line
from outlast.core.states import StudyState
from outlast.monitor.snapshot import Snapshot
from outlast.monitor.speed_words import speed_text

_MOST_RUNNING = 6  # in a window of up to 30 lines
_ABOVE = 24  # lines of a window that are for the rest


def picture_of_one(shown: Shown, choice: Choice, window: Window) -> list[Text]:
    """The page of a study that is looked at alone, at most as high as the window; `shown` has no other."""
    sight = shown.overview.sights[0]
    foot = footer(shown, choice, window)
    if sight.snapshot is None:
        return [Text(), Text(f"  {one_line(sight.error)}", "red"), *foot][: window.height]
    head = _head(sight.snapshot, supervisor_text(shown.overview), window)
    slots = slot_lines(shown, choice, window, max(_MOST_RUNNING, window.height - _ABOVE))
    parts = [slots, best_lines(sight, window), warning_lines(shown.overview, window), failure_lines(sight, window)]
    given = shares_of([len(part) for part in parts], [2, 2, 3, 2], window.height - len(head) - len(foot))
    if given[0] < len(slots):
        parts[0] = slot_lines(shown, choice, window, given[0])
    lines = [*head, *(line for part, most in zip(parts, given, strict=True) for line in part[:most])]
    return [*lines[: max(1, window.height - len(foot))], *foot][: window.height]


def _head(snapshot: Snapshot, who: str, window: Window) -> list[Text]:
    rows: list[tuple[str, str | Text]] = [
        ("state", state_text(snapshot) if snapshot.state is not StudyState.RUNNING else ""),
        ("trials", counts_text(snapshot)),
        ("rate", speed_text(snapshot)),
        ("run by", who),
    ]
    if snapshot.share is None:
        line = Text(f"  {snapshot.finished} finished, no target")
    else:
        line = bar_line(snapshot.share, snapshot.counted, snapshot.target, window)
    return [Text(), line, *(each for label, value in rows for each in fact_lines(label, value, window))]
