"""When torch writes a checkpoint: only if it is loaded already and there is a tensor. With a stand-in for torch."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from outlast.client import Trial


class Tensor:
    """Something that only ``torch.save`` may write."""

    def __init__(self, value: float) -> None:
        self.value = value


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module: Any = ModuleType("torch")
    module.locations = []
    module.is_tensor = lambda obj: isinstance(obj, Tensor)
    module.nn = SimpleNamespace(Module=type("Module", (), {}))
    module.cuda = SimpleNamespace(is_available=lambda: False, device_count=lambda: 0)
    module.get_rng_state = lambda: SimpleNamespace(cpu=lambda: "state")
    module.restored = []
    module.set_rng_state = module.restored.append

    def save(obj: Any, file: Any) -> None:
        file.write(b"TORCH" + pickle.dumps({"epoch": obj["epoch"], "w": obj["w"].value}))

    def load(path: str, *, map_location: Any, weights_only: bool) -> Any:
        module.locations.append(map_location)
        content = Path(path).read_bytes()
        assert content.startswith(b"TORCH")
        return pickle.loads(content[5:])

    module.save, module.load = save, load
    monkeypatch.setitem(sys.modules, "torch", module)
    return module


@pytest.fixture
def trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trial:
    monkeypatch.setenv("OUTLAST_TRIAL_DIR", str(tmp_path))
    monkeypatch.setenv("OUTLAST_CHECKPOINT_DIR", str(tmp_path / "checkpoints"))
    return Trial()


def test_tensors_are_saved_by_torch(trial: Trial, torch: Any) -> None:
    path = trial.save_checkpoint({"epoch": 1, "w": Tensor(0.5)})
    assert path is not None and path.suffix == ".pt"
    assert trial.load_checkpoint() == {"epoch": 1, "w": 0.5}


def test_where_no_gpu_is_left_they_are_loaded_to_the_cpu(trial: Trial, torch: Any) -> None:
    trial.save_checkpoint({"epoch": 1, "w": Tensor(0.5)})
    trial.load_checkpoint()
    trial.load_checkpoint(map_location="cuda:1")
    assert torch.locations == ["cpu", "cuda:1"]


def test_without_tensors_it_is_a_pickle(trial: Trial, torch: Any) -> None:
    path = trial.save_checkpoint({"epoch": 1})
    assert path is not None and path.suffix == ".pkl"


def test_tensors_deep_inside_are_found(trial: Trial, torch: Any) -> None:
    path = trial.save_checkpoint({"epoch": 1, "w": Tensor(0.5), "optimizer": {"state": {0: [{"a": (Tensor(1),)}]}}})
    assert path is not None and path.suffix == ".pt"


def test_a_checkpoint_of_the_other_kind_is_older_or_newer_by_its_number(trial: Trial, torch: Any) -> None:
    trial.save_checkpoint({"epoch": 1, "w": Tensor(0.5)})
    trial.save_checkpoint({"epoch": 2})
    assert trial.load_checkpoint() == {"epoch": 2}
