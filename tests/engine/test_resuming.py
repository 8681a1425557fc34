"""A trial is told to resume if, and only if, a checkpoint lies there; and its runner knows what was there before."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from outlast.config.settings import CheckpointSettings, MetricSettings, Settings, TrialSettings
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.prepare import no_checkpoints, prepare_attempt
from outlast.runner.environment import training_environment
from outlast.runner.spec import RunnerSpec
from outlast.study.layout import StudyPaths
from outlast.testing.studies import StudyBuilder

METRIC = MetricSettings(name="acc", goal="maximize")


def prepared(place: Path, *there: str, pattern: tuple[str, ...] = (), **first: Any) -> RunnerSpec:
    """What the second attempt's runner is told, with these files in the checkpoint folder."""
    builder = StudyBuilder()
    builder.trial(state=TrialState.INTERRUPTED, cause=Cause.LOST, **first)
    paths = StudyPaths.at(place)
    for at, name in enumerate(there):
        path = paths.trial(0).checkpoints / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (at, at))
    settings = Settings(
        name="lab",
        command=("train", "--from=${last_checkpoint}"),
        metrics=(METRIC,),
        trial=TrialSettings(resume_args=("--resume",)),
        checkpoints=CheckpointSettings(pattern=pattern),
        working_directory=str(place),
    )
    return RunnerSpec.from_json(json.loads(prepare_attempt(paths, settings, builder.study.trials[0]).marker))


@pytest.mark.parametrize(
    ("there", "pattern", "last"),
    [
        (("run/last.pt",), (), "run/last.pt"),
        (("run/last.pt", "events.out.tfevents.1", "log.txt", "config.yaml"), (), "run/last.pt"),
        (("checkpoint-9/model.safetensors", "checkpoint-10/model.safetensors"), (), "checkpoint-10"),
        (("state.yaml", "a.pt"), ("*.yaml",), "state.yaml"),
        (("events.out.tfevents.1", "log.txt", "config.yaml", "a.pt.tmp", ".bad-1-a.pt"), (), None),
        (("a.pt",), ("*.ckpt",), None),
        ((), (), None),
    ],
)
def test_only_a_checkpoint_is_resumed_from(
    tmp_path: Path, there: tuple[str, ...], pattern: tuple[str, ...], last: str | None
) -> None:
    spec = prepared(tmp_path, *there, pattern=pattern)
    folder = StudyPaths.at(tmp_path).trial(0).checkpoints
    resumed = last is not None
    assert spec.argv == (("train", f"--from={folder / last}", "--resume") if last else ("train",))
    assert (spec.resume, spec.start_over) == (resumed, False)
    env = training_environment(spec, tmp_path, {"PATH": ""}, "hooks")
    assert (env.get("OUTLAST_RESUME"), env.get("OUTLAST_CHECKPOINT_PATTERN")) == (
        "1" if resumed else None,
        "\n".join(pattern) or None,
    )
    assert not spec.has_saved(tmp_path), "nothing has happened since"


def test_what_is_no_checkpoint_is_named_where_a_trial_starts_over(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    assert no_checkpoints(folder) == ""
    for name in ("events.out.tfevents.1", "run/log.txt", "run/config.yaml", ".bad-1-a.pt", "args.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert no_checkpoints(folder) == "args.json, events.out.tfevents.1, run/config.yaml and 1 more"


def test_a_first_attempt_begins_with_nothing_and_whatever_it_leaves_is_new(tmp_path: Path) -> None:
    spec = prepared(tmp_path, "run/last.pt")
    assert spec.saved_before and not spec.has_saved(tmp_path)
    builder = StudyBuilder()
    builder.trial(state=TrialState.CREATED)
    settings = Settings(name="lab", command=("train",), metrics=(METRIC,), working_directory=str(tmp_path))
    first = RunnerSpec.from_json(
        json.loads(prepare_attempt(StudyPaths.at(tmp_path), settings, builder.study.trials[0]).marker)
    )
    assert (first.resume, first.start_over, first.saved_before) == (False, True, ())
    assert first.has_saved(tmp_path)
