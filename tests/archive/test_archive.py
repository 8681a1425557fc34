"""Study folders of earlier versions stay readable, and mean what they meant.

Each entry holds a study as some version left it (``study/``) and what it adds up to (``expected.json``). A change of format
adds an entry (`record.py` records further lives); none is ever changed.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from outlast.cli.looking import showing
from outlast.cli.main import run_cli
from outlast.cli.render import render_run
from outlast.cli.render.text import make_console
from outlast.core.budget import counted, remaining
from outlast.core.fold import Study, fold
from outlast.core.records import Attempt, Event, from_json, kind_of, to_json
from outlast.engine.record.look import look
from outlast.results.documents import best_results
from outlast.results.trial_table import TrialTable
from outlast.study.ledger_lines import events_of, from_line, to_line
from outlast.study.segments import read_ledger

HERE = Path(__file__).parent
ENTRIES = sorted(path.parent.name for path in HERE.glob("*/study"))
#: The first version had a summary in other words.
DRAWN_OTHERWISE = {("0.1.0-first", "study_summary.csv")}
every_entry = pytest.mark.parametrize("entry", ENTRIES)


@pytest.fixture(autouse=True)
def nothing_else_on_the_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whether SLURM is installed here is no matter for a study of long ago."""
    monkeypatch.setenv("PATH", str(tmp_path))


def read_only(entry: str) -> Path:
    return HERE / entry / "study"


@functools.cache
def expected(entry: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((HERE / entry / "expected.json").read_text())
    return told if "status" in told else {"status": told}  # the first one tells of its status only


def holds(found: Any, told: Any, at: str = "") -> Iterator[str]:
    """Where what is found lacks or contradicts what was told; what is new in it is no matter."""
    if isinstance(told, dict) and isinstance(found, dict):
        for key, value in told.items():
            yield from holds(found[key], value, f"{at}/{key}") if key in found else [f"{at} lacks {key}"]
    elif isinstance(told, list) and isinstance(found, list) and len(told) == len(found):
        for number, (one, other) in enumerate(zip(found, told, strict=True)):
            yield from holds(one, other, f"{at}/{number}")
    elif found != told:
        yield f"{at} is {found!r} instead of {told!r}"


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


# what a study adds up to: recorded with it, and asked again

#: Of the status: what depends on the moment, the place and the machine.
_PASSING = ("at", "dir", "next", "warnings", "eta", "rate_per_hour", "run", "jobs", "jobs_unknown")


def shown(folder: Path, what: str | None = None, *, as_json: bool = True) -> str:
    """What ``outlast show`` prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        showing.show(str(folder), what, everything=True, as_json=as_json)
    return out.getvalue()


def study_of(folder: Path) -> Study:
    """The fold of its ledger."""
    return fold(read_ledger(folder / "ledger").events)


def facts_of(folder: Path) -> dict[str, Any]:
    """Everything that a later version must still say of it.

    Args:
        folder: The study's.
    """
    snapshot, study, settings = look(folder)
    status, budget = snapshot.to_json(), settings.budget
    for trial in status["running"]:
        del trial["seconds"]
    trials = json.loads(shown(folder))
    for trial in trials:
        del trial["command"]  # how a person would type it
    facts = {
        "version": next(_versions(folder)),
        "status": {key: value for key, value in status.items() if key not in _PASSING},
        "show": trials,
        "best": [trial["trial"] for trial in json.loads(shown(folder, "best"))],
        "failures": json.loads(shown(folder, "failures")),
        "attempts": {number: [_attempt(each) for each in trial.attempts] for number, trial in study.trials.items()},
        "counted": counted(study, budget.count),
        "remaining": remaining(study, budget.trials, budget.count),
        "runs": study.runs,
        "revisions": [list(revision.changes) for revision in study.revisions],
        "warned": sorted(study.warnings),
        "jobs": [[job.role, job.tasks] for job in study.jobs],
        "elapsed": round(study.elapsed_before, 3),
        "seed": study.study_seed,
    }
    plain: dict[str, Any] = json.loads(json.dumps(facts), parse_constant=str)
    return plain


def _versions(folder: Path) -> Iterator[str]:
    return (event.version for event in read_ledger(folder / "ledger").events if event.kind == "study_created")


def _attempt(attempt: Attempt) -> dict[str, Any]:
    end = attempt.outcome
    facts = {"number": attempt.number, "resumed": attempt.resumed, "by": attempt.slot.split(":")[0], "job": attempt.job}
    if end is None:
        return facts
    return {
        **facts, "state": end.state.value, "cause": end.cause.value, "reason": end.reason, "signature": end.signature,
        "values": end.values, "part": end.part, "instead": end.instead, "last_step": end.last_step, "exit_code": end.exit_code,
        "signal": end.signal, "seconds": end.seconds, "curve": sorted(end.judged_curve().items()),
    }  # fmt: skip


# what it adds up to


@every_entry
def test_it_adds_up_to_what_it_was_and_looking_changes_nothing(entry: str) -> None:
    before = contents(read_only(entry))
    assert list(holds(facts_of(read_only(entry)), expected(entry))) == []
    assert contents(read_only(entry)) == before


@every_entry
def test_it_and_every_trial_can_be_shown(entry: str, capsys: pytest.CaptureFixture[str]) -> None:
    folder = read_only(entry)
    for number, trial in study_of(folder).trials.items():
        told = json.loads(shown(folder, str(number)))
        assert told["events"] == json.loads(json.dumps([to_json(event) for event in trial.events()]))
    for what in (None, "best", "failures", str(number)):
        assert shown(folder, what, as_json=False)
    make_console().print(render_run.status(look(folder)[0]))
    assert study_of(folder).name in capsys.readouterr().out


@every_entry
def test_every_key_of_every_record_is_still_understood(entry: str) -> None:
    for segment in read_only(entry).glob("ledger/*.jsonl"):
        for raw in segment.read_bytes().splitlines():
            told = json.loads(raw).get("events", ())
            assert repr(events_of(from_line(raw) or {})) == repr(
                [from_json(obj) for obj in told]
            )  # NaN is itself there
            for obj in told:
                assert list(holds(json.loads(json.dumps(to_json(from_json(obj)))), obj)) == []


@every_entry
def test_each_trials_own_record_says_what_the_ledger_says(entry: str) -> None:
    study = study_of(read_only(entry))
    for record in read_only(entry).glob("trials/*/trial.json"):
        told = json.loads(record.read_text())
        trial = study.trials[told["number"]]
        assert (told["state"], told["values"]) == (
            trial.state.value,
            None if trial.values is None else list(trial.values),
        )


@every_entry
def test_its_tables_written_again_say_what_they_said(entry: str) -> None:
    _, study, settings = look(read_only(entry))
    table = TrialTable(settings)
    written = {"trials.csv": table.render(study), "study_summary.csv": table.render_ranked(study)}
    for name, text in written.items():
        told = read_only(entry) / name
        if told.exists():
            assert (entry, name) in DRAWN_OTHERWISE or list(holds(rows(text), rows(told.read_text()), name)) == []
    told = read_only(entry) / "best_results.json"
    if told.exists():
        again = json.loads(json.dumps(best_results(study, settings), default=str))
        was = json.loads(told.read_text())
        if was["best"]:
            del was["best"]["checkpoint"]  # no checkpoints are kept here
        assert list(holds(again, was, "best_results.json")) == []


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


# that it is an archive


def test_every_kind_of_record_is_in_it() -> None:
    there = {event.kind for entry in ENTRIES for event in read_ledger(read_only(entry) / "ledger").events}
    assert there == {kind_of(cls) for cls in get_args(Event)}


def test_it_holds_a_dozen_lives_that_ended_differently() -> None:
    ends = {expected(entry)["status"]["state"] for entry in ENTRIES}
    assert ends >= {"done", "halted", "stopped"}
    assert len(ENTRIES) > 12


def test_nothing_recorded_names_a_machine_or_a_place_on_it() -> None:
    hosts = re.compile(r'"host":\s*"([^"]*)"')
    place = re.compile(r"(?<![\w.{}])/(?:home|root|tmp|work|usr|opt|var|mnt|scratch|private|Users)\b")
    for path in HERE.glob("*/**/*"):
        if path.is_file() and path.name != "study.db" and path.suffix != ".pyc":
            text = path.read_text()
            assert place.search(text) is None, path
            assert set(hosts.findall(text)) <= {"", "lab", "vm"}, path


# what a later version wrote


def test_a_record_of_a_later_version_is_one_clear_error_and_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "studies" / "lab"
    shutil.copytree(read_only("0.1.0-complete"), folder)
    segment = folder / "ledger" / "00000001.jsonl"
    last = len(segment.read_text().splitlines()) - 1
    record = {"kind": "trial_paused", "trial": 0, "at": "2027-01-01T00:00:00.000+00:00"}
    with segment.open("ab") as file:
        file.write(to_line({"v": 1, "n": last, "at": record["at"], "events": [record]}))
    before = contents(folder)
    for command in ("status", "show", "run", "retry", "repair", "repair --check", "clean --yes"):
        assert run_cli([command.split()[0], str(folder), *command.split()[1:]]) == 1, command
        complaint = capsys.readouterr().err
        assert "a newer Outlast" in complaint and "trial_paused" in complaint and "Traceback" not in complaint, (
            complaint
        )
        assert "pip install --upgrade outlast" in complaint
        assert contents(folder) == before, command
