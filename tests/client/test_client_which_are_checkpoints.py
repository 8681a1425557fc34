"""What counts as a checkpoint, among all that a training leaves in its checkpoint folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from outlast.client import Trial, checkpoints_in, newest_checkpoint


def lay_out(folder: Path, *names: str) -> None:
    """Files in this order of writing, a second apart."""
    for age, name in enumerate(names, 1):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
        os.utime(path, ns=(age * 10**9, age * 10**9))


def names_in(folder: Path, *patterns: str) -> set[str]:
    return {os.path.relpath(path, folder) for path in checkpoints_in(str(folder), patterns)}


def newest_in(folder: Path, *patterns: str) -> str | None:
    found = newest_checkpoint(str(folder), patterns)
    return None if found is None else os.path.relpath(found, folder)


@pytest.mark.parametrize(
    "name",
    [
        "events.out.tfevents.1700000000.host.42.0", "logs/train/events.out.tfevents.1.v2", "train.log", "train.log.1",
        "train.log.gz", "slurm-12.out", "results.csv", "metrics.jsonl", "config.yaml", "hparams.yaml", "config.json",
        "run_config.json", "args.json", "all_results.json", "trainer_state.json", "history.json", "args.txt", "log.txt",
        "training_args.bin", "tokenizer.json", "confusion.png", "plots/loss.svg", "report.html", "README.md", "train.py",
        "worker.pt.trace.json", "model.pt.tmp", "model.pt.tmp.1234", "tmpab12cd_x", "tmp-checkpoint-5/model.bin",
        "500.orbax-checkpoint-tmp-17/d/0", "model.pt.part", "state.json.new",
        ".model.pt", ".hydra/config.pkl", "train.lock", "model.pt~",
        "wandb/run-1/files/model.pt", "mlruns/0/artifacts/model.pkl", "__pycache__/train.cpython-311.pyc", "DONE",
        "epoch_3/plot.png", "core.4711", "plugins/profile/host.xplane.pb", "checkpoint-500/trainer_state.json",
    ],
)  # fmt: skip
def test_what_a_training_writes_beside_its_checkpoints_is_none(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path, name)
    assert newest_in(tmp_path) is None
    lay_out(tmp_path, "model.pt", name)
    assert newest_in(tmp_path) == "model.pt", "whatever is newer"


@pytest.mark.parametrize(
    ("files", "newest"),
    [
        (["state.json"], "state.json"),
        (["epoch"], "epoch"),
        (["s.json"], "s.json"),
        (["epoch.txt"], "epoch.txt"),
        (["run/results.csv", "run/weights/best.pt", "run/weights/last.pt", "run/args.yaml"], "run/weights/last.pt"),
        (["lightning_logs/version_0/checkpoints/epoch=3-step=40.ckpt", "lightning_logs/version_0/metrics.csv"],
         "lightning_logs/version_0/checkpoints/epoch=3-step=40.ckpt"),
        (["checkpoint-500/model.safetensors", "checkpoint-1000/model.safetensors", "runs/events.out.tfevents.1"],
         "checkpoint-1000"),
        (["out/config.json", "out/checkpoint-9/model.safetensors", "out/trainer_state.json"], "out/checkpoint-9"),
        (["epoch=3.ckpt/checkpoint/mp_rank_00_model_states.pt"], "epoch=3.ckpt"),
        (["global_step100/mp_rank_00_model_states.pt"], "global_step100"),
        (["step_5/.metadata", "step_5/__0_0.distcp"], "step_5"),
        (["state/.metadata", "state/__0_0.distcp", "state/__1_0.distcp"], "state"),
        (["0/_METADATA", "0/d/0", "3/default/manifest.ocdbt", "3/default/d/0"], "3"),
        (["last/optimizer.bin", "last/model.safetensors"], "last"),
        (["export/saved_model.pb", "export/variables/variables.index"], "export"),
        (["mine/config.json", "mine/model.safetensors"], "mine"),
        (["ckpt-5.index", "ckpt-5.data-00000-of-00001"], "ckpt-5.data-00000-of-00001"),
        (["params.npz"], "params.npz"),
        (["fold_1/model.pkl"], "fold_1/model.pkl"),
        (["checkpoint-000500.pt"], "checkpoint-000500.pt"),
    ],
)  # fmt: skip
def test_what_frameworks_leave_is_found_wherever_it_lies(tmp_path: Path, files: list[str], newest: str) -> None:
    lay_out(tmp_path, *files)
    assert newest_in(tmp_path) == newest


def test_a_checkpoint_that_is_written_again_under_its_name_is_another_one(tmp_path: Path) -> None:
    lay_out(tmp_path, "run/last.pt", "step_1/shard")
    before = checkpoints_in(str(tmp_path), ())
    (tmp_path / "run" / "last.pt").write_bytes(b"y")
    (tmp_path / "step_1" / "shard").write_bytes(b"y")
    assert set(checkpoints_in(str(tmp_path), ()).items()).isdisjoint(before.items())


def test_of_those_of_one_second_the_higher_number_is_the_newest(tmp_path: Path) -> None:
    for name in ("epoch=9.ckpt", "epoch=10.ckpt"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (7, 7))
    assert newest_in(tmp_path) == "epoch=10.ckpt"


def test_a_link_to_the_last_one_is_a_checkpoint_and_one_in_a_circle_ends_the_search(tmp_path: Path) -> None:
    lay_out(tmp_path, "run/epoch=3.ckpt")
    (tmp_path / "run" / "last.ckpt").symlink_to("epoch=3.ckpt")
    for name in ("again", "and_again"):
        (tmp_path / "run" / name).symlink_to(tmp_path)
    assert names_in(tmp_path, "*.ckpt") == {"run/epoch=3.ckpt", "run/last.ckpt"}
    assert names_in(tmp_path) == {"run/epoch=3.ckpt", "run/last.ckpt"}


def test_checkpoints_behind_a_linked_folder_count(tmp_path: Path) -> None:
    lay_out(tmp_path, "far/away/last.pt")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "run").symlink_to(tmp_path / "far" / "away")
    assert newest_in(tmp_path / "here") == "run/last.pt"


def test_a_pattern_says_what_a_checkpoint_is_and_nothing_else_is_one(tmp_path: Path) -> None:
    lay_out(tmp_path, "run/state.yaml", "run/a.yaml", "run/model.pt", "step_4/plot.png", "run/state.yaml.tmp")
    assert names_in(tmp_path, "state.yaml*") == {"run/state.yaml"}, "a name at any depth"
    assert names_in(tmp_path, "run/*.yaml", "step_*") == {"run/state.yaml", "run/a.yaml", "step_4"}
    assert names_in(tmp_path, "*.yaml", "nothing/*") == {"run/state.yaml", "run/a.yaml"}
    assert newest_in(tmp_path, "*.safetensors") is None


def test_a_script_finds_the_study_file_s_pattern_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_out(tmp_path, "a.yaml", "run/b.bin")
    for name, value in (("TRIAL_DIR", "."), ("CHECKPOINT_DIR", "."), ("CHECKPOINT_PATTERN", "*.none\n*.yaml")):
        monkeypatch.setenv(f"OUTLAST_{name}", value if value[0] == "*" else str(tmp_path))
    assert Trial().last_checkpoint == tmp_path / "a.yaml"
