"""Executors by name: what a study file may say, and what it is told where that does not work."""

from __future__ import annotations

import sys
import types
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from outlast.config.load import load_study_file
from outlast.config.settings import ExecutorSettings
from outlast.engine.attempts.slots import job_slots
from outlast.engine.check.quick import quick_check
from outlast.engine.check.throwaway import trial_settings
from outlast.engine.cluster.inspection import meant_for_slurm
from outlast.engine.hold.opening import open_study
from outlast.engine.launch import make_ready
from outlast.errors import OutlastError, StudyFileError, UsageError
from outlast.executors.base import Executor, StudyFacts
from outlast.executors.plugged import make_executor
from outlast.executors.psij import PsijExecutor
from outlast.study.layout import StudyPaths

FACTS = StudyFacts("s", "/nowhere/jobs", gpus=1.0)
STUDY = """
command: python -c 1 ${args}
metric: {name: acc, goal: maximize}
parameters: {lr: "log(1e-5, 1e-1)"}
budget: {trials: 1}
"""


class Pods(Executor):
    """Starts nothing."""

    def __init__(self, study: StudyFacts, *, image: str, size: int = 1) -> None:
        super().__init__()
        self.study, self.image, self.size = study, image, size

    def submit(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError

    adopt = ended = cancel = forget = submit  # type: ignore[assignment]


class Half(Executor):
    """Lacks what an executor must say."""


@pytest.fixture(autouse=True)
def my_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = types.ModuleType("my_lab")
    lab.Pods, lab.Half, lab.Other = Pods, Half, dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "my_lab", lab)
    found = EntryPoints([EntryPoint(name, "my_lab:Pods", "outlast.executors") for name in ("pods", "worker", "local")])
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found.select(group=group))


@pytest.mark.parametrize("name", ["my_lab.Pods", "my_lab:Pods", "pods"])
def test_an_executor_is_found_by_path_or_by_the_name_that_its_package_registers(name: str) -> None:
    made = make_executor(ExecutorSettings(name=name, options={"image": "train", "size": 4}), FACTS)
    assert isinstance(made, Pods)
    assert (made.study, made.image, made.size) == (FACTS, "train", 4)
    made.close()


def test_no_seed_is_offered_where_nothing_is_drawn() -> None:
    with pytest.raises(OutlastError) as told:
        make_executor(ExecutorSettings(name="pods", options={"image": "a", "seeed": 3}), FACTS)
    assert "seed" not in (told.value.cure or "")


@pytest.mark.parametrize(
    ("name", "options", "fact"),
    [
        ("my_lap.Pods", {}, "my_lap.Pods cannot be imported: No module named 'my_lap'"),
        ("my_lab.Pots", {}, "cannot be imported: module 'my_lab' has no attribute 'Pots'"),
        ("my_lab.Other", {}, "my_lab.Other is not an executor: a class made from outlast.executors.base.Executor"),
        ("my_lab.Half", {}, "no whole executor: it lacks adopt, cancel, ended, forget, submit"),
        ("prods", {}, "prods is no executor that is installed here: local, pods, psij"),
        ("worker", {"image": "a"}, "my_lab:Pods is registered as worker, which is our own name"),
        ("local", {"image": "a"}, "my_lab:Pods is registered as local, which is our own name"),
        (
            "pods",
            {"image": "a", "sice": 3},
            r"pods has no option sice; its options \(defaults\): image \(None\), size \(1\)",
        ),
        ("pods", {"image": "a", "size": "big"}, "size must be a whole number, not 'big'"),
        ("pods", {}, "pods does not take these options: .* 'image'"),
        ("psij", {"scheduler": "pbs", "qeue": "gpu"}, "psij has no option qeue"),
        ("psij", {"scheduler": "flux"}, "scheduler 'flux' is unknown"),
        ("psij", {"scheduler": "local", "walltime": "soon"}, "does not take these options: .*soon"),
    ],
)
def test_what_cannot_be_had_is_told_with_key_fact_and_cure(name: str, options: dict[str, Any], fact: str) -> None:
    with pytest.raises(OutlastError, match=fact) as told:
        make_executor(ExecutorSettings(name=name, options=options), FACTS)
    if isinstance(told.value, StudyFileError):
        assert (told.value.key or "").startswith("executor")


def test_no_slot_of_a_job_is_taken_for_one_of_a_worker(tmp_path: Path) -> None:
    slots = job_slots(loaded(tmp_path, "executor: worker:Pods"), "worker:Pods")
    assert slots.local[0] == "worker.Pods:0"


def loaded(folder: Path, text: str) -> Any:
    (folder / "study.yaml").write_text(STUDY + text)
    return load_study_file(folder / "study.yaml")


@pytest.mark.parametrize(
    ("text", "name", "options"),
    [
        ("", "local", {}),
        ("executor: local", "local", {}),
        ("executor: my_lab.cloud.Pods", "my_lab.cloud.Pods", {}),
        (
            "executor: {name: psij, scheduler: pbs, options: {m: n}}",
            "psij",
            {"scheduler": "pbs", "options": {"m": "n"}},
        ),
    ],
)
def test_a_study_file_names_its_executor_and_the_record_keeps_it(
    tmp_path: Path, text: str, name: str, options: dict[str, Any]
) -> None:
    settings = loaded(tmp_path, text)
    assert settings.executor == ExecutorSettings(name=name, options=options)
    kept = settings.resolved.get("executor")
    assert kept == (None if name == "local" else {"name": name, **options} if options else name)


def test_check_makes_the_executor_and_says_what_it_lacks(tmp_path: Path) -> None:
    told = {f.about: f for f in quick_check(loaded(tmp_path, "executor: pods"), str(tmp_path / "s"))}
    assert told["executor"].level == "error" and "image" in told["executor"].text
    text = "executor: {name: psij, scheduler: local}\nresources: {gpus: 100}"
    told = {f.about: f for f in quick_check(loaded(tmp_path, text), str(tmp_path / "s"))}
    assert (told["executor"].level, told["executor"].text) == ("ok", "psij starts the trials")
    assert "GPUs" not in told, "the jobs have them, not this machine"
    assert not (tmp_path / "s").exists()


def test_psij_is_registered_by_its_short_name(tmp_path: Path) -> None:
    made = make_executor(ExecutorSettings(name="psij", options={"scheduler": "local"}), FACTS)
    assert isinstance(made, PsijExecutor)
    made.close()


def test_trials_that_are_tried_out_run_here(tmp_path: Path) -> None:
    assert not trial_settings(loaded(tmp_path, "executor: pods"), trials=1, limit=1.0).executor.plugged


def test_what_an_executor_of_its_own_starts_is_not_submitted_and_nothing_is_set_aside_for_it(tmp_path: Path) -> None:
    settings, folder = loaded(tmp_path, "executor: {name: pods, image: a}\nslurm: {}"), tmp_path / "s"
    with open_study(StudyPaths.at(folder), settings):
        pass
    with pytest.raises(UsageError, match="executor: pods starts trials for `outlast run`"):
        make_ready(settings, str(folder), fresh=True, on_cluster=True)
    assert sorted(place.name for place in tmp_path.iterdir()) == ["s", "study.yaml"], "the study was not set aside"
    assert not meant_for_slurm(settings), "check says what a run needs"
