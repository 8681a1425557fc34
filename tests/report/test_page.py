"""The page as a file: what is in it, and that nothing in it is more than text."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from importlib import resources

from hypothesis import given
from hypothesis import strategies as st

from lab.report_data import data_of
from lab.searched import HOSTILE, a_search
from outlast.results.page_columns import curve_columns, trial_columns
from outlast.results.report_page import as_data, mark_of_report, report_page


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
    from outlast.results.page_data import FromFiles, page_data

    study, settings = a_search(3)
    files = FromFiles("studies/digits", {0: f"using {token}"}, {1: f"using {token}"})
    status = {"hours": {}, "state": "done"}
    whole = json.dumps(page_data(study, settings, files, status=status, facts={}, made_at="2026-01-06T00:00:00+00:00"))
    assert token not in whole
    assert whole.count("using ***") == 2
