"""The short reader of a study's own record reads what the reader of study files does, or leaves it to that one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from msgspec.structs import replace
from tests.config.test_round_trip import studies

from outlast.config.load import settings_from_resolved
from outlast.config.native import STUDY_FILE
from outlast.config.resolved import read_record, settings_on_record
from outlast.config.settings import LATER_KEYS
from outlast.core.records import RevisionMade
from outlast.errors import StudyFileError
from outlast.study.segments import read_ledger

ARCHIVE = Path(__file__).parents[1] / "archive"
#: Every key of a study file that is kept, and every key of its sections.
WHOLE = {
    "name": "whole",
    "command": ["python", "train.py", "${config}", "${args}"],
    "metric": [
        {"name": "a", "goal": "maximize", "take": "best", "target": 1, "file": "m.csv", "pattern": "a=(.*)"},
        {"name": "b", "goal": "minimize"},
    ],
    "parameters": {
        "lr": "log(1e-5, 1e-1)",
        "kind": ["x", "y"],
        "fixed": {"value": [1, 2]},
        "only.x": {"min": 0.0, "max": 1, "q": 0.25, "when": {"kind": "x"}},
        "both": {"distribution": "normal", "when": {"kind": ["x", "y"]}},
    },
    "nested": ["only"],
    "deadline": "11h",
    "budget": {"trials": 9, "time": "1h", "gpu_hours": 2, "max_failures": 3, "count": ["complete"]},
    "sampler": {"name": "nsga2", "seed": 4, "population_size": 8},
    "pruner": "none",
    "constraints": ["lr < 1"],
    "enqueue": [{"lr": 0.001, "kind": "x"}],
    "cwd": "there",
    "config": "base.yaml",
    "derive": "package.module:hook",
    "env": {"MODE": "fast", "HF_TOKEN": "***"},
    "trial": {
        "timeout": "2h", "timeout_counts": True, "needs_score": False, "grace": "90s", "hang_after": "45s", "retries": 2,
        "resume_args": ["--go"], "seeds": [1, 2], "folds": {"n": 5, "shuffle": True}, "oom": {"shrink": ["lr"], "factor": 0.5},
    },
    "parallel": 4,
    "resources": {"gpus": 1, "cpus": 4, "memory": "16G"},
    "executor": {"name": "psij", "kind": "pbs", "hosts": ["a", "b"]},
    "slurm": {"partition": "gpu", "setup": ["module load x"], "poll": "30s", "controller": {"mem": "2G"}, "srun": True},
    "code": "live",
    "checkpoints": {"dir": "ckpt", "keep": 2, "pattern": ["*.pt"]},
    "faults": {"interrupted": "new"},
    "check": {"args": ["--max_steps", "20"]},
    "isolation": "process",
    "confirm": {
        "top": 4, "seeds": 2, "race": False, "prefer": {"metric": "ms", "goal": "minimize", "within": 1, "relative": False},
    },
    "refit": {"command": "python refit.py ${epochs}", "epochs": 9, "seeds": 2},
    "evaluate": {"arguments": ["--test", 1], "metric": {"name": "acc"}},
    "notify": {"urls": ["${NTFY_URL}", "tgram://***"], "command": ["./tell.sh", "--now"], "what": ["error", "end", "begin"]},
    "tracking": {
        "mlflow": {"uri": "http://u:***@host", "experiment": "e", "run_name": "r", "artifacts": False, "tags": {"a": "b"}},
        "azure_ml": {"workspace_name": "w", "resource_group": "g", "subscription_id": "s", "enabled": False},
        "wandb": {"project": "p", "entity": "e", "dir": "d", "mode": "offline", "tags": ["x", "y"]},
        "tensorboard": {"dir": "events"},
        "sinks": ["my.trackers.Mine", {"name": "my.trackers:Other", "level": [1, 2]}],
    },
    "index": {"url": "shared.db", "timeout": "1m", "in_memory": True, "auto_resume": False},
    **{key: {"some": ["thing", 1]} for key in LATER_KEYS},
}  # fmt: skip
#: Words for what stands in the record otherwise, or in another file's.
ELSEWHERE = {"function", "goal", "extends", "matrix"}


def assert_read_alike(record: dict) -> None:
    slowly, quickly = settings_from_resolved(record, "here"), read_record(record, "here")
    assert replace(quickly, resolved=slowly.resolved) == replace(slowly, notes=())
    assert quickly.space.parameters == slowly.space.parameters


def test_a_record_with_every_key_is_read_alike():
    assert {*STUDY_FILE.shapes} == {*WHOLE} | ELSEWHERE, "a key of the study file that this test does not know"
    recorded = json.loads(json.dumps(settings_from_resolved(WHOLE, "here").resolved))
    assert {*WHOLE} - {*recorded} == {"pruner", "isolation"}  # as usual
    assert_read_alike(recorded)
    assert read_record(recorded, "here").resolved == recorded


@pytest.mark.parametrize(
    "tracking", ["x", 3, ["x"], {"uri": "x"}, {"mlflow": "x"}, {"mlflow": {"uri": ["x"]}, "sinks": 1}]
)
def test_what_tracking_was_when_it_had_no_effect_is_passed_over(tracking):
    record = {**settings_from_resolved(WHOLE, "here").resolved, "tracking": tracking}
    for read in (settings_from_resolved, settings_on_record):
        assert read(record, "here").name == "whole"


@pytest.mark.parametrize("isolation", ["worker", {"worker": 7}])
def test_a_functions_record_is_read_alike(isolation):
    study = {"name": "f", "function": "a:b", "metric": "minimize x", "budget": {"trials": 3}, "isolation": isolation}
    assert_read_alike(settings_from_resolved(study, ".").resolved)


@given(studies)
@settings(max_examples=60, deadline=None)
def test_any_record_is_read_alike(study):
    assert_read_alike(json.loads(json.dumps(settings_from_resolved(study, ".").resolved)))


@pytest.mark.parametrize("entry", sorted(path.parent.name for path in ARCHIVE.glob("*/study")))
def test_recorded_studies_are_read_alike(entry):
    events = read_ledger(ARCHIVE / entry / "study" / "ledger").events
    records = [event.settings for event in events if isinstance(event, RevisionMade) and event.settings]
    for record in records:
        assert_read_alike(record)


@pytest.mark.parametrize(
    "otherwise",
    [
        {"command": "python train.py ${args}"}, {"metric": "minimize x"}, {"parameters": {"x": "log(1, 2)"}},
        {"constraints": "x < 1"}, {"checkpoints": {"pattern": "*.pt"}}, {"env": {"N": 3}},
    ],
    ids=str,
)  # fmt: skip
def test_what_a_record_never_says_is_left_to_the_reader_of_study_files(otherwise):
    study = {
        "name": "s", "command": ["run", "${args}"], "metric": {"name": "x", "goal": "minimize"},
        "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 3}, **otherwise,
    }  # fmt: skip
    with pytest.raises((AttributeError, KeyError, TypeError, ValueError)):
        read_record(study, ".")
    assert settings_on_record(study, ".") == settings_from_resolved(study, ".")


def test_a_record_of_a_later_version_is_refused_with_its_key():
    record = {**settings_from_resolved(WHOLE, ".").resolved, "teleport": True}
    with pytest.raises(StudyFileError, match="unknown key"):
        settings_on_record(record, ".")
