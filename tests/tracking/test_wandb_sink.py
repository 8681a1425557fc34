"""What W&B's own client sends of a study: each trial is one run, each of its rows there once, whatever was killed or lost."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lab.tracked import CREATED, RememberedMemory, tracked_study, tracked_trial
from lab.wandb_server import KEY, KeptRun, WandbServer
from outlast.config.tracking_section import WandbSettings
from outlast.core.states import StudyState, TrialState
from outlast.tracking import wandb_runs
from outlast.tracking.choosing import make_sink
from outlast.tracking.sink import SinkError, TrackedStudy, TrackedTrial

pytestmark = [pytest.mark.foreign, pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WandbServer]:
    """One for all: in a process, W&B reads its environment once."""
    found, folder = WandbServer(), tmp_path_factory.mktemp("wandb")
    with pytest.MonkeyPatch.context() as patch:
        for name in [each for each in os.environ if each.startswith("WANDB_")]:
            patch.delenv(name)
        for name, value in (("BASE_URL", found.url), ("API_KEY", KEY), ("CONFIG_DIR", folder), ("CACHE_DIR", folder)):
            patch.setenv(f"WANDB_{name}", str(value))
        yield found
    found.close()


@pytest.fixture
def server(one_server: WandbServer) -> WandbServer:
    one_server.forget()
    return one_server


def send(
    study: TrackedStudy,
    *trials: TrackedTrial,
    memory: RememberedMemory | None = None,
    close: bool = True,
    **settings: Any,
) -> RememberedMemory:
    memory = memory or RememberedMemory()
    sink = make_sink("wandb", WandbSettings(**settings), {})
    sink.open(study, memory)
    sink.send(study, trials)
    if close:
        sink.close(study)
    return memory.after_a_crash()


def of_trial(server: WandbServer, number: int) -> KeptRun:
    found = [run for run_id, run in server.runs.items() if run_id.endswith(f"-{number:04d}")]
    assert len(found) == 1
    return found[0]


def steps(run: KeptRun) -> list[int]:
    return [row["step"] for row in run.rows]


def test_a_study_is_a_group_of_runs_with_curves_parameters_and_results(server: WandbServer, tmp_path: Path) -> None:
    study = tracked_study(tmp_path, counts={TrialState.COMPLETE: 1, TrialState.FAILED: 1}, best=0, best_value=0.8)
    failed = tracked_trial(1, epochs=1, state=TrialState.FAILED, values=None, cause="oom", reason="CUDA out of memory")
    send(study, tracked_trial(0), failed, entity="me", tags=("nlp",))
    run = of_trial(server, 0)
    assert [(row["step"], row["accuracy"], row["_timestamp"]) for row in run.rows] == [
        (point.step, point.metrics["accuracy"], point.at) for point in tracked_trial(0).points
    ]
    assert (run.config["lr"], run.config["optimizer"], run.config["trial"]) == (0.001, "adam", 0)
    assert (run.summary["accuracy"], run.summary["latency_ms"], run.summary["state"]) == (0.8, 4.5, "complete")
    assert (run.said["groupName"], run.said["jobType"], run.said["displayName"]) == ("digits", "trial", "digits 0")
    assert (run.said["project"], run.said["entity"], run.said["tags"], run.exit_code) == ("digits", "me", ["nlp"], 0)
    failed_run = of_trial(server, 1)
    assert (failed_run.exit_code, failed_run.summary["reason"]) == (1, "CUDA out of memory")
    parent = next(run for run_id, run in server.runs.items() if run_id.endswith("-study"))
    assert (parent.summary["best_value"], parent.summary["n_trials"], parent.said["jobType"]) == (0.8, 2, "study")
    assert [row["best_value"] for row in parent.rows] == [0.8]


def test_a_running_trials_curve_grows_and_is_gone_on_with_by_the_next_process(
    server: WandbServer, tmp_path: Path
) -> None:
    study, memory = tracked_study(tmp_path), RememberedMemory()
    memory = send(study, tracked_trial(0, epochs=2, done=False), memory=memory)  # left in the middle
    assert steps(of_trial(server, 0)) == [1, 2]
    for trial in (
        tracked_trial(0, epochs=3, done=False),
        tracked_trial(0, epochs=4, done=False),
        tracked_trial(0, epochs=5),
    ):
        memory = send(study, trial, memory=memory, close=False)
    send(study, tracked_trial(0, epochs=5), memory=RememberedMemory())  # who has lost the memory sends all of it again
    run = of_trial(server, 0)
    assert (steps(run), run.begun, run.exit_code) == ([1, 2, 3, 4, 5], 1, 0)
    assert len(server.runs) == 2


SENDER = """
    import json, sys
    from pathlib import Path
    from lab.tracked import RememberedMemory, tracked_study, tracked_trial
    from outlast.config.tracking_section import WandbSettings
    from outlast.tracking.wandb_sink import WandbSink

    if __name__ == "__main__":
        sink, study = WandbSink(WandbSettings()), tracked_study(Path(sys.argv[1]))
        sink.open(study, RememberedMemory())
        sink.send(study, [tracked_trial(0, epochs=40, done=False)])
        print("sent", flush=True)
        sys.stdin.read()
"""


def test_a_sender_that_is_killed_leaves_nothing_twice_and_the_next_one_nothing_out(
    server: WandbServer, tmp_path: Path
) -> None:
    script = tmp_path / "sender.py"
    script.write_text(textwrap.dedent(SENDER))
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen(
        [sys.executable, script, str(tmp_path)], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == b"sent\n"
    finally:
        process.kill()
        process.communicate(timeout=20)
    send(tracked_study(tmp_path), tracked_trial(0, epochs=50))
    assert steps(of_trial(server, 0)) == list(range(1, 51))


def test_the_best_so_far_is_in_the_order_of_the_ends_also_after_a_lost_memory(
    server: WandbServer, tmp_path: Path
) -> None:
    study = tracked_study(tmp_path, counts={TrialState.COMPLETE: 3})
    first, second, last = tracked_trial(2, ended=CREATED + 1), tracked_trial(1), tracked_trial(0, ended=CREATED + 99)
    send(study, second, first)
    memory = send(study, first)  # by somebody who has lost the memory, some at once
    send(study, last, second, memory=memory)
    parent = next(run for run_id, run in server.runs.items() if run_id.endswith("-study"))
    assert [row["trial"] for row in parent.rows] == [2, 1, 0]


def test_an_answer_that_is_lost_doubles_no_row(server: WandbServer, tmp_path: Path) -> None:
    server.lost_answers = 1
    send(tracked_study(tmp_path), tracked_trial(0))
    assert server.lost_answers == 0
    assert steps(of_trial(server, 0)) == [1, 2, 3]


def test_a_server_that_goes_away_is_an_error_that_passes_and_all_is_there_later(
    server: WandbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wandb_runs, "_QUIET", {**wandb_runs._QUIET, "init_timeout": 1.0, "finish_timeout": 1.0})
    study, memory = tracked_study(tmp_path), RememberedMemory()
    memory = send(study, tracked_trial(0, epochs=2, done=False), memory=memory, close=False)
    server.is_up = False
    for trial in (
        tracked_trial(0, epochs=4),
        tracked_trial(0, epochs=4),
    ):  # in the middle of a run; from its beginning on
        with pytest.raises(SinkError) as caught:
            send(study, trial, memory=memory)
        assert not caught.value.lasting
    server.is_up = True
    send(study, tracked_trial(0, epochs=4), memory=memory)
    run = of_trial(server, 0)
    assert (steps(run), run.summary["accuracy"], run.exit_code) == ([1, 2, 3, 4], 0.8, 0)


def test_a_key_that_is_not_accepted_is_said_with_the_cure(server: WandbServer, tmp_path: Path) -> None:
    server.accepts_key = False
    with pytest.raises(SinkError) as caught:
        send(tracked_study(tmp_path), tracked_trial(0))
    assert "wandb login" in caught.value.cure and caught.value.lasting
    assert KEY not in caught.value.reason


def test_a_script_that_logs_itself_is_given_the_run_and_left_to_it(server: WandbServer, tmp_path: Path) -> None:
    trial = tracked_trial(0, epochs=2, done=False)
    its_own = replace(trial, points=tuple(replace(point, via="wandb") for point in trial.points))
    memory = send(tracked_study(tmp_path, upcoming=(1,)), its_own)
    handed = memory.data["environment"]
    assert handed["0"]["WANDB_RUN_ID"].endswith("-0000") and handed["1"]["WANDB_RUN_ID"].endswith("-0001")
    assert (handed["0"]["WANDB_RESUME"], handed["0"]["WANDB_PROJECT"]) == ("allow", "digits")
    assert not any(run_id.endswith("-0000") for run_id in server.runs)
    logged = ['{"_step":0,"mine":1}']
    server.runs[f"digits/{handed['0']['WANDB_RUN_ID']}"] = KeptRun(lines=[*logged])  # by the script
    done = tracked_trial(0, epochs=2)
    done = replace(done, points=tuple(replace(point, via="wandb") for point in done.points))
    memory = send(tracked_study(tmp_path), done, memory=memory)
    run = of_trial(server, 0)
    assert (run.lines, run.summary["accuracy"], run.config["lr"]) == (logged, 0.8, 0.001)
    assert "0" not in memory.data["environment"]


def test_what_a_script_logged_into_another_run_is_in_this_one_as_well(server: WandbServer, tmp_path: Path) -> None:
    done = tracked_trial(0)
    done = replace(done, points=tuple(replace(point, via="wandb") for point in done.points))
    memory = send(tracked_study(tmp_path), done)
    send(tracked_study(tmp_path), done, memory=memory)
    assert steps(of_trial(server, 0)) == [1, 2, 3]


@pytest.mark.parametrize("trial", [{"folds": {"n": 5}}, {"seeds": [1, 2]}])
def test_several_trainings_of_one_trial_share_its_group_and_not_its_run(
    server: WandbServer, tmp_path: Path, trial: dict[str, Any]
) -> None:
    memory = send(tracked_study(tmp_path, upcoming=(0,), settings={"trial": trial}))
    assert memory.data["environment"]["0"] == {"WANDB_PROJECT": "digits", "WANDB_RUN_GROUP": "digits"}


def test_offline_each_trial_is_one_folder_for_wandb_sync_however_often_it_is_written(
    server: WandbServer, tmp_path: Path
) -> None:
    server.is_up = False
    study = tracked_study(tmp_path)
    memory = send(study, tracked_trial(0, epochs=2, done=False), mode="offline")
    for _ in range(2):
        memory = send(study, tracked_trial(0), memory=memory, mode="offline")
    send(replace(study, state=StudyState.DONE), tracked_trial(0), memory=memory, mode="offline")
    folders = sorted(path.name for path in tmp_path.rglob("offline-run-*") if path.is_dir())
    assert [name.rpartition("-")[2] for name in folders] == ["0000", "study"]
    assert server.runs == {}


def test_switched_off_by_its_variable_is_said(server: WandbServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    with pytest.raises(SinkError, match="WANDB_MODE says disabled"):
        make_sink("wandb", WandbSettings(), {})
