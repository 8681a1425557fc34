"""`outlast clean` as it is typed."""

from __future__ import annotations

import json
import sys

import pytest

from outlast.cli.commands.cleaning import size_text
from outlast.cli.main import run_cli
from outlast.core.fold import Study
from outlast.core.states import TrialState
from outlast.study.lease import Lease

OUTCOMES = [(TrialState.COMPLETE, 0.5), (TrialState.COMPLETE, 0.9), (TrialState.INTERRUPTED, None)]


@pytest.fixture
def study(made):
    return made(OUTCOMES, checkpoints={"keep": 1})


class Terminal:
    """A person who types this."""

    def __init__(self, answer: str) -> None:
        self.answer = answer

    def isatty(self) -> bool:
        return True

    def readline(self, *_: int) -> str:
        return self.answer + "\n"


def test_a_dry_run_says_what_and_how_much_and_changes_nothing(study, capsys) -> None:
    assert run_cli(["clean", study.folder, "--dry-run"]) == 0
    output = capsys.readouterr().out
    assert "trial 0, complete, acc 0.5" in output and "can be freed" in output
    assert study.having_checkpoints() == [0, 1, 2]


def test_yes_deletes(study, capsys) -> None:
    assert run_cli(["clean", study.folder, "--yes"]) == 0
    assert "freed" in capsys.readouterr().out
    assert study.having_checkpoints() == [1, 2]


@pytest.mark.parametrize(("answer", "left"), [("y", [1, 2]), ("n", [0, 1, 2]), ("", [0, 1, 2])])
def test_a_person_is_asked(study, monkeypatch, answer, left) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    assert run_cli(["clean", study.folder]) == 0
    assert study.having_checkpoints() == left


def test_where_nobody_can_be_asked_nothing_is_deleted(study, capsys) -> None:
    assert run_cli(["clean", study.folder]) == 2
    assert "--yes" in capsys.readouterr().err
    assert study.having_checkpoints() == [0, 1, 2]


def test_json_lists_everything(study, capsys) -> None:
    assert run_cli(["clean", study.folder, "--yes", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["deleted"] == 1 and facts["freed"] == facts["found"][0]["size"] > 0
    assert facts["found"][0]["kind"] == "checkpoints"


def test_a_study_that_is_being_run_is_looked_at_only(study, capsys) -> None:
    lease = Lease(study.paths.lease)
    lease.acquire()
    try:
        assert run_cli(["clean", study.folder, "--yes"]) == 4
        assert "being run" in capsys.readouterr().err
        assert run_cli(["clean", study.folder, "--dry-run"]) == 0
    finally:
        lease.release()
    assert study.having_checkpoints() == [0, 1, 2]


def test_where_there_is_nothing_it_says_so(made, capsys) -> None:
    assert run_cli(["clean", made(OUTCOMES).folder, "--yes"]) == 0
    assert "nothing to free" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1536, "1.5 KB"), (3 * 1024**3, "3.0 GB"), (5 * 1024**5, "5120.0 TB")]
)
def test_sizes_are_shown_as_people_say_them(size, text) -> None:
    assert size_text(size) == text


@pytest.mark.parametrize(
    ("keep", "text"), [(3, "the best 3 finished trials' and those of trials"), (0, "kept: those of trials")]
)
def test_the_banner_says_what_is_kept(made, keep, text) -> None:
    from outlast.cli.running.banner import _notes

    assert any(
        label == "checkpoints" and text in note
        for label, note in _notes(made([], checkpoints={"keep": keep}).settings, Study())
    )
    assert _notes(made([], folder="studies/other").settings, Study()) == []
