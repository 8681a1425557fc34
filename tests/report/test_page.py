"""The page as a file: what is in it, and that nothing in it is more than text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from lab.report_data import MADE_AT, data_of
from lab.searched import HOSTILE, a_search, settings_of, study_file
from outlast.core.fold import fold
from outlast.core.records import AttemptEnded, AttemptOpened, RevisionMade, StudyCreated, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.attempts.code_snapshot import uncommitted, working_tree
from outlast.engine.derived.report import end_of, report_data
from outlast.engine.derived.report_mark import mark_of_report
from outlast.results.page_columns import curve_columns, trial_columns
from outlast.results.page_data import FromFiles, for_comparison, page_data
from outlast.results.report_page import as_data, report_page
from outlast.study.layout import StudyPaths
from outlast.testing.studies import StudyBuilder


@given(st.text() | st.dictionaries(st.text(), st.text() | st.floats() | st.none()))
def test_whatever_is_said_is_read_back_and_cannot_leave_its_element(value: object) -> None:
    text = as_data({"said": value})
    assert not re.search("[<>&\u2028\u2029]", text)
    text.encode()
    if isinstance(value, str):
        assert json.loads(text)["said"] == value


def test_the_policy_names_the_one_script_and_the_one_style() -> None:
    page = report_page({"x": HOSTILE}, title=HOSTILE)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    parts = dict(each.strip().split(" ", 1) for each in policy[1].split(";"))
    assert parts["default-src"] == "'none'"
    for tag, name in (("script", "script-src"), ("style", "style-src")):
        (whole,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert parts[name] == f"'sha256-{base64.b64encode(hashlib.sha256(whole.encode()).digest()).decode()}'"
    assert "<title>&lt;/script&gt;&lt;img" in page


def test_no_script_of_ours_makes_markup_of_text() -> None:
    for part in resources.files("outlast.results").joinpath("page").iterdir():
        if part.name.endswith(".js"):
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setAttribute\(\"style",
                part.read_text(encoding="utf-8"),
            ), part.name


def test_a_page_knows_from_how_much_it_was_drawn() -> None:
    page = report_page({}, title="x", mark=1234).encode()
    assert mark_of_report(page[-200:]) == 1234
    assert mark_of_report(b"<html></html>") is None


def test_columns_say_what_the_trials_say() -> None:
    study, settings = a_search(50)
    columns = trial_columns(study, settings)
    states = columns["state"]
    for row, trial in enumerate(study.trials.values()):
        assert states["words"][states["at"][row]] == trial.state.value
        assert columns["params"]["lr"][row] == trial.params["lr"]
        assert columns["epochs"][row] == sum(len(outcome.curves[0]) for outcome in trial.ended)
        if trial.values is not None:
            assert abs(columns["values"][0][row] - trial.values[0]) < 1e-8


def test_a_trial_that_runs_for_the_first_time_has_no_duration_yet() -> None:
    study, settings = a_search(3)
    study.apply(TrialCreated(3, "2026-01-05T12:00:00+00:00", {"lr": 0.1}))
    study.apply(AttemptOpened(3, 1, "2026-01-05T12:00:00+00:00", "local:0"))
    assert [seconds is None for seconds in trial_columns(study, settings)["seconds"]] == [False, False, False, True]


def test_a_curve_keeps_its_ends_when_it_is_thinned() -> None:
    study, _ = a_search(20, epochs=2000)
    for trial, curve in zip(study.trials.values(), curve_columns(study), strict=True):
        points = sorted(trial.curve(0).items())
        if curve is None:
            assert len(points) < 2
            continue
        steps = curve[0] if isinstance(curve[0], list) else range(curve[0], curve[0] + len(curve[1]))
        assert len(curve[1]) <= 200
        assert (steps[0], steps[-1]) == (points[0][0], points[-1][0])
        assert abs(curve[1][-1] - points[-1][1]) < 1e-4


def test_secrets_in_outputs_are_masked() -> None:
    data = data_of(3)
    assert "epoch 0: val_accuracy" in data["logs"]["0"]
    token = "hf_" + "a1B2" * 8
    study, settings = a_search(3)
    settings = replace(
        settings, resolved={**settings.resolved, "env": {"MY_API_KEY": "abc1234567"}}
    )  # of an old record
    files = FromFiles("studies/digits", {0: f"using {token}"}, {1: f"using {token}"})
    status = {"hours": {}, "state": "done"}
    whole = json.dumps(page_data(study, settings, files, status=status, facts={}, made_at="2026-01-06T00:00:00+00:00"))
    assert token not in whole and "MY_API_KEY" in whole and "abc1234567" not in whole
    assert whole.count("using ***") == 2


def test_secrets_are_masked_wherever_a_text_says_why_and_in_what_was_not_committed() -> None:
    token = "hf_" + "a1B2" * 8
    build = StudyBuilder()
    build.trial({}, TrialState.FAILED, reason=f"{'x' * 280} {token}")
    settings = settings_of(study_file())
    files = FromFiles(
        "s", follow_ups={"confirm": {"verdict": [token]}}, diff=f'+api_key = "{token[3:]}"\n+password: a b\n'
    )
    status = {"hours": {}, "state": "done", "reason": token, "warnings": [{"text": token}]}
    data = page_data(build.study, settings, files, status=status, facts={}, made_at=MADE_AT)
    assert token[:15] not in json.dumps(data)
    assert token[3:] not in json.dumps(data)


@pytest.mark.parametrize(("choices", "words"), [
    ([[64, 32], 1e-5, None, "a"], ["[64, 32]", "1e-05", "null", "a"]),
    ([1e-5, None, "a"], ["1e-05", "null", "a"]),
    ([True, 2, None], ["true", "2", "null"]),
])  # fmt: skip
def test_choices_are_spelled_as_the_trials_spell_them(choices: list[object], words: list[str]) -> None:
    settings = settings_of({**study_file(), "parameters": {"x": {"values": choices}, "y": {"values": [1, 2]}}})
    build = StudyBuilder()
    for choice in choices:
        build.trial({"x": choice, "y": 1}, values=0.5)
    build.trial({"y": 2}, values=0.5)
    data = page_data(build.study, settings, FromFiles("s"), status={"hours": {}}, facts={}, made_at=MADE_AT)
    assert data["space"][0]["choices"] == data["trials"]["params"]["x"]["words"] == words
    assert data["trials"]["params"]["x"]["at"] == [*range(len(words)), -1]
    assert (data["space"][1]["choices"], data["trials"]["params"]["y"]) == ([1, 2], [*[1] * len(words), 2])


def test_a_comparison_holds_nothing_that_it_does_not_show() -> None:
    data = data_of(5, hostile=True)
    found = for_comparison(data)
    assert found["best"]["command"] == data["best"]["command"]
    assert not {"logs", "stories", "commands", "curves", "study_file"} & set(found)
    assert "Traceback" not in json.dumps(found)


def test_follow_ups_lie_at_the_home_of_a_search_on_scratch_and_commands_are_for_where_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    live, home = StudyPaths.at(tmp_path / "live"), StudyPaths.at(tmp_path / "home")
    live.root.mkdir()
    home.confirm.mkdir(parents=True)
    live.home.write_text(json.dumps({"version": 1, "home": str(home.root)}))
    (home.confirm / home.confirmation.name).write_text('{"verdict": "so it is"}')
    study, settings = a_search(3)
    monkeypatch.chdir(live.root)
    settings = replace(settings, working_directory=str(tmp_path))
    data = report_data(live, study, settings, status={"hours": {}}, facts={})
    assert data["confirm"] == {"verdict": "so it is"}
    assert data["commands"]["0"].startswith("python train.py")


def test_a_page_of_ten_thousand_trials_with_long_names_outputs_and_as_many_failures_is_small() -> None:
    whole = {f"parameter_{at}": at / 3 for at in range(40)}
    found = [StudyCreated("long", MADE_AT), RevisionMade(1, MADE_AT, study_file())]
    for number in range(10_000):
        found += [TrialCreated(number, MADE_AT, {name: value + number / 7 for name, value in whole.items()})]
        curve = tuple((step, step / 3) for step in range(30))
        for attempt in (1, 2):
            found += [AttemptOpened(number, attempt, MADE_AT, f"job-{number}")]
            why = f"{number}.{attempt}: {'x' * 500}"
            state, cause = (TrialState.FAILED, Cause.CRASH) if attempt == 2 else (TrialState.INTERRUPTED, Cause.LOST)
            ended = AttemptEnded(number, attempt, MADE_AT, state, cause, why, None, (curve,), signature=str(number))
            found += [ended]
    study, settings = fold(found), settings_of(study_file())
    files = FromFiles(
        "studies/long",
        dict.fromkeys(range(1000), "epoch 7: loss=0.123\n" * 150),
        commands=dict.fromkeys(range(2000), "x" * 1000),
    )
    status = {"hours": {}, "state": "done"}
    facts = {"failures": [{"reason": "x" * 500}] * 10_000}
    data = page_data(study, settings, files, status=status, facts=facts, made_at=MADE_AT)
    assert len(report_page(data, title="long")) < 15_000_000


@pytest.mark.parametrize(("printed", "shown"), [
    (b"one\r\ntwo\r\n", "one\ntwo"),
    (b"  1%\r 50%\r100%\ndone\n", "100%\ndone"),
    (b"\x1b[31mred\x1b[0m \x1b[2Kline\n\xff", "red line\n\ufffd"),
    (b"", ""),
    (b"x" * 990 + b" hf_" + b"a1B2" * 8 + b"\nnext\n", "next"),
    (b"x" * 2000 + b"\r99%\r", "99%"),
    (b"x" * 2000 + b" one long line", "one long line"),
])  # fmt: skip
def test_the_end_of_an_output_is_what_a_terminal_would_show(printed: bytes, shown: str, tmp_path: Path) -> None:
    (tmp_path / "output.log").write_bytes(printed)
    assert end_of(tmp_path / "output.log", 1000) == shown


def test_changes_that_were_not_committed_are_told_while_they_are_still_those(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words], cwd=tmp_path, check=True, capture_output=True
        )

    git("init")
    (tmp_path / "train.py").write_text("lr = 1\n")
    git("add", ".")
    git("commit", "-m", "first")
    (tmp_path / "train.py").write_text("lr = 2\n")
    code = working_tree(str(tmp_path))
    assert "+lr = 2" in uncommitted(str(tmp_path), code)
    (tmp_path / "train.py").write_text("lr = 3\n")
    assert uncommitted(str(tmp_path), code) == ""
