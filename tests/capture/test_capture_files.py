"""Files as a source of metrics, and whose file it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outlast.runner.capture.metric_files import MetricFiles, read_metrics


@pytest.fixture
def trial_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "studies" / "s" / "trials" / "0003"
    folder.mkdir(parents=True)
    return folder


def watch(tmp_path: Path, trial_dir: Path, *patterns: str, shared: bool = False) -> MetricFiles:
    return MetricFiles(patterns, 3, trial_dir, tmp_path, shared=shared)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("all_results.json", '{"eval_accuracy": 0.9, "epoch": 3.0}', {"eval_accuracy": 0.9, "epoch": 3.0}),
        ("nested.json", '{"eval": {"acc": 0.9, "n": {"deep": 1}}}', {"eval.acc": 0.9, "eval.n.deep": 1.0}),
        ("list.json", '[{"acc": 0.5}, {"acc": 0.9}]', {"acc": 0.9}),
        ("rows.jsonl", '{"acc": 0.5}\n{"acc": 0.9}\n{"acc": 0.9', {"acc": 0.9}),
        ("metrics.csv", "epoch,acc,loss\n0,0.5,\n1,0.9,0.1\n2,,0.2\n", {"epoch": 2.0, "acc": 0.9, "loss": 0.2}),
        ("metrics.tsv", "epoch\tacc\n0\t0.5\n", {"epoch": 0.0, "acc": 0.5}),
        ("bom.csv", "\ufeffacc;n\n0.5;1\n", {"acc": 0.5, "n": 1.0}),
        ("other.json", '{"f\\udcfcr": 0.5}', {"f?r": 0.5}),
        ("nan.json", '{"acc": NaN, "ok": true, "text": "hello", "number": "0.5"}', None),
    ],
)
def test_every_number_is_found_by_name(
    tmp_path: Path, name: str, content: str, expected: dict[str, float] | None
) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    found = read_metrics(str(tmp_path / name)).metrics.last_values()
    if expected is None:
        assert str(found) == "{'acc': nan, 'number': 0.5}"
    else:
        assert found == expected


def test_the_rows_of_trainer_state_have_a_last_and_a_best(tmp_path: Path) -> None:
    history = [
        {"step": 1, "eval_acc": 0.5},
        {"step": 2, "eval_acc": 0.9},
        {"step": 3, "loss": 1},
        {"step": 4, "eval_acc": 0.7},
    ]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"best_metric": 0.9, "log_history": history}))
    tally = read_metrics(str(tmp_path / "trainer_state.json")).metrics["eval_acc"]
    assert (tally.last, tally.low, tally.high) == (0.7, 0.5, 0.9)


@pytest.mark.parametrize("content", ["", "hello", "[1, 2]", '{"a": "b"}', "\x00\x01\x02", "[" * 5000])
def test_a_file_without_named_numbers_is_a_note(tmp_path: Path, content: str) -> None:
    (tmp_path / "m.json").write_text(content)
    found = read_metrics(str(tmp_path / "m.json"))
    assert len(found.metrics) == 0
    assert "holds no numbers" in found.notes[0]


def test_a_file_that_was_there_before_does_not_count(tmp_path: Path, trial_dir: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"acc": 0.9}')
    (tmp_path / "trial_3_score.txt").write_text("0.9")
    files = watch(tmp_path, trial_dir, "metrics.json")
    assert files.read("metrics.json") is None
    assert files.score_file() is None


def test_a_file_that_was_written_again_counts(tmp_path: Path, trial_dir: Path) -> None:
    (tmp_path / "metrics.json").write_text('{"acc": 0.9}')
    files = watch(tmp_path, trial_dir, "metrics.json")
    (tmp_path / "metrics.json").write_text('{"acc": 0.75}')
    found = files.read("metrics.json")
    assert found is not None
    assert found.metrics["acc"].last == 0.75


def test_the_newest_of_several_counts(tmp_path: Path, trial_dir: Path) -> None:
    import os

    files = watch(tmp_path, trial_dir, "**/trainer_state.json")
    for step in (500, 1000):
        folder = trial_dir / f"out/checkpoint-{step}"
        folder.mkdir(parents=True)
        (folder / "trainer_state.json").write_text(json.dumps({"step": step}))
        os.utime(folder / "trainer_state.json", (step, step))
    found = files.read("**/trainer_state.json")
    assert found is not None
    assert found.metrics["step"].last == 1000


def test_the_trials_own_folder_comes_first(tmp_path: Path, trial_dir: Path) -> None:
    files = watch(tmp_path, trial_dir, "metrics.json")
    (trial_dir / "metrics.json").write_text('{"acc": 0.1}')
    (tmp_path / "metrics.json").write_text('{"acc": 0.2}')
    found = files.read("metrics.json")
    assert found is not None
    assert found.metrics["acc"].last == 0.1


def test_files_in_another_trials_folder_are_never_read(tmp_path: Path, trial_dir: Path) -> None:
    files = watch(tmp_path, trial_dir, "**/metrics.json")
    other = trial_dir.parent / "0004"
    other.mkdir()
    (other / "metrics.json").write_text('{"acc": 0.1}')
    assert files.read("**/metrics.json") is None


def test_beside_other_trials_a_file_in_the_working_directory_is_not_trusted(tmp_path: Path, trial_dir: Path) -> None:
    files = watch(tmp_path, trial_dir, "metrics.json", shared=True)
    (tmp_path / "metrics.json").write_text('{"acc": 0.1}')
    found = files.read("metrics.json")
    assert found is not None
    assert len(found.metrics) == 0
    assert "${trial_dir}" in found.notes[0]


@pytest.mark.parametrize("pattern", ["runs/${trial}/metrics.json", "${trial_dir}/metrics.json"])
def test_beside_other_trials_a_pattern_that_names_the_trial_is_trusted(
    tmp_path: Path, trial_dir: Path, pattern: str
) -> None:
    files = watch(tmp_path, trial_dir, pattern, shared=True)
    (tmp_path / "runs/3").mkdir(parents=True)
    for path in (tmp_path / "runs/3/metrics.json", trial_dir / "metrics.json"):
        path.write_text('{"acc": 0.1}')
    found = files.read(pattern)
    assert found is not None
    assert found.metrics["acc"].last == 0.1


def test_the_score_file_is_this_trials(tmp_path: Path, trial_dir: Path) -> None:
    files = watch(tmp_path, trial_dir)
    (tmp_path / "trial_4_score.txt").write_text("0.4")
    assert files.score_file() is None
    (tmp_path / "trial_3_score.txt").write_text(" 0.3\n")
    assert files.score_file() == 0.3
