"""Curves of what runs, as the first page draws them."""

from __future__ import annotations

import json

from lab.served import seems_to_run
from outlast.engine.record.look import Looker
from outlast.serve.live_curves import RunningCurves


def test_points_of_a_better_source_take_the_place_of_those_that_were_printed(tmp_path) -> None:
    with seems_to_run(tmp_path / "s", 4, seed=1, target=9) as running:
        number = running.begin(0, steps=0)
        reports = running.paths.attempt(number, 1).reports
        looker, curves = Looker(tmp_path / "s"), RunningCurves()

        def seen(*said: tuple[int, float], **more: str) -> dict[int, float]:
            with reports.open("a") as file:
                for step, value in said:
                    file.write(json.dumps({"step": step, "metrics": {running.metric: value}, **more}) + "\n")
            ((found,),) = (each.values() for each in curves.of(looker.overview()).values())
            return dict(found)

        assert seen((100, 0.5), (200, 0.6), via="output") == {100: 0.5, 200: 0.6}
        assert seen((1, 0.7), (2, 0.8)) == {1: 0.7, 2: 0.8}
        assert seen() == {1: 0.7, 2: 0.8}
