"""What two attempts of a rehearsal say together, as a table."""

from __future__ import annotations

import pytest

from outlast.engine.check.rehearse import FirstRun, SecondRun, judge


def first(**changes) -> FirstRun:
    known = {
        "checkpoint_after": 1.0,
        "report_after": 0.5,
        "first_step": 0,
        "last_step": 5,
        "saved_between": True,
        "killed": True,
    }
    return FirstRun(**{**known, **changes})


@pytest.mark.parametrize(
    ("attempt", "resumed", "verdict"),
    [
        (first(), SecondRun(0.2, 6), "resumes"),
        (first(), SecondRun(0.2, 4), "resumes"),
        (first(), SecondRun(0.2, 0), "starts over"),
        (first(first_step=1, last_step=1), SecondRun(0.2, 1), "starts over"),
        (first(saved_between=False), SecondRun(0.2, 0), "cannot tell"),
        (first(saved_between=False), SecondRun(0.2, 6), "resumes"),
        (first(first_step=None, last_step=None), SecondRun(0.2, 3), "cannot tell"),
        (first(), SecondRun(), "cannot tell"),
        (first(), SecondRun(failure="exit code 1: KeyError"), "failed"),
        (first(checkpoint_after=None, killed=False), None, "no checkpoint"),
        (first(checkpoint_after=None, killed=False, ended="ended, after 3.0 s,"), None, "no checkpoint"),
        (first(killed=False, ended="ended, after 3.0 s,"), None, "cannot tell"),
        (first(killed=False, crashed=True, ended="exit code 1"), None, "failed"),
    ],
)
def test_the_verdict_follows_from_steps_and_checkpoints(attempt, resumed, verdict) -> None:
    found = judge(attempt, resumed, params={}, limit=180)
    assert found.verdict == verdict
    assert found.passed == (verdict in ("resumes", "cannot tell"))
    assert found.finding.level == {"resumes": "ok", "cannot tell": "note"}.get(verdict, "error")


def test_cannot_tell_names_both_times() -> None:
    found = judge(first(saved_between=False, report_after=3.0), SecondRun(0.4, 0), params={}, limit=180)
    assert "first report after 3.0 s at first, after 0.4 s when resumed" in found.text


def test_a_script_without_checkpoints_is_told_plainly() -> None:
    found = judge(first(checkpoint_after=None, killed=False), None, params={}, limit=180)
    assert "within 180 s" in found.text and "starts over" in found.text and "--limit" in (found.cure or "")


def test_where_only_other_files_appeared_they_are_named_and_so_is_the_key_that_says_what_a_checkpoint_is() -> None:
    found = judge(first(checkpoint_after=None, killed=False, no_checkpoints="state.yaml"), None, params={}, limit=180)
    assert found.verdict == "no checkpoint" and "but state.yaml:" in found.text
    assert "checkpoints.pattern" in (found.cure or "")
