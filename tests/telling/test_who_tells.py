"""Who tells, and until when: nobody for ever, nobody of what another tells, and nobody who cannot reach anybody."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.lab.waiting import until

from outlast._system.locks import FileLock, is_locked
from outlast.config.load import settings_from_resolved
from outlast.config.settings import NotifySettings
from outlast.core.file_names import AttemptPaths, StudyNames
from outlast.engine.hold.opening import open_study
from outlast.engine.telling.teller import Teller
from outlast.engine.telling.teller_behind import TellerBehind
from outlast.engine.telling.told_before import ToldBefore
from outlast.engine.telling.watched import ACampaign, OneStudy
from outlast.runner.orphaned import Orphaned
from outlast.study.campaign import Campaign, CampaignPaths, Member, keep_campaign
from outlast.study.layout import StudyPaths
from outlast.study.supervision import Post

WHAT = ("error", "warning", "end")


def campaign(folder: Path) -> Path:
    keep_campaign(folder, Campaign("both", (Member("a", "a"),)))
    return folder


def left_alone(folder: Path, **more: object) -> StudyPaths:
    """A study that was begun, and that nobody runs."""
    file = {
        "name": folder.name, "command": ["true"], "metric": {"name": "acc", "goal": "maximize"}, "parameters": {"lr": [1, 2]},
        "budget": {"trials": 9}, **more,
    }  # fmt: skip
    paths = StudyPaths.at(folder)
    with open_study(paths, settings_from_resolved(file, str(folder.parent))):
        pass
    return paths


def keys(told: ToldBefore) -> list[str]:
    return [each.warning.key for each in told.findings.values()]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAST_TELL_SECONDS", "0.05")


@pytest.mark.parametrize("deleted", [False, True])
def test_where_nothing_is_left_to_be_seen_a_campaign_is_over(tmp_path: Path, deleted: bool) -> None:
    watched = ACampaign(str(campaign(tmp_path / "both")), WHAT)
    if deleted:
        shutil.rmtree(tmp_path / "both")
    assert watched.news(ToldBefore(), alone=True) == []
    assert not watched.over, "studies may be on their way"
    until(lambda: watched.news(ToldBefore(), alone=True) == [] and watched.over, "nothing comes")


def test_who_tells_of_a_folder_that_is_deleted_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = campaign(tmp_path / "both")
    pipe, ours = os.pipe()  # whoever runs it is there all along
    teller = Teller(str(folder), NotifySettings(command=("true",)), str(tmp_path), pipe)
    thread = threading.Thread(target=teller.run, daemon=True)
    thread.start()
    until(lambda: is_locked(str(StudyNames(folder).telling)), "it tells")
    until(lambda: shutil.rmtree(folder, ignore_errors=True) or not folder.exists(), "it is deleted")
    thread.join(60)
    os.close(ours)
    assert not thread.is_alive()


def test_who_can_reach_nobody_leaves_it_to_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = campaign(tmp_path / "both")
    Teller(str(folder), NotifySettings(urls=("ntfy://***",), command=("tell", "--token=***")), ".").run()
    assert [each.name for each in folder.iterdir()] == ["campaign.json"]


@pytest.mark.parametrize(
    ("notify", "heard", "whose"),
    [
        (None, False, ["left_alone"]),
        (["true"], False, []),
        (["tell", "--api-key=abcdefgh1"], False, ["left_alone"]),  # nobody has that any more
        (["tell", "--api-key=abcdefgh1"], True, []),  # but whoever runs it has
    ],
    ids=str,
)
def test_a_campaign_tells_of_studies_that_reach_nobody_themselves(
    tmp_path: Path, notify: list[str] | None, heard: bool, whose: Sequence[str]
) -> None:
    folder = campaign(tmp_path / "both")
    paths = left_alone(folder / "a", **({"notify": {"command": notify}} if notify else {}))
    watched, told = ACampaign(str(folder), WHAT), ToldBefore()
    with contextlib.closing(FileLock(str(paths.telling))) as lock:
        assert not heard or lock.acquire()
        watched.news(told, alone=True)
    until(lambda: watched.news(told, alone=True) is not None and watched.over, "it is settled")
    assert [key for key in keys(told) if key != "all_stopped"] == whose


@pytest.mark.parametrize(("supervised", "settled"), [(False, True), (True, False)])
def test_what_a_supervisor_begins_again_is_dead_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supervised: bool, settled: bool
) -> None:
    folder = campaign(tmp_path / "both")
    left_alone(folder / "a")
    watched, clock = OneStudy(str(folder / "a"), WHAT, "a"), [1000.0]
    monkeypatch.setenv("OUTLAST_TELL_SECONDS", "15")
    monkeypatch.setattr("outlast.engine.telling.watched.time.monotonic", lambda: clock[0])
    with contextlib.closing(Post(CampaignPaths.at(folder).supervisor)) as post:
        assert not supervised or post.take()
        post.write(())
        watched.news(ToldBefore(), alone=True)
        clock[0] += 20.0
        watched.news(ToldBefore(), alone=True)
        assert watched.over == settled
        clock[0] += 45.0
        watched.news(ToldBefore(), alone=True)
        assert watched.over


class Counted(Orphaned):
    """Counts how often it would be told."""

    told = 0

    def _tell(self) -> None:
        self.told += 1


def test_a_runner_has_each_coordinator_s_death_told(tmp_path: Path) -> None:
    files, names = AttemptPaths(tmp_path / "1"), StudyNames(tmp_path)
    files.folder.mkdir()
    orphaned = Counted(tmp_path, files, 8.0)
    told = []
    for now, (lease, alive) in enumerate([(0, 0), (0, 9), (0, 18), (20, 21), (20, 40), (20, 50)]):
        for path, at in ((names.lease, lease), (files.alive, alive)):
            path.touch()
            os.utime(path, (at, at))
        orphaned.look(now * 10.0)
        told.append(orphaned.told)
    assert told == [0, 1, 1, 1, 2, 2]


@pytest.mark.slow
def test_who_could_not_be_begun_is_begun_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_LOOKED_AFTER", "_AGAIN"):
        monkeypatch.setattr(f"outlast._system.process_behind.{name}", 0.0)
    folder = tmp_path / "both"
    teller = TellerBehind(folder, NotifySettings(command=("true",)), str(tmp_path), env={}, say=print)
    teller.start()  # there is no such folder yet
    campaign(folder)
    teller.looked()
    until(lambda: is_locked(str(StudyNames(folder).telling)), "it tells")
    teller.close(wait=20.0)
