"""A search stops cleanly before the end of its session, begins nothing in vain, and goes on in the next one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone

import pytest

from outlast._system.platforms import session_began
from outlast.cli.invocation import Invocation
from outlast.cli.main import run_cli
from outlast.cli.targets.search_request import SearchRequest
from outlast.config.load import load_study_file
from outlast.core.deadline import comes_to_something, lead_seconds, moment_of
from outlast.core.plan import Limits
from outlast.core.records import RunStarted
from outlast.core.states import AT_DEADLINE, Cause, StudyState, TrialState
from outlast.engine.cluster.inspection import deadline_findings
from outlast.engine.coordinator.instructions import AskToEnd, LockSlots, Record, RestWanted, Say
from outlast.engine.coordinator.round import Holding, Round
from outlast.engine.coordinator.session_end import SessionEnd, settled
from outlast.engine.record.examine import read_study
from outlast.errors import StudyFileError
from outlast.monitor.snapshot import LiveFacts, snapshot
from outlast.monitor.speed_words import deadline_text
from outlast.study.layout import StudyPaths
from outlast.testing.studies import StudyBuilder

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=timezone(timedelta(hours=1)))
TRAIN = """\
import os, time
path = os.path.join(os.environ["OUTLAST_CHECKPOINT_DIR"], "step")
begin = int(open(path).read()) + 1 if os.path.exists(path) else 0
for step in range(begin, 3):
    time.sleep(0.3)
    open(path, "w").write(str(step))
    print(f"step {step}: score={step}", flush=True)
"""
STUDY = {
    "name": "d", "command": [sys.executable, "train.py", "${x}"], "metric": "maximize score", "parallel": 1,
    "parameters": {"x": {"min": 0.0, "max": 1.0}}, "budget": {"trials": 4}, "trial": {"grace": "2s"},
}  # fmt: skip


def settings_of(tmp_path, **keys):
    (tmp_path / "train.py").touch()
    (tmp_path / "s.yaml").write_text(json.dumps({**STUDY, **keys}))
    return load_study_file(tmp_path / "s.yaml")


# -- what it means --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clock", "moment"),
    [
        ("15:00", "2026-01-05T15:00:00+01:00"),
        ("9:30", "2026-01-06T09:30:00+01:00"),  # of tomorrow
        ("12:00", "2026-01-06T12:00:00+01:00"),
        ("15:00Z", "2026-01-05T15:00:00+00:00"),
        ("2026-02-01 08:00", "2026-02-01T08:00:00+01:00"),
        ("2026-02-01T08:00:30+05:00", "2026-02-01T08:00:30+05:00"),
    ],
)
def test_a_clock_time_is_the_next_one(clock: str, moment: str) -> None:
    assert moment_of(clock, NOON) == datetime.fromisoformat(moment)


@pytest.mark.parametrize(
    ("clock", "now", "hours"),  # that are left
    [
        ("07:00Z", "2026-01-04T23:30:00-08:00", 23.5),  # a clock on which it is tomorrow already
        ("20:00Z", "2026-01-05T04:00:00+09:00", 1.0),  # one on which it is yesterday
        ("15:00Z", "2026-01-05T15:00:00+09:00", 9.0),
    ],
)
def test_another_clock_has_its_own_date(clock: str, now: str, hours: float) -> None:
    at = datetime.fromisoformat(now)
    assert moment_of(clock, at) - at == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("clock", "moment"),
    [("07:00", "2026-03-29T05:00:00+00:00"), ("2026-07-01 08:00", "2026-07-01T06:00:00+00:00")],
)
def test_summer_time_begins_for_this_machines_clock_too(monkeypatch, clock: str, moment: str) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        assert moment_of(clock, datetime(2026, 3, 28, 22, 0)) == datetime.fromisoformat(moment)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("11h", "11h"),
        ("39600", "11h"),
        ("15:00", "15:00"),
        ("24:00:00", "1d"),
        ("2026-02-01 08:00", "2026-02-01 08:00"),
    ],
)
def test_a_study_file_and_the_flag_say_it_alike(tmp_path, given: str, kept: str) -> None:
    (tmp_path / "train.py").touch()
    (tmp_path / "s.yaml").write_text(json.dumps({**STUDY, "deadline": given}))
    assert load_study_file(tmp_path / "s.yaml").deadline == kept


@pytest.mark.parametrize("given", ["tomorrow", "25:00", "0s", "11 o'clock", -1])
def test_what_is_no_time_is_refused_with_the_forms_that_are(tmp_path, given: object) -> None:
    (tmp_path / "train.py").touch()
    (tmp_path / "s.yaml").write_text(json.dumps({**STUDY, "deadline": given}))
    with pytest.raises(StudyFileError) as caught:
        load_study_file(tmp_path / "s.yaml")
    assert caught.value.key == "deadline"


def test_a_duration_counts_since_the_session_began_where_that_is_known(tmp_path, monkeypatch) -> None:
    now = time.time()
    plain = SessionEnd.of("1h")
    assert plain is not None and 3599 < plain.at - now < 3602
    monkeypatch.setenv("OUTLAST_SESSION_BEGAN", str(now - 1800))
    later = SessionEnd.of("1h")
    assert later is not None and abs(later.at - now - 1800) < 2
    (tmp_path / "content").mkdir()
    study = settings_of(tmp_path, deadline="15:00")
    kept = settled(study)  # for whoever is begun again after it: not the one of tomorrow
    assert datetime.fromisoformat(kept.deadline).timestamp() == SessionEnd.of("15:00").at
    assert kept.resolved == study.resolved and settled(settings_of(tmp_path, deadline="1h")).deadline == "1h"
    colab = {"COLAB_GPU": "1", "OUTLAST_LOOK_BELOW": str(tmp_path)}
    assert session_began(colab) is not None and session_began({}) is None


# -- what is decided ------------------------------------------------------------------------------------------------------


def study(seconds: float | None, *, saved: bool = False, steps: int | None = None) -> StudyBuilder:
    built = StudyBuilder()
    if seconds is not None:
        built.trial(values=1.0, seconds=seconds, saved=saved, last_step=None if steps is None else steps - 1)
    return built


@pytest.mark.parametrize(
    ("seconds", "saved", "steps", "left", "comes"),
    [
        (None, False, None, 1.0, True),  # nobody knows
        (100.0, False, None, 120.0, True),
        (100.0, False, None, 80.0, False),  # without a checkpoint all of it is lost
        (100.0, True, 50, 80.0, True),
        (100.0, True, 50, 3.0, False),
        (100.0, True, None, 30.0, True),
        (100.0, True, None, 10.0, False),
    ],
)
def test_what_comes_to_nothing_is_not_begun(seconds, saved, steps, left, comes) -> None:
    assert comes_to_something(study(seconds, saved=saved, steps=steps).study, left) is comes


def test_the_lead_holds_the_grace_and_what_is_brought_home() -> None:
    assert lead_seconds(39600.0, 120.0) == 180.0
    assert lead_seconds(100.0, 10.0, home=20.0) == 55.0  # of a short session a small part


def test_a_round_begins_nothing_in_vain_then_asks_and_comes_to_rest() -> None:
    built = study(100.0)
    built.trial(state=TrialState.RUNNING)
    round_ = Round(built.study, Limits(5))
    assert round_.deadline_seen(1000.0) == []
    assert [type(each) for each in round_.deadline_seen(50.0)] == [Say] and round_.deadline_seen(49.0) == []
    assert round_.slots_seen(4, 0.0) == [LockSlots(0, 0.0)]  # what runs may finish
    assert [type(each) for each in round_.deadline_seen(0.0)] == [Say]
    assert AskToEnd(1, 1, "deadline", False) in round_.slots_seen(4, 0.0)
    built.finish(1, TrialState.INTERRUPTED, cause=Cause.STOPPED)
    (ended, *_) = round_.nothing_runs(built.at(90), 90.0)
    assert isinstance(ended, Record)
    assert (ended.event.state, ended.event.reason) == (StudyState.STOPPED.value, AT_DEADLINE)


@pytest.mark.parametrize("holding", [Holding.WATCHED, Holding.UNATTENDED])
def test_what_may_finish_or_waits_for_room_is_asked_too(holding: Holding) -> None:
    built = study(100.0)
    built.trial(state=TrialState.RUNNING)
    drained, full = Round(built.study, Limits(5), holding), Round(built.study, Limits(5), holding)
    drained.asked(RestWanted(drain=True, now=False))
    full.disk_seen(0.0, lacking="no room")
    for round_, reason in ((drained, "user"), (full, "deadline")):
        assert round_.deadline_seen(1000.0) == []
        assert [each for each in round_.slots_seen(4, 0.0) if isinstance(each, AskToEnd)] == []
        assert [type(each) for each in round_.deadline_seen(0.0)] == [Say] and round_.deadline_seen(-1.0) == []
        assert AskToEnd(1, 1, reason, False) in round_.slots_seen(4, 0.0)
    built.finish(1, TrialState.INTERRUPTED, cause=Cause.STOPPED)
    (ended, *_) = full.nothing_runs(built.at(90), 90.0)
    assert isinstance(ended, Record) and ended.event.reason == AT_DEADLINE


def test_a_study_that_is_over_hears_nothing_of_it() -> None:
    assert Round(study(100.0).study, Limits(1)).deadline_seen(-1.0) == []


def test_where_nothing_runs_it_does_not_wait_for_the_deadline() -> None:
    round_ = Round(study(100.0).study, Limits(5))
    (said,) = round_.deadline_seen(50.0)
    assert round_.rest.reason == "deadline" and "no further trial is started" in said.text


def test_the_expected_end_knows_of_it(tmp_path) -> None:
    (tmp_path / "train.py").touch()
    (tmp_path / "s.yaml").write_text(json.dumps({**STUDY, "budget": {"trials": 40}}))
    settings, built = load_study_file(tmp_path / "s.yaml"), StudyBuilder()
    built.run()
    for at in range(10):
        built.trial(at=60.0 * at, values=1.0)
    for hours, says in ((1.0, "all trials are expected"), (0.4, "of what is left is expected by then")):
        moment = built.at(600 + 3600 * hours)
        built.study.apply(RunStarted(built.at(600), "box", 4242, None, ".", moment))
        found = snapshot(built.study, settings, now=built.moment(600), live=LiveFacts("box", 1, built.at(0), 1))
        assert says in deadline_text(found) and found.eta is not None and found.eta <= datetime.fromisoformat(moment)
        assert found.to_json()["deadline"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--deadline", "2020-01-01 08:00"], "2020-01-01 08:00 has passed"),
        (["--deadline", "1h"], "1h, counted since the session began, has passed"),
        (["--deadline", "25:00"], "--deadline: '25:00' is neither"),
    ],
)
def test_a_deadline_that_has_passed_begins_nothing(tmp_path, monkeypatch, capsys, words, says) -> None:
    settings_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLAST_SESSION_BEGAN", "1")
    assert run_cli(["run", "s.yaml", *words]) == 2
    assert says in " ".join(capsys.readouterr().err.split()) and not (tmp_path / "studies").exists()


def test_the_flag_is_this_runs_alone(tmp_path) -> None:
    settings_of(tmp_path, deadline="11h")
    meant = SearchRequest(Invocation(), (str(tmp_path / "s.yaml"),), deadline="5h").settings
    assert (meant.deadline, meant.resolved["deadline"]) == ("5h", "11h")
    (tmp_path / "s.yaml").write_text(json.dumps({**STUDY, "matrix": {"backbone": ["a", "b"]}}))
    plan = SearchRequest(Invocation(), (str(tmp_path / "s.yaml"),), deadline="5h").meant
    assert {(each.settings.deadline, each.settings.resolved.get("deadline")) for each in plan.planned} == {("5h", None)}


def test_slurm_s_queue_says_that_it_heeds_none(tmp_path) -> None:
    (finding,) = deadline_findings(settings_of(tmp_path, deadline="11h"))
    assert finding.level == "note" and "time limit" in finding.text
    assert deadline_findings(settings_of(tmp_path)) == []


# -- what happens ---------------------------------------------------------------------------------------------------------

#: Four seconds after their begin the trials are asked; how long a busy machine may take until they have left is the grace.
SOON, LEAVES_IN = "36s", {"trial": {"grace": "30s"}}


@pytest.mark.slow
def test_a_run_stops_before_it_and_the_same_command_goes_on(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLAST_PLOTS", "0")
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "study.yaml").write_text(json.dumps({**STUDY, **LEAVES_IN}))
    assert run_cli(["run", "--trials", "40", "--deadline", SOON]) == 4
    study = read_study(StudyPaths.at("studies/d"))
    assert study.ended is not None and study.last_run is not None and study.ended.at < (study.last_run.deadline or "")
    assert study.ended is not None and (study.ended.state, study.ended.reason) == ("stopped", AT_DEADLINE)
    assert not study.in_state(TrialState.RUNNING, TrialState.FAILED, TrialState.PRUNED)
    assert "next        outlast run studies/d" in capsys.readouterr().out
    before = len(study.trials)
    assert run_cli(["run", "--trials", str(before + 1), "--deadline", "1h"]) == 0
    study = read_study(StudyPaths.at("studies/d"))
    assert [trial.state for trial in study.trials.values()] == [TrialState.COMPLETE] * (before + 1)


@pytest.mark.slow
def test_a_campaign_stops_before_it_too(tmp_path) -> None:
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "study.yaml").write_text(
        json.dumps({**STUDY, **LEAVES_IN, "matrix": {"backbone": ["a", "b"]}, "budget": {"trials": 40}})
    )
    command = [sys.executable, "-m", "outlast", "run", "study.yaml", "--deadline", SOON, "--parallel", "2"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 4, done.stdout + done.stderr
    for name in ("d-a", "d-b"):
        study = read_study(StudyPaths.at(tmp_path / "studies/d" / name))
        assert study.ended is not None and study.ended.reason == AT_DEADLINE, done.stdout
