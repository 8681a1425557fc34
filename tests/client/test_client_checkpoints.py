"""Checkpoints: whole or not at all, and the one before when the newest is damaged."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlast import client
from outlast.client import Trial


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("OUTLAST_TRIAL_DIR", str(tmp_path))
    monkeypatch.setenv("OUTLAST_CHECKPOINT_DIR", str(tmp_path / "checkpoints"))
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "OUTLAST_RESUME"):
        monkeypatch.delenv(name, raising=False)
    return Trial()


def names(trial: Trial) -> list[str]:
    return sorted(os.listdir(trial.checkpoint_dir))


def test_what_was_saved_is_loaded(trial: Trial) -> None:
    state = {"epoch": 3, "weights": np.arange(4.0), "nested": [{"a": (1, None)}]}
    path = trial.save_checkpoint(state, step=3)
    loaded = Trial().load_checkpoint()
    assert loaded["epoch"] == 3
    assert loaded["nested"] == [{"a": (1, None)}]
    assert (loaded["weights"] == state["weights"]).all()
    assert trial.last_checkpoint == path


def test_without_a_checkpoint_there_is_none(trial: Trial) -> None:
    assert trial.load_checkpoint() is None
    assert trial.last_checkpoint is None


def test_two_are_kept(trial: Trial) -> None:
    for epoch in range(5):
        trial.save_checkpoint({"epoch": epoch})
    assert names(trial) == ["checkpoint-000004.pkl", "checkpoint-000005.pkl"]


def test_as_many_are_kept_as_asked(trial: Trial) -> None:
    for epoch in range(5):
        trial.save_checkpoint({"epoch": epoch}, keep=1)
    assert names(trial) == ["checkpoint-000005.pkl"]
    with pytest.raises(ValueError, match="keep at least 1"):
        trial.save_checkpoint({}, keep=0)


def test_files_of_the_script_are_left_alone(trial: Trial) -> None:
    (trial.checkpoint_dir / "best.pt").write_bytes(b"mine")
    (trial.checkpoint_dir / "checkpoint-500").mkdir()
    for epoch in range(4):
        trial.save_checkpoint({"epoch": epoch})
    assert {"best.pt", "checkpoint-500"} < set(names(trial))


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(min_value=0, max_value=400), flip=st.booleans(), where=st.floats(min_value=0, max_value=0.999))
def test_a_truncated_or_altered_file_is_passed_over_for_the_one_before(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flip: bool, where: float
) -> None:
    folder = tmp_path_factory.mktemp("trial")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTLAST_TRIAL_DIR", str(folder))
        patch.setenv("OUTLAST_CHECKPOINT_DIR", str(folder / "checkpoints"))
        trial = Trial()
        trial.save_checkpoint({"epoch": 1})
        newest = trial.save_checkpoint({"epoch": 2, "filler": list(range(50))})
        assert newest is not None
        content = bytearray(newest.read_bytes())
        if flip:
            content[int(where * (len(content) - 100))] ^= 0x41
        elif cut:
            del content[-min(cut, len(content)) :]
        else:
            content.clear()
        newest.write_bytes(content)
        loaded = Trial().load_checkpoint()
        assert loaded == {"epoch": 1} or (flip and loaded["epoch"] == 2 and loaded["filler"] == list(range(50)))


def test_a_damaged_one_is_said_on_stderr_and_does_not_count_as_kept(
    trial: Trial, capsys: pytest.CaptureFixture[str]
) -> None:
    trial.save_checkpoint({"epoch": 1})
    damaged = trial.save_checkpoint({"epoch": 2})
    assert damaged is not None
    damaged.write_bytes(damaged.read_bytes()[:-300])
    assert trial.load_checkpoint() == {"epoch": 1}
    assert "checkpoint-000002.pkl is not used: truncated" in capsys.readouterr().err
    trial.save_checkpoint({"epoch": 3})
    assert names(trial) == ["checkpoint-000001.pkl", "checkpoint-000003.pkl"]


def test_a_save_that_fails_leaves_the_ones_before_and_no_rubbish(trial: Trial) -> None:
    trial.save_checkpoint({"epoch": 1})
    with pytest.raises((pickle.PicklingError, AttributeError)):
        trial.save_checkpoint({"epoch": 2, "bad": lambda: None})
    assert names(trial) == ["checkpoint-000001.pkl"]
    assert trial.load_checkpoint() == {"epoch": 1}


def test_leftovers_of_a_killed_save_are_swept(trial: Trial) -> None:
    (trial.checkpoint_dir / ".checkpoint-000001.pkl.99.tmp").write_bytes(b"half")
    trial.save_checkpoint({"epoch": 1})
    assert names(trial) == ["checkpoint-000001.pkl"]


def test_the_file_is_on_disk_before_it_has_its_name_and_the_folder_after(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = str(trial.checkpoint_dir)
    done: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(fd: int) -> None:
        done.append("fsync folder" if os.path.isdir(f"/proc/self/fd/{fd}") else "fsync file")
        real_fsync(fd)

    def replace(source: str, target: str) -> None:
        assert os.path.dirname(source) == os.path.dirname(target) == folder
        done.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    trial.save_checkpoint({"epoch": 1})
    assert done == ["fsync file", "rename", "fsync folder"]


def test_killed_at_any_moment_a_good_one_is_there(trial: Trial, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys, outlast.client as c\n"
        "trial = c.current_trial()\n"
        "real = {'write': c._footer, 'fsync': os.fsync, 'rename': os.replace, 'remove': c._remove}\n"
        "def die(*a, **k): os._exit(9)\n"
        "trial.save_checkpoint({'epoch': 1}); trial.save_checkpoint({'epoch': 2})\n"
        "at = sys.argv[1]\n"
        "if at == 'write': c._footer = die\n"
        "if at == 'fsync': os.fsync = die\n"
        "if at == 'rename': os.replace = die\n"
        "if at == 'remove': c._remove = die\n"
        "trial.save_checkpoint({'epoch': 3})\n"
    )
    for moment, epoch in {"write": 2, "fsync": 2, "rename": 2, "remove": 3}.items():
        assert subprocess.run([sys.executable, str(script), moment], check=False).returncode == 9
        assert Trial().load_checkpoint() == {"epoch": epoch}


def test_random_states_go_on_where_they_were(trial: Trial) -> None:
    random.seed(1)
    np.random.seed(1)
    trial.save_checkpoint({"epoch": 1}, rng=True)
    expected = (random.random(), np.random.rand())
    assert trial.load_checkpoint() == {"epoch": 1}
    assert (random.random(), np.random.rand()) == expected


def test_random_states_are_plain_enough_for_a_loader_that_takes_weights_only() -> None:
    def plain(value: object) -> bool:
        inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
        return type(value) in (dict, list, tuple, str, int, float, type(None)) and all(map(plain, inner))

    states = client.random_states()
    assert {"python", "numpy"} <= states.keys()
    assert plain({name: states[name] for name in ("python", "numpy")})


def test_random_states_are_left_alone_when_not_wanted(trial: Trial) -> None:
    random.seed(1)
    trial.save_checkpoint({"epoch": 1}, rng=True)
    random.seed(2)
    expected = random.getstate()
    assert trial.load_checkpoint(rng=False) == {"epoch": 1}
    assert random.getstate() == expected


def test_other_ranks_save_nothing(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "3")
    assert trial.save_checkpoint({"epoch": 1}) is None
    monkeypatch.delenv("RANK")
    assert trial.load_checkpoint() is None


def test_a_pickled_checkpoint_opens_without_outlast(trial: Trial) -> None:
    path = trial.save_checkpoint({"epoch": 1})
    assert path is not None
    with open(path, "rb") as file:
        assert pickle.load(file) == {"epoch": 1}


def test_by_hand_a_second_run_starts_from_the_beginning_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OUTLAST_TRIAL_DIR", "OUTLAST_CHECKPOINT_DIR", "OUTLAST_RESUME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    first = Trial()
    first.save_checkpoint({"epoch": 19})
    assert first.load_checkpoint() == {"epoch": 19}
    assert (tmp_path / "checkpoints" / "checkpoint-000001.pkl").exists()
    assert Trial().load_checkpoint() is None
    monkeypatch.setenv("OUTLAST_RESUME", "1")
    assert Trial().load_checkpoint() == {"epoch": 19}


def test_the_newest_of_the_scripts_own_checkpoints_is_found(trial: Trial) -> None:
    folder = trial.checkpoint_dir
    for age, name in enumerate(["epoch=1.ckpt", "checkpoint-500", "epoch=2.ckpt", ".hidden", "half.tmp"]):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, ns=(age * 10**9, age * 10**9))
    assert trial.last_checkpoint == folder / "epoch=2.ckpt"


def test_a_missing_folder_has_no_newest_checkpoint(tmp_path: Path) -> None:
    assert client.newest_checkpoint(str(tmp_path / "nothing")) is None


def test_a_link_whose_target_is_gone_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt").symlink_to("removed.ckpt")
    (tmp_path / "epoch=3.ckpt").touch()
    assert client.newest_checkpoint(str(tmp_path)) == str(tmp_path / "epoch=3.ckpt")
