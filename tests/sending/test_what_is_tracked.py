"""What trackers are told of a folder: the same points wherever they lie, and a trial anew when it is otherwise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.sending.studies import searched

from outlast._system.reading import read_bytes
from outlast.core.file_names import TrackerPaths, TrialPaths
from outlast.core.parts import parts
from outlast.core.records import AttemptEnded, AttemptOpened, Trial, TrialCreated, TrialRetried
from outlast.core.states import Cause, StudyState, TrialState
from outlast.engine.sending import memory_file, reported_points
from outlast.engine.sending.memory_file import MemoryFile
from outlast.engine.sending.reported_points import ReportedPoints, points_in
from outlast.engine.sending.tracked import TrackedFolder
from outlast.runner.environment import training_environment
from outlast.runner.spec import RunnerSpec
from outlast.study.attempts import open_attempt
from outlast.study.layout import StudyPaths
from outlast.study.putting_away import put_away
from outlast.testing.studies import StudyBuilder

BEGAN = 1_767_607_200.0


def line(step: int | None, at: float | None = None, via: str = "", **metrics: float | str) -> str:
    said = {"v": 1, "step": step, "at": at, "via": via or None, "metrics": metrics}
    return json.dumps({key: value for key, value in said.items() if value is not None}) + "\n"


def a_trial(*states: TrialState) -> Trial:
    """With an attempt for each of these states; of the last one, where that is RUNNING, there is no end yet."""
    build = StudyBuilder()
    build.study.apply(TrialCreated(0, build.at(0), {"lr": 1}))
    for number, state in enumerate(states, start=1):
        if build.study.trials[0].state.finished:
            build.study.apply(TrialRetried(0, build.at(number)))
        build.study.apply(AttemptOpened(0, number, build.at(number)))
        if state is not TrialState.RUNNING:
            values = (0.5,) if state is TrialState.COMPLETE else None
            build.study.apply(AttemptEnded(0, number, build.at(number + 0.5), state, Cause.CRASH, values=values))
    return build.study.trials[0]


def laid_out(root: Path, *reports: str) -> TrialPaths:
    paths = StudyPaths.at(root)
    for attempt, text in enumerate(reports, start=1):
        open_attempt(paths, 0, attempt, "{}", {})
        paths.attempt(0, attempt).reports.write_text(text)
    return paths.trial(0)


@pytest.mark.parametrize("ending", [TrialState.COMPLETE, TrialState.FAILED, TrialState.PRUNED])
def test_points_are_the_same_before_and_after_a_trial_is_put_away(tmp_path: Path, ending: TrialState) -> None:
    first = line(0, BEGAN + 5, acc=0.1) + "torn {\n" + line(1, acc="nan") + line(None, acc=0.9)
    paths = laid_out(
        tmp_path, first, line(1, BEGAN + 9, "mlflow", acc=0.2, loss=3.0) + line(2, acc=0.3) + '{"v":1,"step":3'
    )
    reported = ReportedPoints()
    running = reported.of(a_trial(TrialState.INTERRUPTED, TrialState.RUNNING), paths, ["acc"], BEGAN)
    assert [(p.step, p.at, sorted(p.metrics), p.via) for p in running] == [
        (0, BEGAN + 5, ["acc"], ""),
        (1, BEGAN + 0.001, ["acc"], ""),  # no moment of its own: the trial's beginning, a millisecond for each
        (1, BEGAN + 9, ["acc", "loss"], "mlflow"),
        (2, BEGAN + 0.003, ["acc"], ""),
    ]
    over = a_trial(TrialState.INTERRUPTED, ending)
    unmoved = reported.of(over, paths, ["acc"], BEGAN)
    put_away(paths, over)
    for found in (unmoved, reported.of(over, paths, ["acc"], BEGAN), ReportedPoints().of(over, paths, ["acc"], BEGAN)):
        assert repr(found) == repr(running)


@pytest.mark.parametrize("ending", [TrialState.COMPLETE, TrialState.FAILED])
def test_points_of_a_trial_that_is_put_away_in_the_middle_of_a_look_are_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: TrialState
) -> None:
    paths, over = laid_out(tmp_path, line(0, BEGAN + 5, acc=0.1), line(1, acc=0.2)), a_trial(ending, ending)
    expected = ReportedPoints().of(over, paths, ["acc"], BEGAN)
    for reads in range(3):
        shutil.rmtree(paths.folder)
        laid_out(tmp_path, line(0, BEGAN + 5, acc=0.1), line(1, acc=0.2))
        left = [reads]

        def read(path: Path, left: list[int] = left) -> bytes | None:
            if not left[0]:
                put_away(paths, over)
            left[0] -= 1
            return read_bytes(path)

        monkeypatch.setattr(reported_points, "read_bytes", read)
        assert ReportedPoints().of(over, paths, ["acc"], BEGAN) == expected


def test_a_trial_is_sent_again_when_its_files_have_been_put_away(tmp_path: Path) -> None:
    folder = searched(tmp_path / "digits", 1)
    names = StudyPaths.at(Path(folder))
    open_attempt(names, 0, 1, "{}", {})
    found = TrackedFolder(folder)
    found.look()
    before = dict(found.tokens)
    assert "trial.json" not in found.trial(0).files
    put_away(names.trial(0), found._study.trials[0])
    found.look()
    assert found.tokens != before and "trial.json" in found.trial(0).files
    again = TrackedFolder(folder)
    again.look()
    assert again.tokens == found.tokens


@pytest.mark.parametrize(("seeds", "folds", "word"), [((), 3, "fold"), ((7, 8, 9), None, "part")])
def test_the_parts_of_a_trial_are_told_apart_before_and_after_it_is_put_away(
    tmp_path: Path, seeds: tuple[int, ...], folds: int | None, word: str
) -> None:
    paths = laid_out(
        tmp_path, *(line(0, via="output", acc=n / 10) + line(1, via="mlflow", acc=0.5) + "x\n" for n in range(4))
    )
    whole = parts(seeds, folds)

    def trial(ended: int) -> Trial:
        """Part 0 was interrupted once; of the others each has one attempt."""
        found = a_trial(*[TrialState.INTERRUPTED] * (4 if ended == 4 else ended), *[TrialState.RUNNING][: 4 - ended])
        for attempt in found.attempts:
            if attempt.outcome is not None:
                part = max(0, attempt.number - 2)
                values = None if attempt.number == 1 else (0.5,)
                attempt.outcome = replace(attempt.outcome, part=part, part_values=values)
        return found

    expected = [f"{word}_{part}/acc" for part in (0, 0, 0, 0, 1, 1, 2, 2)]
    reported, over = ReportedPoints(), trial(4)
    running = reported.of(trial(3), paths, ["acc"], BEGAN, whole)
    over.state = TrialState.COMPLETE
    unmoved = reported.of(over, paths, ["acc"], BEGAN, whole)
    put_away(paths, over)
    for found in (running, unmoved, ReportedPoints().of(over, paths, ["acc"], BEGAN, whole)):
        assert [name for p in found for name in p.metrics] == expected
        assert [p.part for p in found] == [0, 0, 0, 0, 1, 1, 2, 2]
        assert not any(p.via == "mlflow" for p in found), "by these names nobody else logged anything"


def test_a_trial_that_a_person_retries_keeps_its_points_and_gets_more(tmp_path: Path) -> None:
    paths, reported = laid_out(tmp_path, line(0, acc=0.1)), ReportedPoints()
    put_away(paths, a_trial(TrialState.COMPLETE))
    again = a_trial(TrialState.COMPLETE)
    again.state = TrialState.INTERRUPTED  # as `TrialRetried` has it
    assert [p.step for p in reported.of(again, paths, ["acc"], BEGAN)] == [0]
    open_attempt(StudyPaths.at(tmp_path), 0, 2, "{}", {})
    paths.attempt(2).reports.write_text(line(1, acc=0.2))
    assert [p.step for p in reported.of(a_trial(TrialState.COMPLETE, TrialState.RUNNING), paths, ["acc"], BEGAN)] == [
        0,
        1,
    ]


def test_reports_are_read_on_and_anew_where_the_file_is_another_one(tmp_path: Path) -> None:
    paths, reported = laid_out(tmp_path, line(0, acc=0.1)), ReportedPoints()
    file = paths.attempt(1).reports
    assert reported.poll(0, paths) == 1
    with open(file, "a") as more:
        more.write(line(1, acc=0.2))
    assert reported.poll(0, paths) == 2
    file.write_text(line(7, acc=0.7))
    assert reported.poll(0, paths) == 1


@pytest.mark.parametrize(
    "said",
    ["", "[]", "3", '{"step": -1, "metrics": {"a": 1}}', '{"step": 1}', '{"step": 1, "metrics": {"a": "x"}}', "{" * 9],
)
def test_what_is_no_point_is_none(said: str) -> None:
    assert points_in([said.encode()]) == []


def test_a_trial_is_another_one_when_anything_of_it_is() -> None:
    def token(trial: Trial) -> str:
        found = TrackedFolder(".")
        found._study = StudyBuilder().study
        return found._token(trial)

    trials = [a_trial(), a_trial(TrialState.INTERRUPTED), a_trial(TrialState.COMPLETE), a_trial(TrialState.FAILED)]
    noted = a_trial(TrialState.COMPLETE)
    noted.user_attrs = {"latency": 3}
    other = a_trial(TrialState.COMPLETE)
    other.user_attrs = {"latency": 4}
    tokens = [token(each) for each in [*trials, noted, other]]
    assert len(set(tokens)) == len(tokens)
    assert [token(each) for each in [*trials, noted, other]] == tokens


def test_a_study_is_told_with_its_trials_constants_and_next_numbers(tmp_path: Path) -> None:
    found = TrackedFolder(searched(tmp_path / "digits", 8))
    found.look()
    study, trial = found.study, found.trial(2)
    assert (study.state, study.best, study.best_value, study.counts[TrialState.FAILED]) == (StudyState.DONE, 7, 0.07, 1)
    assert (study.constants, study.upcoming, study.max_trials) == ({"a": 7}, (), 8)
    assert (trial.params, trial.values, trial.is_over, trial.began) == ({"lr": 1, "a": 7}, (0.02,), True, BEGAN)


def test_two_studies_of_one_name_are_two() -> None:
    builds = [StudyBuilder("digits"), StudyBuilder("digits"), StudyBuilder("other")]
    builds[1].study.study_seed = 2
    assert len({build.study.identity for build in builds}) == 3


# what trainings are given


def handed(root: Path, **given: dict[str, str]) -> None:
    memory = MemoryFile(TrackerPaths(root / "tracking", "mlflow"), "id")
    memory.data["environment"] = given
    memory.keep()


def environment(root: Path, trial: int, **inherited: str) -> dict[str, str]:
    (root / "trials").mkdir(exist_ok=True)
    spec = RunnerSpec(trial, 1, ("true",), str(root), "trials/0", "trials/0/attempts/1", "trials/0/checkpoints", ())
    return training_environment(spec, root, inherited, "")


def test_a_training_is_given_its_trials_variables(tmp_path: Path) -> None:
    handed(
        tmp_path,
        **{
            "7": {"MLFLOW_RUN_ID": "r7", "MLFLOW_TRACKING_URI": "http://${WHO}:${WORD}@h"},
            "8": {"MLFLOW_RUN_ID": "r8"},
        },
    )
    found = environment(tmp_path, 7, WHO="me", WORD="pw")
    assert (found["MLFLOW_RUN_ID"], found["MLFLOW_TRACKING_URI"]) == ("r7", "http://me:pw@h")
    assert "MLFLOW_RUN_ID" not in environment(tmp_path, 9)
    assert "MLFLOW_RUN_ID" not in environment(tmp_path, 7, WHO="me"), "an address without its password is none"


def test_all_of_a_trackers_variables_or_none_of_them(tmp_path: Path) -> None:
    handed(tmp_path, **{"7": {"MLFLOW_RUN_ID": "r7", "MLFLOW_TRACKING_URI": "http://h"}})
    elsewhere = environment(tmp_path, 7, MLFLOW_TRACKING_URI="http://other")
    assert "MLFLOW_RUN_ID" not in elsewhere and elsewhere["MLFLOW_TRACKING_URI"] == "http://other"
    assert environment(tmp_path, 7, MLFLOW_TRACKING_URI="http://h")["MLFLOW_RUN_ID"] == "r7"


def test_a_secret_is_not_handed_on_by_a_file(tmp_path: Path) -> None:
    handed(
        tmp_path,
        **{"7": {"MLFLOW_RUN_ID": "r7", "MLFLOW_TRACKING_URI": "http://me:pw@h"}, "8": {"MLFLOW_RUN_ID": "r8"}},
    )
    assert "pw" not in (tmp_path / "tracking" / "mlflow.environment").read_text()
    assert "MLFLOW_RUN_ID" not in environment(tmp_path, 7) and environment(tmp_path, 8)["MLFLOW_RUN_ID"] == "r8"
    handed(tmp_path)
    assert "MLFLOW_RUN_ID" not in environment(tmp_path, 8)


def test_what_another_study_left_in_the_folder_is_not_ours(tmp_path: Path) -> None:
    paths = TrackerPaths(tmp_path / "tracking", "mlflow")
    memory = MemoryFile(paths, "one")
    memory.data["run"], memory.taken = "r", {0: "x"}
    memory.keep()
    assert (MemoryFile(paths, "one").data, MemoryFile(paths, "one").taken) == ({"run": "r"}, {0: "x"})
    assert (MemoryFile(paths, "two").data, MemoryFile(paths, "two").taken) == ({}, {})


def test_a_training_that_logs_to_wandb_has_its_trials_run_where_a_tracker_says_it(tmp_path: Path) -> None:
    alone = environment(tmp_path, 7)
    assert alone["WANDB_RUN_ID"].endswith("-0007")
    handed(tmp_path, **{"7": {"WANDB_RUN_ID": "r7", "WANDB_RESUME": "allow", "WANDB_PROJECT": "p"}})
    found = environment(tmp_path, 7)
    assert (found["WANDB_RUN_ID"], found["WANDB_PROJECT"], found["WANDB_RUN_GROUP"]) == ("r7", "p", tmp_path.name)
    assert environment(tmp_path, 7, WANDB_RUN_ID="mine")["WANDB_RUN_ID"] == "mine"


def test_a_memory_that_is_as_it_was_is_not_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory, written = MemoryFile(TrackerPaths(tmp_path / "tracking", "mlflow"), "one"), list[Path]()
    monkeypatch.setattr(memory_file, "write_atomic", lambda path, *_, **__: written.append(path))
    for value in (1, 1, 2, 2):
        memory.data["run"] = value
        memory.keep()
    assert len(written) == 2
