"""`logs -f` of one trial, over the files that its attempts leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from outlast.cli.looking import following
from outlast.study.attempts import close_attempt, open_attempt
from outlast.study.layout import StudyPaths


@pytest.mark.parametrize("begun_again", [False, True])
def test_a_short_attempt_that_left_no_evidence_is_over_once_its_outcome_is_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], begun_again: bool
) -> None:
    def nobody_is_waited_for(_seconds: float) -> None:
        raise AssertionError("it waits for the end of an attempt that is over")

    monkeypatch.setattr(following.time, "sleep", nobody_is_waited_for)
    monkeypatch.setattr(following, "holder_is_live", lambda _ledger: False)
    paths, said = StudyPaths.at(tmp_path / "s"), ["one\n", *(["two\n"] if begun_again else [])]
    for number, text in enumerate(said, 1):
        open_attempt(paths, 0, number, "{}", {})
        paths.attempt(0, number).log.write_text(text)
        close_attempt(paths, 0, number)
    log = paths.attempt(0, 1).log
    following._follow(paths, paths.trial(0), log, following.LogReader(log))
    assert capsys.readouterr().out == "".join(said)
