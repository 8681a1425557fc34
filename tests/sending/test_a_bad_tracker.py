"""A tracker that hangs, fails or cannot be used: the others have everything, it is said once, and the search costs nothing."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from tests.lab.waiting import until
from tests.sending.studies import searched
from tests.sending.test_everything_once import arrived, expected, sinks
from tests.sending.trackers import Hangs

from outlast._system.locks import is_locked
from outlast._system.process_behind import Shift
from outlast.cli.main import run_cli
from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.config.tracking_section import TRACKERS, TrackingSettings
from outlast.core.file_names import StudyNames, TrackerPaths
from outlast.engine.check.throwaway import trial_settings
from outlast.engine.record.health_facts import unsent_in
from outlast.engine.sending import courier
from outlast.engine.sending.courier import Courier
from outlast.engine.sending.sender import Sender
from outlast.engine.sending.sender_behind import SenderBehind, still_lacking
from outlast.engine.sending.unsent import Unsent, keep_unsent, read_unsent
from outlast.engine.sending.usable import tracking_findings
from outlast.study.layout import StudyPaths
from outlast.tracking import choosing
from outlast.tracking.sink import Memory, SinkError, TrackedStudy, TrackedTrial

STUDY = {
    "name": "digits", "command": ["true", "${args}"], "metric": {"name": "acc", "goal": "maximize"}, "parameters": {"lr": [1, 2]},
    "budget": {"trials": 2},
}  # fmt: skip


def settings(tracking: object) -> Settings:
    return settings_from_resolved({**STUDY, "tracking": tracking}, os.getcwd())


def test_one_that_hangs_and_one_that_lacks_something_hold_up_nobody(tmp_path: Path) -> None:
    folder, file = searched(tmp_path / "digits", 5), tmp_path / "file"
    Sender(folder, sinks(("Hangs", {}), ("Lacks", {}), ("Lines", {"path": str(file)})), patience=1.0).run()
    assert sorted(arrived(file)) == sorted(expected(folder))
    known = read_unsent(StudyNames(tmp_path / "digits").unsent)
    assert {name.rpartition(".")[2]: (each.trials, each.cure) for name, each in known.items()} == {
        "Hangs": (5, ""), "Lacks": (5, "pip install tracker"), "Lines": (0, ""),
    }  # fmt: skip


def test_trainings_are_handed_nothing_of_a_tracker_that_is_not_sent_to_any_more(tmp_path: Path) -> None:
    names = StudyNames(tmp_path)
    SenderBehind(tmp_path, settings(None), print).start()
    assert [*tmp_path.iterdir()] == []
    names.tracking.mkdir()
    for name in ("mlflow", "wandb"):
        names.tracker(name).environment.write_text("{}")
    SenderBehind(tmp_path, settings("wandb"), print)._take_back()
    assert [path.name for path in names.tracking.iterdir()] == ["wandb.environment"]
    SenderBehind(tmp_path, settings(None), print).start()
    assert [path.name for path in names.tracking.iterdir()] == ["behind.json"], "no tracker: nobody waits for one"


def test_a_reason_is_without_its_secrets(tmp_path: Path) -> None:
    folder = searched(tmp_path / "digits", 2)
    failing = Sender(folder, sinks(("Lines", {"path": str(tmp_path / "file"), "fails_after": 1, "how": "refuse"})))
    failing.run()
    assert failing.couriers[0].trouble == "no room for more at http://me:***@host"
    assert "secret" not in "".join(path.read_text() for path in (tmp_path / "digits" / "tracking").iterdir())


class Fails:
    """Says no, and counts how often it was asked."""

    def __init__(self, *, lasting: bool) -> None:
        self.asked, self._lasting = 0, lasting

    def open(self, study: TrackedStudy, memory: Memory) -> None:
        self.asked += 1
        raise SinkError("no", lasting=self._lasting)

    def send(self, study: TrackedStudy, changed: Sequence[TrackedTrial]) -> None:
        raise AssertionError

    def close(self, study: TrackedStudy) -> None:
        raise AssertionError


@pytest.mark.parametrize(
    ("lasting", "asked"), [(False, [0, 5, 15, 35, 75, 155, 315, 635, 1235]), (True, [0, 600, 1200])]
)
def test_it_is_asked_later_and_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasting: bool, asked: list[float]
) -> None:
    """In seconds of a clock that is moved by hand."""
    now = [0.0]
    monkeypatch.setattr(courier.time, "monotonic", lambda: now[0])
    sink = Fails(lasting=lasting)
    it = Courier("it", lambda: sink, TrackerPaths(tmp_path, "it"))
    found = Sender(searched(tmp_path / "digits", 1), TrackingSettings())._found
    found.look()
    times: list[float] = []
    while now[0] < 1300:
        if it.is_due(now[0]):
            before = sink.asked
            it.give(found.study, "token", found.tokens, found.trial, last=False)
            it._done.wait(60)
            it._done.clear()
            times += [now[0]] * (sink.asked - before)
        now[0] += 5.0
    assert times == asked


def test_a_server_that_is_away_for_weeks_is_asked_every_ten_minutes(tmp_path: Path) -> None:
    sink = Fails(lasting=False)
    it = Courier("it", lambda: sink, TrackerPaths(tmp_path, "it"))
    found = Sender(searched(tmp_path / "digits", 1), TrackingSettings())._found
    found.look()
    it.failures = 5000
    it.give(found.study, "token", found.tokens, found.trial, last=False)
    assert it._done.wait(60)
    assert it.failures == 5001 and 590 < it._due - time.monotonic() <= 600


def test_trouble_is_said_once_and_that_it_is_over(tmp_path: Path) -> None:
    said: list[str] = []
    behind, names = SenderBehind(tmp_path, settings(["my.trackers.Mine"]), said.append), StudyNames(tmp_path)
    names.tracking.mkdir()
    for unsent in (Unsent(1), Unsent(1, "no answer", "start it"), Unsent(2, "no answer at all"), Unsent(0), Unsent(0)):
        keep_unsent(names.unsent, {"mine": unsent})
        behind._tell()
    assert said == [
        "tracking: mine takes nothing: no answer (start it); the search goes on, and it is sent later",
        "tracking: mine takes what it is sent again",
    ]


def test_the_end_of_a_run_says_what_sends_the_rest(tmp_path: Path) -> None:
    names = StudyNames(tmp_path)
    names.tracking.mkdir()
    keep_unsent(
        names.unsent, {"mlflow": Unsent(3, "no answer"), "wandb": Unsent(2), "mine": Unsent(1, "not chosen now")}
    )
    assert still_lacking(tmp_path, settings(["mlflow", "wandb"]), "studies/digits") == [
        "tracking: mlflow lacks what the search has (no answer): outlast track studies/digits sends it once it takes it",
        "tracking: wandb is still sent the rest behind this; outlast track studies/digits says when it has everything",
    ]
    assert still_lacking(tmp_path, settings(None), "studies/digits") == []


def test_status_knows_what_is_not_sent(tmp_path: Path) -> None:
    paths = StudyPaths.at(tmp_path)
    paths.tracking.mkdir()
    for unsent, said in (
        (Unsent(3, "no answer"), "mine: no answer, lacks 3 trials"),
        (Unsent(3), "mine: 3 trials that nobody sends"),
        (Unsent(), ""),
    ):
        keep_unsent(paths.unsent, {"mine": unsent})
        assert unsent_in(paths) == said
    paths.unsent.write_text("{")
    assert unsent_in(paths) == ""


def test_check_says_which_trackers_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.engine.sending.usable._is_there", lambda package: package == "wandb")
    tracking = {
        "mlflow": {}, "wandb": {}, "tensorboard": {"dir": "${NOPE}"},
        "sinks": ["tests.sending.trackers.Hangs", {"name": "tests.sending.trackers.Lines", "paht": "x"}, "nowhere.Mine"],
    }  # fmt: skip
    found = {
        each.text.partition(" ")[0]: (each.level, each.text, each.cure)
        for each in tracking_findings(settings(tracking))
    }
    assert found.pop("sent") == ("ok", "sent to wandb, tests.sending.trackers.Hangs", None)
    assert {level for level, _, _ in found.values()} == {"note"}
    assert found["mlflow"][1:] == (
        "mlflow needs mlflow, which is not installed here: the search would not be sent there", "pip install 'outlast[mlflow]'",
    )  # fmt: skip
    assert "needs NOPE, which the environment does not have" in found["tensorboard"][1]
    assert "has no option paht" in found["tests.sending.trackers.Lines"][1]
    assert "nowhere.Mine cannot be imported" in found["nowhere.Mine"][1]


class Guarded(Hangs):
    """Says what it was given."""

    def __init__(self, url: str, word: str) -> None:
        raise ValueError(f"no tracker at {url} for {word}")


def test_what_a_class_of_ones_own_says_is_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "swordfish")
    mine = {"name": f"{__name__}.Guarded", "url": "http://me:${WORD}x@host", "word": "${WORD}"}
    (found,) = tracking_findings(settings({"sinks": [mine]}))
    assert "no tracker at http://me:***@host for ***" in found.text


def test_a_secret_of_the_record_is_asked_for(tmp_path: Path) -> None:
    recorded = settings({"sinks": [{"name": "tests.sending.trackers.Lines", "path": "http://me:secret@host"}]})
    folder = searched(tmp_path / "digits", 1)
    sender = Sender(folder, TrackingSettings.of(recorded.resolved["tracking"]))
    sender.run()
    assert "write it as ${NAME} of the environment" in sender.couriers[0].trouble


@pytest.mark.parametrize(("how", "code"), [("refuse", 1), ("", 0)])
def test_track_says_what_it_sent_and_what_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str, code: int
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = {
        "name": "tests.sending.trackers.Lines",
        "path": str(tmp_path / "file"),
        "fails_after": 7 if how else 0,
        "how": how,
    }
    searched(tmp_path / "digits", 3, tracking={"sinks": [lines]})
    assert run_cli(["track", "digits"]) == code
    said = capsys.readouterr().out
    assert said == (
        "digits: tests.sending.trackers.Lines: takes nothing: no room for more at http://me:***@host; it lacks 3 trials\n"
        if how
        else "digits: tests.sending.trackers.Lines: sent 3 trials\n"
    )
    if not how:
        assert run_cli(["track", "digits", "--json"]) == 0
        (mine,) = json.loads(capsys.readouterr().out)["trackers"].values()
        assert (mine["sent"], mine["lacking"], mine["trouble"]) == (0, 0, "")


def test_a_study_that_is_gone_before_it_was_read_is_not_said_to_have_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = searched(tmp_path / "digits", 1, tracking={"sinks": [{"name": "tests.sending.trackers.Hangs"}]})
    begin = Shift.begin

    def moved(shift: Shift, *, insist: float = 0.0) -> bool:
        ours = begin(shift, insist=insist)
        os.rename(folder, tmp_path / "aside")
        return ours

    monkeypatch.setattr(Shift, "begin", moved)
    assert run_cli(["track", folder]) == 1
    assert "takes nothing: its study cannot be read" in capsys.readouterr().out


def test_a_study_that_is_sent_nowhere_says_how(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["track", searched(tmp_path / "digits", 1)]) == 2
    assert "is sent to no tracker" in capsys.readouterr().err


def test_every_tracker_that_has_a_name_has_a_sink_a_package_and_an_extra() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert {*TRACKERS} == {*choosing._OURS} == {*choosing.PACKAGES} == {*choosing.EXTRAS}
    for name, path in choosing._OURS.items():
        module, _, cls = path.partition(":")
        assert f"class {cls}" in (Path(choosing.__file__).parent / f"{module.rpartition('.')[2]}.py").read_text()
        extra = re.findall(r"\[(\w+)\]", choosing.EXTRAS[name])[0]
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE)


def test_what_is_tried_out_is_sent_nowhere() -> None:
    tried = trial_settings(settings("mlflow"), trials=1, limit=1.0)
    assert not tried.tracking and not tried.notify


# real processes


def outlast(*words: str, cwd: Path, **environment: str) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OUTLAST_PLOTS": "0", **environment}
    return subprocess.Popen(
        [sys.executable, "-m", "outlast", *words], cwd=cwd, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.slow
def test_a_sender_that_is_killed_again_and_again_sends_everything_once(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    print("seed", seed)
    file, drawn = tmp_path / "file", random.Random(seed)
    lines = {
        "name": "tests.sending.trackers.Lines",
        "path": str(file),
        "fails_after": drawn.randint(11, 19),
        "how": "kill",
    }
    folder = searched(tmp_path / "digits", 12, tracking={"sinks": [lines]})
    codes = []
    while not codes or codes[-1]:
        codes.append(outlast("track", folder, cwd=tmp_path).wait(60))
        assert len(codes) < 20
    assert codes.count(-signal.SIGKILL) >= 2
    assert sorted(arrived(file)) == sorted(expected(folder))


TRAIN = """
import os, time
open(os.path.join(os.environ["OUTLAST_TRIAL_DIR"], "..", "..", "..", "begun"), "a").write("x")
for epoch in range(3):
    print(f"epoch {epoch}: acc=0.{epoch}", flush=True)
    time.sleep(0.05)
"""


def searching(tmp_path: Path, tracking: object) -> Mapping[str, object]:
    (tmp_path / "train.py").write_text(TRAIN)
    study = {
        "name": "digits", "command": f"{sys.executable} -S -E train.py ${{args}}", "metric": "maximize acc",
        "parameters": {"lr": "float(0, 1)"}, "budget": {"trials": 6}, "parallel": 2, "tracking": tracking,
    }  # fmt: skip
    (tmp_path / "digits.yaml").write_text(json.dumps(study))
    return study


@pytest.mark.slow
def test_a_search_whose_run_is_killed_and_whose_trackers_are_bad_loses_and_repeats_nothing(tmp_path: Path) -> None:
    file, names = tmp_path / "file", StudyNames(tmp_path / "studies" / "digits")
    bad = [{"name": f"tests.sending.trackers.{name}"} for name in ("Hangs", "Lacks")]
    lines = {"name": "tests.sending.trackers.Lines", "path": str(file), "fails_after": 9, "how": "kill"}
    searching(tmp_path, {"sinks": [*bad, lines]})
    first = outlast("run", "digits.yaml", cwd=tmp_path, OUTLAST_TRACK_SECONDS="0.1")
    until(lambda: file.exists() and len(arrived(file)) >= 9, "it is sent something", 60)
    first.kill()
    first.wait(60)
    assert outlast("run", "digits.yaml", cwd=tmp_path, OUTLAST_TRACK_SECONDS="0.1").wait(120) == 0
    until(lambda: is_locked(str(names.sending)) is False, "the last sender is gone", 60)
    folder = str(names.root)
    for _ in range(20):
        code = outlast("track", "--wait", "1", cwd=tmp_path).wait(60)
        if code == 1 and len(arrived(file)) >= len(expected(folder)):
            break  # those that cannot take anything lack it, and the others have it
    assert sorted(arrived(file)) == sorted(expected(folder))
    assert (names.root.parent / "begun").read_text() == "x" * 6


@pytest.mark.slow
def test_a_sender_is_one_and_leaves_with_its_folder(tmp_path: Path) -> None:
    bad = {"sinks": [{"name": "tests.sending.trackers.Hangs"}]}
    folder = searched(tmp_path / "digits", 1, tracking=bad)
    names = StudyNames(Path(folder))
    first = outlast("track", folder, "--wait", "300", cwd=tmp_path)
    until(lambda: is_locked(str(names.sending)), "it sends", 60)
    second = outlast("track", folder, "--wait", "300", cwd=tmp_path)
    assert first.wait(60) == 1, "it leaves to whoever asks now"
    until(lambda: is_locked(str(names.sending)), "the second one sends", 60)
    os.rename(folder, tmp_path / "aside")
    assert second.wait(100) == 1, "with the folder, not after its patience"
    assert not Path(folder).exists()
