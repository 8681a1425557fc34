"""`outlast report`: as it is typed."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
from tests.lab.waiting import until

from outlast.core.file_names import StudyNames
from outlast.engine.derived import report_behind
from outlast.engine.derived.report_mark import is_newer
from outlast.engine.record.recorded import recorded_settings


def data_in(page: Path) -> dict[str, Any]:
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page.read_text(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_a_page_of_a_study_says_what_its_folder_says_and_names_no_place_of_this_machine(here) -> None:
    here.study(budget="{trials: 3}")
    assert here("run").code == 0
    said = here("report")
    assert (said.code, said.out) == (0, "studies/small/report.html\n")
    page = Path("studies/small", StudyNames.report.name)
    data = data_in(page)
    assert data["study"]["name"] == "small"
    assert data["trials"]["number"] == [0, 1, 2]
    assert "step 2: score=" in data["logs"]["0"]
    assert data["best"]["command"].startswith("python") or "train.py" in data["best"]["command"]
    assert data["environment"]["hosts"]
    assert str(Path.cwd()) not in page.read_text()


def test_several_studies_are_compared(here) -> None:
    here.study()
    for name in ("one", "two"):
        assert here("run", "--name", name).code == 0
    said = here("report", "one", "two", "--output", "both.html")
    assert (said.code, said.out) == (0, "both.html\n")
    assert [each["study"]["name"] for each in data_in(Path("both.html"))["studies"]] == ["one", "two"]
    said = here("report", str(Path("studies/one").absolute()), "two", "--output", "both.html")
    assert said.code == 0
    assert str(Path.cwd()) not in Path("both.html").read_text()


def test_a_process_behind_a_run_leaves_a_newer_page_as_it_is(here) -> None:
    here.study()
    here("run")
    here("report")
    page = Path("studies/small/report.html")
    _, study = recorded_settings("studies/small")
    assert is_newer(page, study)
    before = os.stat(page).st_mtime_ns
    assert here("report", "--behind").code == 0
    assert os.stat(page).st_mtime_ns == before
    here("run", "--trials", "3")
    assert here("report", "--behind").code == 0
    assert os.stat(page).st_mtime_ns != before


def test_a_process_behind_a_run_keeps_what_a_long_ledger_adds_up_to(here, monkeypatch) -> None:
    here.study()
    here("run")
    monkeypatch.setattr("outlast.study.folded._LEAST", 0)
    here("report")
    assert not Path("studies/small", StudyNames.folded.name).exists()  # whoever looks writes none
    assert here("report", "--behind").code == 0
    assert Path("studies/small", StudyNames.folded.name).exists()


@pytest.mark.parametrize("words", [["--output", "-"], ["--open", "--format", "csv"]])
def test_what_a_page_or_another_format_cannot_do_is_said(words: list[str], here) -> None:
    here.study()
    assert here("run").code == 0
    assert here("report", *words).code == 2
    assert not Path("-").exists()


def test_a_disk_that_refuses_is_told(here) -> None:
    here.study()
    here("run")
    said = here("report", "--output", "no/such/folder/page.html")
    assert said.code != 0
    assert "the report cannot be written" in said.err
    assert "Traceback" not in said.everything


def test_without_a_trial_it_is_a_page_as_well(here) -> None:
    here.study(kind="{value: crash}", budget="{trials: 3}")
    assert here("run").code == 3
    assert here("report").code == 0
    assert data_in(Path("studies/small/report.html"))["best"] is None


@pytest.mark.slow
def test_a_page_is_there_while_the_search_still_runs_and_a_last_one_at_its_end(here, monkeypatch) -> None:
    monkeypatch.setenv("OUTLAST_PLOTS", "1")
    monkeypatch.setattr(report_behind, "_EVERY", 0.1)
    here.write(
        "train.py",
        "import os, time\nend = time.monotonic() + 120\n"
        "while not os.path.exists('studies/small/report.html') and time.monotonic() < end:\n    time.sleep(0.05)\n"
        "open('seen', 'w').write(str(os.path.exists('studies/small/report.html')))\nprint('score=0.5')\n",
    )
    here.study(budget="{trials: 1}")
    assert here("run").code == 0
    assert Path("seen").read_text() == "True"
    page = Path("studies/small/report.html")
    until(lambda: data_in(page)["study"]["state"] == "done", "the last one is drawn behind it", 60)
