"""The plots at the end of a search: there, whole and offline, whatever the study holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from outlast.core.records import AttemptEnded, AttemptOpened, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.optimizer.plot_names import PLOTS
from outlast.optimizer.plot_pages import write_plots

AT = "2026-01-01T00:00:00.000+00:00"
SPACE = {"x": {"min": 0.0, "max": 1.0}, "k": {"values": ["a", "b"]}, "epochs": {"value": 3}}


def grown(lab: Any, values: list[tuple[float, ...]], **settings: Any) -> tuple[Any, Any]:
    """A study with a complete trial for each of these values."""
    chosen, study = lab.settings(SPACE, **settings), lab.study()
    for number, each in enumerate(values):
        study.apply(TrialCreated(number, AT, {"x": 0.05 * (number + 1), "k": "ab"[number % 2]}))
        study.apply(AttemptOpened(number, 1, AT))
        study.apply(AttemptEnded(number, 1, AT, TrialState.COMPLETE, Cause.COMPLETED, values=each))
    return study, chosen


@pytest.mark.parametrize("values", [[], [(0.5,)], [(0.5,), (0.7,)], [(0.1 * i,) for i in range(12)]])
def test_every_promised_plot_is_there_with_any_number_of_completed_trials(
    lab: Any, tmp_path: Path, values: list[tuple[float, ...]]
) -> None:
    study, settings = grown(lab, values)
    assert [Path(path).name for path in write_plots(tmp_path, study, settings)] == list(PLOTS)
    for name in PLOTS:
        assert "<html" in (text := (tmp_path / name).read_text()) or "No plot yet" in text
    drawn = [name for name in PLOTS if "No plot yet" not in (tmp_path / name).read_text()]
    assert drawn == (list(PLOTS) if len(values) > 1 else list(PLOTS)[:3:2] if values else [])


def test_the_pages_need_no_network(lab: Any, tmp_path: Path) -> None:
    write_plots(tmp_path, *grown(lab, [(0.5,), (0.7,)]))
    assert 'src="plotly.min.js"' in (tmp_path / next(iter(PLOTS))).read_text()
    assert (tmp_path / "plotly.min.js").stat().st_size > 100_000


def test_several_objectives_are_shown_by_their_first(lab: Any, tmp_path: Path) -> None:
    write_plots(tmp_path, *grown(lab, [(0.5, 1.0), (0.7, 2.0), (0.9, 3.0)], goals=("maximize", "minimize")))
    assert "No plot yet" not in (tmp_path / next(iter(PLOTS))).read_text()
