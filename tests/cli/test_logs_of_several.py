"""`logs` of a campaign: lines of all running trials behind their names; what went wrong, the newest last."""

from __future__ import annotations

import os
import shutil

import pytest

from outlast._system.capped_log import CappedLog, LogReader
from outlast.cli.looking.follow_many import RunningTrials, _has_jobs
from outlast.core.file_names import attempt_name
from outlast.core.records import JobSubmitted, RevisionMade, StudyCreated, StudyEnded
from outlast.study.campaign import Campaign, Member, keep_campaign
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger


@pytest.fixture
def said():
    return []


@pytest.fixture
def study(tmp_path, said):
    """A study's folder as runners and coordinator make it, and a look at it."""

    class Study:
        paths = StudyPaths.at(tmp_path / "s")
        trials = RunningTrials(str(tmp_path / "s"), "s")

        def begin(self, trial: int, attempt: int = 1) -> None:
            self.paths.open.mkdir(parents=True, exist_ok=True)
            self.paths.open_marker(trial, attempt).touch()
            self.paths.attempt(trial, attempt).folder.mkdir(parents=True)

        def print(self, text: str, trial: int, attempt: int = 1) -> None:
            with open(self.paths.attempt(trial, attempt).log, "ab") as log:
                log.write(text.encode())

        def end(self, trial: int, attempt: int = 1) -> None:
            files = self.paths.trial(trial)
            os.rename(files.attempt(attempt).log, files.log)
            shutil.rmtree(files.attempts)
            (self.paths.open / attempt_name(trial, attempt)).unlink()

        def look(self) -> list[tuple[str, str]]:
            said.clear()
            self.trials.look(lambda name, line: said.append((name, line)))
            return list(said)

        def first_look(self, before: int) -> list[tuple[str, str]]:
            self.trials.begin(before, lambda name, line: said.append((name, line)))
            return list(said)

    return Study()


def test_lines_come_whole_behind_their_trial_and_attempt(study):
    assert study.first_look(5) == []
    study.begin(0)
    study.begin(1, 2)
    study.print("one\ntw", 0)
    study.print("uno\n", 1, 2)
    assert study.look() == [("s/0", "one"), ("s/1.2", "uno")]
    assert study.look() == []
    study.print("o\n", 0)
    assert study.look() == [("s/0", "two")]


def test_the_end_of_a_trial_s_words_is_not_lost_with_its_attempt(study):
    study.first_look(5)
    study.begin(0)
    study.print("one\n", 0)
    study.look()
    study.print("last words", 0)
    study.end(0)
    assert study.look() == [("s/0", "last words")]
    assert study.look() == []


def test_a_trial_that_came_and_went_between_two_looks_is_said_once(study):
    study.first_look(5)
    for trial in (0, 1):
        study.begin(trial)
        study.print(f"quick {trial}\n", trial)
        study.end(trial)
    assert study.look() == [("s/0", "quick 0"), ("s/1", "quick 1")]
    assert study.look() == []


def test_a_trial_whose_log_came_and_went_between_two_looks_is_said(study):
    study.first_look(5)
    study.begin(0)
    assert study.look() == []
    study.print("quick\n", 0)
    study.end(0)
    assert study.look() == [("s/0", "quick")]


def test_of_what_ran_before_only_the_last_lines_are_said(study):
    study.begin(3)
    study.print("".join(f"line {n}\n" for n in range(20_000)) + "half", 3)
    assert study.first_look(2) == [("s/3", "line 19998"), ("s/3", "line 19999")]
    study.print(" a line\n", 3)
    assert study.look() == [("s/3", "half a line")]


def test_no_line_moves_the_cursor_and_none_grows_for_ever(study):
    study.first_look(0)
    study.begin(0)
    study.print("\x1b[2J 10%\r 99%\n" + "x" * 500_000, 0)
    lines = [line for _ in range(12) for _, line in study.look()]
    assert lines[0] == " 99%"
    assert max(map(len, lines)) <= 1 << 17 and sum(map(len, lines[1:])) >= 400_000


def test_errors_of_all_studies_are_grouped_and_the_newest_is_last(here):
    here.study(kind="crash")
    code = here("run", "study.yaml", "--set", "budget.max_failures=2", "--set", "parallel=1").code
    assert code == 3
    shutil.copytree("studies/small", "studies/other")
    keep_campaign("studies/all", Campaign("all", (Member("small", "../small"), Member("other", "../other"))))
    said = here("logs", "all", "--errors")
    assert said.code == 0, said.everything
    assert (
        said.out.count("RuntimeError: no such layer") == 4
    )  # the reason, and the traceback's last line, of each study
    assert "small/0: crash: " in said.out and "other/0: crash: " in said.out and "(and 1 alike)" in said.out
    one = here("logs", "all", "--errors", "-n", "1").out
    assert one.startswith("(1 earlier left out; all: -n 2)") and one.count("RuntimeError: no such layer") == 2
    assert here("logs", "small", "--errors").out.count("(and 1 alike)") == 1
    assert here("logs", "all", "-f").out == ""


@pytest.mark.parametrize("printed", [50, 150, 250, 1050])
def test_the_end_of_a_long_log_is_found_without_reading_the_rest(tmp_path, printed):
    log = CappedLog(str(tmp_path / "output.log"), head=200, piece=100)
    text = bytes(at % 251 for at in range(printed))
    log.write(text)
    reader = LogReader(tmp_path / "output.log")
    reader.skip(60)
    assert b"".join(iter(reader.read, b"")) == text[-60:]
    log.write(b"more")
    assert reader.read() == b"more"
    log.close()
    reader.close()


def test_a_trial_without_a_log_holds_up_no_other_and_is_said_when_it_has_one(study):
    study.first_look(5)
    study.paths.trial(0).folder.mkdir(parents=True)  # nobody has begun it yet
    study.begin(2)  # and there is no folder of 1, which was ruled out
    study.print("quick 2\n", 2)
    study.end(2)
    assert study.look() == [("s/2", "quick 2")]
    study.begin(0)
    study.print("quick 0\n", 0)
    study.end(0)
    assert study.look() == [("s/0", "quick 0")]
    assert study.look() == []


@pytest.mark.parametrize(("jobs", "ended", "waits"), [(0, False, False), (1, False, True), (1, True, False)])
def test_a_study_whose_jobs_may_begin_trials_is_followed_on(study, jobs, ended, waits):
    at = "2026-01-05T10:00:00.000+00:00"
    events = [StudyCreated("s", at, 1), RevisionMade(1, at, {}), *[JobSubmitted("7", at, "array")] * jobs]
    Ledger.write_anew(study.paths.ledger, 1, [*events, *[StudyEnded(at, "stopped")] * ended], "for a test")
    assert _has_jobs(study.paths) is waits
