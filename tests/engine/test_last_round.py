"""Whoever asks for a trial in the round that brings a study to rest is sent away with it, and need not ask again."""

from __future__ import annotations

import json
from pathlib import Path

from outlast._system.clock import utc_now
from outlast._system.processes import my_identity
from outlast.config.load import load_study_file
from outlast.core.records import AttemptEnded, AttemptOpened, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.hold.opening import open_study
from outlast.engine.hold.turn import Memory, take_turn
from outlast.engine.record.recorded import study_paths
from outlast.study import requests
from outlast.study.lease import Lease


def test_who_asks_in_the_last_round_is_sent_away_with_it(tmp_path: Path) -> None:
    study = {
        "name": "last", "command": ["true"], "metric": {"name": "score", "goal": "maximize"}, "budget": {"trials": 1},
        "parameters": {"x": {"min": 0.0, "max": 1.0}}, "sampler": "random",
    }  # fmt: skip
    (tmp_path / "study.yaml").write_text(json.dumps(study))
    settings = load_study_file(str(tmp_path / "study.yaml"))
    paths, at = study_paths(tmp_path / "studies" / "last", settings), utc_now()
    with open_study(paths, settings) as opened:
        opened.ledger.append(
            [
                TrialCreated(0, at, {"x": 0.5}, seed=0),
                AttemptOpened(0, 1, at, "worker:gone"),
                AttemptEnded(0, 1, at, TrialState.COMPLETE, Cause.COMPLETED, values=(0.5,)),
            ]
        )
    asked = requests.prepare("trial", worker=my_identity().to_json())
    requests.lay_out(paths, asked)
    lease = Lease(paths.lease)
    assert lease.take_if_free()
    turn = take_turn(str(paths.root), lease, Memory(), say=lambda _: None)
    assert turn.verdict is not None and turn.verdict.state.value == "done"
    answer = requests.read_answer(paths, asked)
    assert answer is not None and answer.get("done") and "wait" not in answer
