"""What a cell shows of a study, as HTML and as text: how far it is, what is best, what runs, what is wrong.

Styles stand at their elements, as front ends take away sheets and scripts; colours are those of the page around, or stand out on
light and on dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from outlast.api.cell import Page
from outlast.core.escapes import as_on_a_screen
from outlast.core.records import Trial
from outlast.core.states import STATE_ORDER, StudyState
from outlast.monitor.best_so_far import so_far
from outlast.monitor.overview import Overview, Sight
from outlast.monitor.snapshot import RunningTrial, Snapshot
from outlast.monitor.speed_words import speed_text
from outlast.monitor.times import duration, figure, metric_value

_GREEN, _BLUE, _AMBER, _RED, _FAINT = "#2e9e5b", "#3b82c4", "#c77d12", "#d64545", "opacity:.65"
_STATES = {"done": _GREEN, "running": _BLUE, "halted": _RED}
_TOLD_WHY = (StudyState.WAITING, StudyState.PAUSED, StudyState.HALTED)
_MOST_RUNNING, _MOST_WARNINGS, _MOST_PARAMS = 8, 3, 8
_MOST_BEST = 5  # of a Pareto front
_STYLE = "font:13px/1.5 var(--jp-ui-font-family,system-ui,sans-serif);max-width:62em;color:inherit"
_WIDTH, _HEIGHT, _MOST_POINTS = 260, 36, 130


def page_of(overview: Overview, heads: Sequence[str] = (), lines: Sequence[str] = ()) -> Page:
    """A study that is looked at alone.

    Args:
        overview: It.
        heads: What was said when it began.
        lines: The latest of what it said since.
    """
    sight = overview.sights[0]
    snapshot = sight.snapshot
    if snapshot is None:
        return Page(f"<div>{_text(sight.error)}</div>", sight.error)
    rows = _facts(snapshot)
    return Page(_html(sight, snapshot, rows, heads, lines), _plain(snapshot, rows, heads, lines))


def page_of_lines(lines: Sequence[str]) -> Page:
    """What is said where there is no study to show yet."""
    return Page("".join(f"<div>{_text(line)}</div>" for line in lines), "\n".join(lines))


def html_of_result(folder: str, state: StudyState, trials: str, best: Sequence[Trial]) -> str:
    """What a search has come to, in a few lines: its cell may show all of it above."""
    colour = _STATES.get(state.value, _AMBER)
    said = f'<span style="color:{colour};font-weight:600">{_text(state.value)}</span>, {_text(trials)}'
    rows = [
        [f"trial {each.number}", " ".join(map(figure, each.values or ())), _params(each.params)]
        for each in best[:_MOST_BEST]
    ]
    more = f'<div style="{_FAINT}">and {len(best) - _MOST_BEST} more as good</div>' if len(best) > _MOST_BEST else ""
    return f'<div style="{_STYLE}"><b>{_text(folder)}</b> {said}{_table(rows, labels=True)}{more}</div>'


def _facts(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Labels and what stands behind them."""
    counts = ", ".join(f"{number} {state.value}" for state in STATE_ORDER if (number := snapshot.counts[state]))
    of = "" if snapshot.target is None else f"{snapshot.counted} of {snapshot.target}"
    rows = [("trials", ": ".join(filter(None, (of, counts))) or "none yet"), ("speed", speed_text(snapshot))]
    if snapshot.best is not None:
        names = [name for name, _ in snapshot.metrics]
        values = zip(names, snapshot.best.values, strict=False)
        said = ", ".join(f"{name} {metric_value(name, value)}" for name, value in values)
        front = f", one of {len(snapshot.pareto)} on the Pareto front" if len(snapshot.pareto) > 1 else ""
        rows.append(("best", f"{said} in trial {snapshot.best.trial}{front}: {_params(snapshot.best.params)}"))
    if snapshot.reason and snapshot.state in _TOLD_WHY:
        rows.append(("why", snapshot.reason))
    return [(label, " ".join(text.split())) for label, text in rows if text]


def _params(params: object, most: int = _MOST_PARAMS) -> str:
    if not isinstance(params, dict):
        return ""
    shown = [f"{k}={figure(v) if isinstance(v, float) else v}" for k, v in list(params.items())[:most]]
    return "  ".join(each if len(each) <= 60 else f"{each[:57]}..." for each in shown) + (
        f"  and {len(params) - most} more" if len(params) > most else ""
    )


def _cells(trial: RunningTrial, metric: str) -> list[str]:
    again = f", attempt {trial.attempt}" if trial.attempt > 1 else ""
    return [
        f"trial {trial.trial}{again}",
        duration(trial.seconds),
        "" if trial.step is None else f"step {trial.step}",
        "" if trial.value is None else f"{metric} {metric_value(metric, trial.value)}",
        _params(trial.params, 6),
    ]


def _plain(snapshot: Snapshot, rows: Sequence[tuple[str, str]], heads: Sequence[str], lines: Sequence[str]) -> str:
    said = [f"{snapshot.study}  {snapshot.state.value}", *heads, *(f"  {label:<8}{text}" for label, text in rows)]
    said += [f"  {'  '.join(filter(None, _cells(each, snapshot.metrics[0][0])))}" for each in _shown_running(snapshot)]
    for warning in snapshot.warnings[:_MOST_WARNINGS]:
        said.append(f"  {warning.level}: {warning.text}" + (f" ({warning.cure})" if warning.cure else ""))
    return "\n".join([*said, *lines])


def _html(
    sight: Sight, snapshot: Snapshot, rows: Sequence[tuple[str, str]], heads: Sequence[str], lines: Sequence[str]
) -> str:
    colour = _STATES.get(snapshot.state.value, _AMBER)
    head = (
        f'<b style="font-size:1.15em">{_text(snapshot.study)}</b> '
        f'<span style="color:{colour};font-weight:600">{_text(snapshot.state.value)}</span> '
        f'<span style="{_FAINT}">{_text(snapshot.folder)}</span>'
    )
    parts = [f"<div>{head}</div>", *(f'<div style="{_FAINT}">{_text(line)}</div>' for line in heads)]
    parts += [_bar(snapshot, colour), _table([[label, text] for label, text in rows], labels=True), _curve(sight)]
    parts.append(_table([_cells(each, snapshot.metrics[0][0]) for each in _shown_running(snapshot)]))
    more = len(snapshot.running) - _MOST_RUNNING
    parts.append(f'<div style="{_FAINT}">and {more} more run</div>' if more > 0 else "")
    for warning in snapshot.warnings[:_MOST_WARNINGS]:
        tone = _AMBER if warning.is_trouble else "inherit"
        cure = f' <span style="{_FAINT}">{_text(warning.cure)}</span>' if warning.cure else ""
        parts.append(
            f'<div><span style="color:{tone};font-weight:600">{warning.level}</span> {_text(warning.text)}{cure}</div>'
        )
    said = "\n".join(map(_text, lines))
    tail = f'<pre style="margin:.5em 0 0;{_FAINT};white-space:pre-wrap;background:none;color:inherit">{said}</pre>'
    parts.append(tail if lines else "")
    return f'<div style="{_STYLE}">{"".join(parts)}</div>'


def _shown_running(snapshot: Snapshot) -> Sequence[RunningTrial]:
    return snapshot.running[:_MOST_RUNNING]


def _bar(snapshot: Snapshot, colour: str) -> str:
    if snapshot.share is None:
        return ""
    track = "height:6px;border-radius:3px;margin:.4em 0;max-width:40em;background:rgba(128,128,128,.25);overflow:hidden"
    return f'<div style="{track}"><div style="height:100%;width:{100 * snapshot.share:.1f}%;background:{colour}"></div></div>'


def _table(rows: Sequence[Sequence[str]], *, labels: bool = False) -> str:
    if not rows:
        return ""
    cell = "padding:0 1.2em 0 0;text-align:left;vertical-align:top;border:none;background:none;color:inherit"
    body = ""
    for row in rows:
        styles = [f"{cell};{_FAINT}" if labels and at == 0 else cell for at in range(len(row))]
        cells = "".join(f'<td style="{style}">{_text(text)}</td>' for style, text in zip(styles, row, strict=True))
        body += f'<tr style="background:none">{cells}</tr>'
    return f'<table style="border-collapse:collapse;margin:.2em 0;font-size:inherit;border:none">{body}</table>'


def _curve(sight: Sight) -> str:
    """How it got better, as a line."""
    values = so_far(sight)
    if len(values) < 2:
        return ""
    if len(values) > _MOST_POINTS:
        values = [values[round(i * (len(values) - 1) / (_MOST_POINTS - 1))] for i in range(_MOST_POINTS)]
    low, high = min(values), max(values)
    scale = (_HEIGHT - 6) / (high - low) if high > low else 0.0
    step = (_WIDTH - 4) / (len(values) - 1)
    points = " ".join(f"{2 + i * step:.1f},{_HEIGHT - 3 - (v - low) * scale:.1f}" for i, v in enumerate(values))
    return (
        f'<svg width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}" style="display:block;margin:.2em 0" '
        f'role="img"><title>best so far</title>'
        f'<polyline points="{points}" fill="none" stroke="{_GREEN}" stroke-width="1.5"/></svg>'
    )


def _text(text: str) -> str:
    return escape(as_on_a_screen(text))
