"""The client: what a script is told, what it tells, and that nothing happens by hand."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from outlast import client
from outlast.runner.capture.curve import LiveReports
from outlast.runner.capture.objective import Objective


@pytest.fixture
def attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An attempt's folder, with the environment that its training would have."""
    folder = tmp_path / "trials" / "0007" / "attempts" / "2"
    folder.mkdir(parents=True)
    monkeypatch.setenv("OUTLAST_TRIAL_DIR", str(tmp_path / "trials" / "0007"))
    monkeypatch.setenv("OUTLAST_TRIAL", "7")
    monkeypatch.setenv("OUTLAST_ATTEMPT", "2")
    monkeypatch.setenv("OUTLAST_SEED", "123")
    monkeypatch.setenv("OUTLAST_CHECKPOINT_DIR", str(tmp_path / "trials" / "0007" / "checkpoints"))
    (folder / "params.json").write_text('{"lr": 0.001, "model": "mlp"}')
    monkeypatch.setenv("OUTLAST_PARAMS", str(folder / "params.json"))
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "OMPI_COMM_WORLD_RANK", "OUTLAST_RESUME", "OUTLAST_SPLITS"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("OUTLAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(attempt: Path) -> list[dict[str, object]]:
    path = attempt / "reports.jsonl"
    found = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    for line in found:  # the moment of a point, and of nothing else
        assert ("at" in line) == ("step" in line) and abs(line.pop("at", time.time()) - time.time()) < 600
    return found


def test_a_script_learns_what_it_trains(attempt: Path) -> None:
    trial = client.current_trial()
    assert (trial.number, trial.attempt, trial.seed, trial.resumed) == (7, 2, 123, False)
    assert trial.params == {"lr": 0.001, "model": "mlp"}
    assert trial.dir == attempt.parent.parent
    assert trial.checkpoint_dir.is_dir()


def test_the_same_trial_comes_back_until_the_environment_is_another(
    attempt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = client.current_trial()
    assert client.current_trial() is first
    monkeypatch.setenv("OUTLAST_ATTEMPT", "3")
    assert client.current_trial().attempt == 3


def test_a_report_is_one_line(attempt: Path) -> None:
    client.current_trial().report(step=3, val_accuracy=0.9, loss=1)
    assert lines(attempt) == [{"v": 1, "step": 3, "metrics": {"val_accuracy": 0.9, "loss": 1.0}}]


def test_a_final_score_has_no_step(attempt: Path) -> None:
    client.current_trial().report(score=0.5)
    assert lines(attempt) == [{"v": 1, "metrics": {"score": 0.5}}]


def test_numbers_that_json_lacks_are_written_as_words(attempt: Path) -> None:
    client.current_trial().report(a=float("nan"), b=float("inf"), c=float("-inf"))
    assert lines(attempt)[0]["metrics"] == {"a": "nan", "b": "inf", "c": "-inf"}


def test_numpy_numbers_are_numbers(attempt: Path) -> None:
    import numpy as np

    client.current_trial().report(step=np.int64(4), a=np.float32(0.5), b=np.array(2))
    assert lines(attempt) == [{"v": 1, "step": 4, "metrics": {"a": 0.5, "b": 2.0}}]


@pytest.mark.parametrize("value", ["0.9", None, [1.0, 2.0]])
def test_what_is_no_number_is_refused_by_name(attempt: Path, value: object) -> None:
    with pytest.raises(TypeError, match=r"report\(accuracy=...\) takes a number"):
        client.current_trial().report(accuracy=value)
    assert lines(attempt) == []


@pytest.mark.parametrize("step", [-1, 0.5])
def test_a_step_is_a_whole_number_from_zero(attempt: Path, step: float) -> None:
    with pytest.raises(ValueError, match="step must be a whole number"):
        client.current_trial().report(step=step, a=1.0)  # type: ignore[arg-type]


def test_a_report_without_a_metric_is_refused(attempt: Path) -> None:
    with pytest.raises(TypeError, match="needs a metric"):
        client.current_trial().report(step=1)


def test_lines_of_many_threads_do_not_mix(attempt: Path) -> None:
    trial = client.current_trial()

    def work(number: int) -> None:
        for step in range(100):
            trial.report(step=step, **{f"metric_{number}": 1.0})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(attempt)) == 800


def test_a_forked_worker_reports_into_the_same_file(attempt: Path) -> None:
    trial = client.current_trial()
    trial.report(step=0, a=1.0)
    pid = os.fork()
    if pid == 0:
        trial.report(step=1, a=2.0)
        os._exit(0)
    os.waitpid(pid, 0)
    assert [line["step"] for line in lines(attempt)] == [0, 1]


def test_a_descriptor_that_was_closed_and_given_to_another_file_is_noticed(attempt: Path, tmp_path: Path) -> None:
    trial = client.current_trial()
    trial.report(step=0, a=1.0)
    mine = trial._reports_fd
    other = os.open(tmp_path / "data.bin", os.O_WRONLY | os.O_CREAT)
    os.dup2(other, mine)
    trial.report(step=1, a=2.0)
    os.close(other)
    os.close(mine)
    assert (tmp_path / "data.bin").read_bytes() == b""
    assert len(lines(attempt)) == 2


def test_a_folder_that_is_gone_costs_one_line_on_stderr(attempt: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = client.current_trial()
    (attempt / "params.json").unlink()
    attempt.rmdir()
    trial.report(step=0, a=1.0)
    trial.report(step=1, a=1.0)
    assert capsys.readouterr().err.count("cannot report") == 1


@pytest.mark.parametrize("variables", [{"RANK": "1"}, {"LOCAL_RANK": "2"}, {"LOCAL_RANK": "0", "NODE_RANK": "1"}])
def test_other_ranks_do_not_report_but_can_be_stopped(
    attempt: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    trial = client.current_trial()
    trial.report(step=0, a=1.0)
    trial.done()
    (attempt / "stop.json").write_text('{"reason": "pruned"}')
    assert trial.should_stop
    assert lines(attempt) == [{"v": 1, "listens": True}, {"v": 1, "acknowledged": "pruned"}]


def test_rank_zero_reports(attempt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_RANK", "0")
    client.current_trial().report(a=1.0)
    assert len(lines(attempt)) == 1


@pytest.mark.parametrize("reason", ["pruned", "user", "walltime", "timeout", "preempted"])
def test_a_stop_request_is_true_says_why_and_is_acknowledged_once(attempt: Path, reason: str) -> None:
    trial = client.current_trial()
    (attempt / "stop.json").write_text(json.dumps({"reason": reason, "grace": 10}))
    assert trial.should_stop
    assert trial.should_stop.reason == reason
    assert [line for line in lines(attempt) if "acknowledged" in line] == [{"v": 1, "acknowledged": reason}]


def test_while_nobody_asks_it_is_false_and_the_script_is_known_to_listen(attempt: Path) -> None:
    trial = client.current_trial()
    assert not trial.should_stop
    assert trial.should_stop.reason == ""
    assert lines(attempt) == [{"v": 1, "listens": True}]


def test_the_folder_is_looked_at_now_and_then_and_always_after_a_report(
    attempt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(client.time, "monotonic", lambda: now)
    trial = client.current_trial()
    assert not trial.should_stop
    (attempt / "stop.json").write_text('{"reason": "user"}')
    now += 0.049
    assert not trial.should_stop
    trial.report(step=1, a=1.0)
    assert trial.should_stop


def test_after_fifty_milliseconds_it_looks_again(attempt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(client.time, "monotonic", lambda: now)
    trial = client.current_trial()
    assert not trial.should_stop
    (attempt / "stop.json").write_text('{"reason": "user"}')
    now += 0.051
    assert trial.should_stop


def test_a_request_that_is_being_written_is_not_there_yet(attempt: Path) -> None:
    (attempt / "stop.json").write_text('{"reas')
    trial = client.current_trial()
    assert not trial.should_stop
    trial.report(a=1.0)
    (attempt / "stop.json").write_text('{"reason": "user"}')
    assert trial.should_stop


def test_done_is_one_line(attempt: Path) -> None:
    client.current_trial().done()
    assert lines(attempt) == [{"v": 1, "done": True}]


def test_by_hand_nothing_is_written_and_nothing_breaks(by_hand: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trial = client.current_trial()
    trial.report(step=0, accuracy=0.5)
    trial.done()
    assert not trial.should_stop
    assert (trial.number, trial.attempt, trial.seed, trial.resumed, trial.params) == (0, 1, 0, False, {})
    assert trial.last_checkpoint is None
    assert trial.load_checkpoint() is None
    assert list(by_hand.iterdir()) == [by_hand / "checkpoints"] or list(by_hand.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_splits_part_the_ids_by_the_fold(attempt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "splits.json").write_text('{"version": 1, "folds": [["a", 3], ["b"], ["c", 4]]}')
    monkeypatch.setenv("OUTLAST_SPLITS", str(tmp_path / "splits.json"))
    monkeypatch.setenv("OUTLAST_FOLD", "2")
    assert client.current_trial().split(["c", 3, "a", 4, "b"]) == ([3, "a", "b"], ["c", 4])


def test_ids_that_are_numbers_in_the_script_and_text_in_the_file_are_the_same(
    attempt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np

    (tmp_path / "splits.json").write_text('{"version": 1, "folds": [["0", "2"], ["1"]]}')
    monkeypatch.setenv("OUTLAST_SPLITS", str(tmp_path / "splits.json"))
    monkeypatch.setenv("OUTLAST_FOLD", "0")
    assert client.current_trial().split([0, 1, 2]) == ([1], [0, 2])
    assert client.current_trial().split(list(np.arange(3))) == ([1], [0, 2])


def test_an_id_that_the_splits_do_not_know_is_named(
    attempt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "splits.json").write_text('{"version": 1, "folds": [[1], [2]]}')
    monkeypatch.setenv("OUTLAST_SPLITS", str(tmp_path / "splits.json"))
    with pytest.raises(ValueError, match=r"1 of the ids are not in .*splits.json, for example 9"):
        client.current_trial().split([1, 2, 9])


def test_without_splits_every_fifth_id_is_held_out(by_hand: Path) -> None:
    assert client.current_trial().split(list(range(7))) == ([1, 2, 3, 4, 6], [0, 5])


def _deleted(path: Path) -> None:
    path.unlink()


def _replaced(path: Path) -> None:
    (path.parent / "other").write_text("nothing of ours\n" * 20)
    (path.parent / "other").rename(path)


def _cut_off(path: Path) -> None:
    path.write_bytes(b"")


def _cut_within_a_line(path: Path) -> None:
    os.truncate(path, 30)


def _moved(path: Path) -> None:
    path.rename(path.parent / "moved")


@pytest.mark.parametrize("harm", [_deleted, _replaced, _cut_off, _cut_within_a_line, _moved])
def test_reports_that_are_taken_away_meanwhile_are_written_again(
    attempt: Path, harm: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    trial, path = client.current_trial(), attempt / "reports.jsonl"
    live = LiveReports(path, [Objective("acc")])
    trial.report(step=0, acc=0.5)
    trial.report(step=1, acc=0.75)
    told = live.poll()
    harm(path)
    told += live.poll()
    assert not capfd.readouterr().err
    trial.report(step=2, acc=0.625)
    told += live.poll()
    trial.report(step=3, acc=0.25)
    told += live.poll()
    assert [(report.step, report.metrics["acc"]) for report in told] == [(0, 0.5), (1, 0.75), (2, 0.625), (3, 0.25)]
    assert live.reader.own.seen["acc"].last == 0.25
    afterwards = LiveReports(path, [Objective("acc")])
    assert [report.step for report in afterwards.poll()] == [0, 1, 2, 3], "whoever comes later reads all of it, once"
    assert capfd.readouterr().err.count("written again") == 1


def test_what_is_remembered_is_bounded_and_a_fork_does_not_speak_for_its_parent(
    attempt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_REMEMBERED_BYTES", 140)
    trial, path = client.current_trial(), attempt / "reports.jsonl"
    for step in range(5):
        trial.report(step=step, acc=0.5)
    path.unlink()
    trial.report(step=5, acc=0.5)
    assert [line["step"] for line in lines(attempt)] == [4, 5]
    trial._said_by = os.getppid()
    path.unlink()
    trial.report(step=6, acc=0.5)
    assert [line["step"] for line in lines(attempt)] == [6]
