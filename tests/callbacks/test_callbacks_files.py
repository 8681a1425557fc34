"""Which checkpoints are whole, and which of them a training goes on from."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from outlast.callbacks._common import is_whole, numbers, resume_candidates

FILES = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def archive(content: bytes) -> bytes:
    """What ``torch.save`` writes: an archive that stores, and does not compress."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("archive/data.pkl", content)
    return buffer.getvalue()


def safetensors(content: bytes) -> bytes:
    tensors = {"w": {"dtype": "U8", "shape": [len(content)], "data_offsets": [0, len(content)]}}
    header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
    return struct.pack("<Q", len(header)) + header + content


@FILES
@given(
    content=st.binary(max_size=200), cut=st.floats(0, 1, exclude_max=True), kind=st.sampled_from(["pt", "safetensors"])
)
def test_a_file_that_is_cut_off_anywhere_is_not_whole(tmp_path: Path, content: bytes, cut: float, kind: str) -> None:
    data = archive(content) if kind == "pt" else safetensors(content)
    path = tmp_path / f"model.{kind}"
    path.write_bytes(data)
    assert is_whole(str(path))
    path.write_bytes(data[: int(cut * len(data))])
    assert not is_whole(str(path))


@pytest.mark.parametrize("text", ["", '{"global_step": 1', '{"a": }', "\x00\x00"])
def test_json_that_does_not_end_is_not_whole(tmp_path: Path, text: str) -> None:
    (tmp_path / "trainer_state.json").write_text(text)
    assert not is_whole(str(tmp_path / "trainer_state.json"))


def test_an_index_needs_all_its_parts(tmp_path: Path) -> None:
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}))
    (tmp_path / "model-1.safetensors").write_bytes(safetensors(b"1"))
    assert not is_whole(str(index))
    (tmp_path / "model-2.safetensors").write_bytes(safetensors(b"2"))
    assert is_whole(str(tmp_path))


def test_one_file_that_is_cut_off_spoils_its_folder(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "optimizer.pt").write_bytes(archive(b"state"))
    (tmp_path / "merges.txt").write_text("")
    assert is_whole(str(tmp_path))
    (tmp_path / "inner" / "optimizer.pt").write_bytes(archive(b"state")[:-1])
    assert not is_whole(str(tmp_path))


def test_candidates_are_the_newest_first_without_dead_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTLAST_TRIAL_DIR", str(tmp_path))
    monkeypatch.setenv("OUTLAST_CHECKPOINT_DIR", str(tmp_path))
    for age, name in enumerate(["new", "old", "oldest"]):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    (tmp_path / "last").symlink_to("gone")
    assert [Path(path).name for path in resume_candidates()] == ["new", "old", "oldest"]


def test_by_hand_there_is_nothing_to_go_on_from_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("OUTLAST_TRIAL_DIR", "OUTLAST_RESUME", "OUTLAST_ATTEMPT", "OUTLAST_CHECKPOINT_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "checkpoint-5").touch()
    assert resume_candidates() == []
    monkeypatch.setenv("OUTLAST_RESUME", "1")
    monkeypatch.setenv("OUTLAST_ATTEMPT", "2")  # another trial than the one before, for this process
    assert [os.path.basename(path) for path in resume_candidates()] == ["checkpoint-5"]


def test_of_the_metrics_only_single_numbers_are_reported() -> None:
    class Several:
        def item(self) -> float:
            raise ValueError

    metrics = {"loss": 1, "name": "x", "none": None, "curve": [1.0], "many": Several(), "accuracy": 0.5}
    assert numbers(metrics) == {"loss": 1.0, "accuracy": 0.5}
