"""Curves in one line: of the best trial, and of the best so far from the first trial on."""

from __future__ import annotations

from statistics import median_high

from outlast.cli.live.lines import Window, cut, fact_lines
from outlast.cli.render.phrases import best_text
from outlast.cli.render.styled import Text
from outlast.cli.render.text import LABELS, params_text, sparkline
from outlast.core.states import TrialState
from outlast.monitor.best_so_far import so_far
from outlast.monitor.overview import Sight
from outlast.monitor.times import metric_value

_WIDEST = 60


def usual_steps(sight: Sight) -> int | None:
    """The last step of most trials that completed, as scripts count it; ``None`` while none has reported steps."""
    if sight.study is None:
        return None
    complete = sight.study.in_state(TrialState.COMPLETE)[-20:]
    steps = [t.last.last_step for t in complete if t.last is not None and t.last.last_step is not None]
    return median_high(steps) if steps else None


def best_lines(sight: Sight | None, window: Window) -> list[Text]:
    """What is best in a study: its value and parameters, its curve, and how it got better."""
    if sight is None or sight.snapshot is None or sight.study is None or sight.snapshot.best is None:
        return []
    snapshot, best = sight.snapshot, sight.snapshot.best
    said = Text.assemble(best_text(snapshot), (f"  {params_text(best.params)}", "dim"))
    lines = fact_lines("best", said, window, most=2)
    width = max(8, min(_WIDEST, window.width - LABELS - 30))
    trial = sight.study.trials.get(best.trial)
    curve = trial.curve() if trial is not None else {}
    if len(curve) > 1:
        steps = sorted(curve)
        line = sparkline([curve[step] for step in steps], width, unicode=window.unicode)
        lines += fact_lines(
            "curve", Text.assemble((line, "cyan"), (f"  steps {steps[0]} to {steps[-1]}", "dim")), window
        )
    values = so_far(sight)
    if len(values) > 1:
        line = sparkline(values, width, unicode=window.unicode)
        ends = f"  {' to '.join(metric_value(snapshot.metrics[0][0], value) for value in (values[0], values[-1]))}"
        lines += fact_lines("so far", Text.assemble((line, "green"), (ends, "dim")), window)
    return cut(lines, window)
