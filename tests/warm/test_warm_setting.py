"""`isolation` in a study file."""

from __future__ import annotations

from typing import Any

import pytest

from outlast.config.load import settings_from_resolved
from outlast.config.revisions import compare
from outlast.config.settings import IsolationSettings, Settings
from outlast.errors import StudyFileError


def read(isolation: Any = None, **more: Any) -> Settings:
    study = {
        "name": "s",
        "function": "m:f",
        "metric": {"name": "loss", "goal": "minimize"},
        "budget": {"trials": 3},
        **more,
    }
    return settings_from_resolved(study if isolation is None else {**study, "isolation": isolation}, "/nowhere")


@pytest.mark.parametrize(
    ("given", "meant", "kept"),
    [
        (None, IsolationSettings(), None),
        ("process", IsolationSettings(), None),
        ("worker", IsolationSettings(mode="worker", trials=100), "worker"),
        ({"worker": 100}, IsolationSettings(mode="worker", trials=100), "worker"),
        ({"worker": 7}, IsolationSettings(mode="worker", trials=7), {"worker": 7}),
    ],
)
def test_what_may_be_said_of_isolation(given: Any, meant: IsolationSettings, kept: Any) -> None:
    settings = read(given)
    assert settings.isolation == meant
    assert settings.resolved.get("isolation") == kept
    assert settings_from_resolved(settings.resolved, "/nowhere").isolation == meant


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("workers", "worker"),
        ({"worker": 0}, "1 or more"),
        ({"process": 3}, "unknown"),
        (3, "keys and values"),
        ({}, "worker"),
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(given: Any, says: str) -> None:
    with pytest.raises(StudyFileError) as refused:
        read(given)
    assert says in str(refused.value) and "isolation" in str(refused.value)


def test_a_command_has_no_worker() -> None:
    with pytest.raises(StudyFileError, match="worker is for a function"):
        settings_from_resolved(
            {
                "name": "s", "command": ["python", "train.py", "${args}"], "metric": {"name": "loss", "goal": "minimize"},
                "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 3}, "isolation": "worker",
            },
            "/nowhere",
        )  # fmt: skip


def test_another_isolation_applies_at_once() -> None:
    difference = compare(read().resolved, read("worker").resolved)
    assert difference.run_settings and not difference.needs_acceptance
