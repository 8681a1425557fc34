"""Checkpoints that are plain dicts of tensors, where safetensors is loaded: real torch, real safetensors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from outlast import client
from outlast.client import Trial

pytestmark = pytest.mark.foreign


@pytest.fixture
def torch() -> Any:
    import safetensors.torch  # noqa: F401  loaded, as by every script that uses Transformers
    import torch

    return torch


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("OUTLAST_TRIAL_DIR", str(tmp_path))
    monkeypatch.setenv("OUTLAST_CHECKPOINT_DIR", str(tmp_path / "checkpoints"))
    for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "OUTLAST_RESUME"):
        monkeypatch.delenv(name, raising=False)
    return Trial()


def test_a_state_dict_is_a_file_that_every_reader_of_safetensors_takes(trial: Trial, torch: Any) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file

    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    path = trial.save_checkpoint(model.state_dict(), step=4)
    assert path is not None and path.name == "checkpoint-000001.safetensors"
    other = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    other.load_state_dict(trial.load_checkpoint())
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True))
    assert load_file(path).keys() == model.state_dict().keys()
    with safe_open(path, "pt") as file:
        assert '"step":4' in file.metadata()["outlast"]


def test_whatever_else_holds_tensors_is_written_by_torch(trial: Trial, torch: Any) -> None:
    shared = torch.zeros(3)
    for state in ({"w": shared, "same": shared}, {"w": shared, "epoch": 3}, {"model": {"w": shared}}, {0: shared}):
        path = trial.save_checkpoint(state)
        assert path is not None and path.suffix == ".pt"
        assert trial.load_checkpoint().keys() == state.keys()
    path = trial.save_checkpoint({"w": shared}, rng=True)
    assert path is not None and path.suffix == ".pt"


@pytest.mark.parametrize("harm", ["cut", "emptied", *range(0, 400, 23)])
def test_a_damaged_one_is_passed_over_for_the_one_before(
    trial: Trial, torch: Any, harm: str | int, capsys: pytest.CaptureFixture[str]
) -> None:
    trial.save_checkpoint({"w": torch.tensor([1.0])})
    newest = trial.save_checkpoint({"w": torch.arange(20.0)})
    assert newest is not None
    content = bytearray(newest.read_bytes())
    if isinstance(harm, int):
        content[harm % len(content)] ^= 0x41
    else:
        del content[{"cut": -5, "emptied": 0}[harm] :]
    newest.write_bytes(content)
    assert trial.load_checkpoint()["w"].tolist() == [1.0]
    assert "checkpoint-000002.safetensors is not used" in capsys.readouterr().err
    if not isinstance(harm, int):
        assert client.newest_checkpoint(str(trial.checkpoint_dir)) == str(
            newest.with_name("checkpoint-000001.safetensors")
        )
    trial.save_checkpoint({"w": torch.tensor([3.0])})
    assert trial.load_checkpoint()["w"].tolist() == [3.0]
    assert all(name.startswith("checkpoint-") for name in os.listdir(trial.checkpoint_dir)), "nothing half is left"


def test_two_are_kept_whatever_their_formats(trial: Trial, torch: Any) -> None:
    for state in ({"w": torch.zeros(1)}, {"epoch": 1}, {"w": torch.zeros(2)}, {"epoch": 2, "w": torch.zeros(1)}):
        trial.save_checkpoint(state)
    assert sorted(os.listdir(trial.checkpoint_dir)) == ["checkpoint-000003.safetensors", "checkpoint-000004.pt"]
