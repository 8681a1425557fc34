"""`export`: what the folder holds, that nothing secret or of this place is in it, and that it works elsewhere."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from tests.followup.models import SEARCH, best, came_to

from outlast._system.locks import FileLock
from outlast.cli.main import run_cli
from outlast.config.load import settings_from_resolved
from outlast.config.settings import EvaluateSettings
from outlast.core.states import TrialState
from outlast.engine.followup.child import lay_out, the_search
from outlast.engine.followup.evaluate import plan_evaluation
from outlast.engine.followup.export import export_model, place_of
from outlast.engine.followup.exported_code import copy_code, copy_model
from outlast.engine.followup.model_files import from_outside, is_pretrained, left_beside, model_in, parts_of
from outlast.errors import StudyBusy, UsageError

slow = pytest.mark.slow
SECRET = "correct-horse-battery"


@pytest.fixture
def here(refitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "here"
    shutil.copytree(refitted, place, symlinks=True)
    monkeypatch.chdir(place)
    return place


def export(place: str, **more) -> Path:
    study = json.loads(Path("study.yaml").read_text())["evaluate"]
    section = EvaluateSettings(command=tuple(study["command"]), metric=study["metric"])
    export_model(the_search(SEARCH), section, place=place, **more)
    return Path(place)


def test_the_folder_works_where_it_is_moved_to_when_all_else_is_gone(here: Path, tmp_path: Path) -> None:
    folder = export("model-out")
    assert {"model", "code", "config.yaml", "params.json", "metrics.json", "environment.json", "study.yaml", "run.sh",
            "README.md", "report.html"} <= set(os.listdir(folder))  # fmt: skip
    texts = [path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".pkl", ".pyc")]
    assert [str(path) for path in texts if str(here) in path.read_text(errors="replace")] == []
    moved = tmp_path / "far away"
    shutil.move(folder, moved)
    os.chdir(tmp_path)
    shutil.rmtree(here)
    scored = subprocess.check_output(["sh", str(moved / "run.sh"), "evaluate"], text=True)
    assert scored.startswith("test_score=0.")
    subprocess.run([str(moved / "run.sh")], check=True)
    assert (moved / "again/last.pkl").read_bytes() == (moved / "model/last.pkl").read_bytes()
    assert subprocess.run([str(moved / "run.sh"), "other"], capture_output=True, check=False).returncode == 2


def test_the_card_has_the_head_that_the_hub_reads(here: Path) -> None:
    card = (export("out") / "README.md").read_text()
    _, head, text = card.split("---\n", 2)
    assert yaml.safe_load(head)["tags"] == ["hyperparameter-search", "outlast"]
    assert "not known" in text and "trained once more for good" in text


def test_the_card_says_whose_test_it_was_and_no_noise_of_one_training(here: Path) -> None:
    shutil.copytree(Path(SEARCH, "refit/trials/0000/checkpoints"), Path(SEARCH, "trials/0002/checkpoints"))
    other = plan_evaluation(the_search(SEARCH), EvaluateSettings(command=("test", "${model}")), trial=2)
    lay_out(other.followup, other.wanted)
    came_to(other.followup.folder, TrialState.COMPLETE, 0, values=(0.5,))
    said = {"trial": best()[0], "mean": 0.9, "low": "-inf", "high": "inf", "std": 0.0, "n": 1}
    Path(SEARCH, "confirm").mkdir()
    Path(SEARCH, "confirm/confirmation.json").write_text(json.dumps({"final": True, "best": said, "ranking": [said]}))
    text = (export("out") / "README.md").read_text()
    assert "| test | not known | not of this model: the test set was looked at once with others |" in text
    assert "| fresh seeds | 0.9 | of one training |" in text


@slow
def test_scores_are_those_of_search_refit_and_test(here: Path) -> None:
    assert run_cli(["evaluate"]) == 0
    folder = export("out")
    facts = json.loads((folder / "metrics.json").read_text())
    assert facts["test"]["looked"] == 1 and facts["test"]["looks"][0]["of_this_model"]
    result = yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])["model-index"][0]["results"][0]
    assert {metric["type"] for metric in result["metrics"]} == {"test_score"}
    assert {"task", "dataset"} <= set(result)


def test_the_same_command_again_is_current_and_another_model_replaces_it(here: Path) -> None:
    folder = export("out")
    before = (folder / "export.json").stat().st_mtime_ns
    assert export_model(the_search(SEARCH), EvaluateSettings(command=("a",)), place="out").current is False
    export("out")
    assert (folder / "export.json").stat().st_mtime_ns != before
    now = (folder / "export.json").stat().st_mtime_ns
    export("out")
    assert (folder / "export.json").stat().st_mtime_ns == now
    assert sorted(each for each in os.listdir() if each.startswith(".out")) == []


def test_two_at_once_do_not_mix_and_what_lies_beside_the_model_is_told(here: Path) -> None:
    other = FileLock(".out.lock")
    assert other.acquire()
    with pytest.raises(StudyBusy):
        export("out")
    assert not Path("out").exists()
    other.close()
    model = Path(SEARCH, "refit/trials/0000/checkpoints")
    for name in ("vocabulary.txt", "last2.pkl"):
        shutil.copy(model / "last.pkl", model / name)
        os.utime(model / name, (1, 1))
    study = json.loads(Path("study.yaml").read_text())["evaluate"]
    done = export_model(the_search(SEARCH), EvaluateSettings(command=tuple(study["command"])), place="out")
    assert [line for line in done.told if "vocabulary.txt, beside" in line] and not list(Path().glob(".out*"))
    assert left_beside(model, model) == []


def test_links_that_lead_nowhere_keep_no_model_from_being_copied(tmp_path: Path) -> None:
    folder, inner = tmp_path / "model", tmp_path / "model/inner"
    inner.mkdir(parents=True)
    (folder / "weights").write_text("w")
    for place in (folder, inner):
        (place / "gone").symlink_to("/not/there")
        (place / "loop").symlink_to("." if place is folder else "..")
        (place / "same").symlink_to(folder / "weights")
        os.mkfifo(place / "pipe")
    assert from_outside([*folder.iterdir()], folder) == []
    (tmp_path / "else").write_text("e")
    (inner / "cached").symlink_to(tmp_path / "else")
    assert from_outside([*folder.iterdir()], folder) == ["cached"]
    (inner / "cached").unlink()
    copy_model([*folder.iterdir()], tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {"weights", "same", "inner/same"}
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


def test_a_copy_without_its_code_says_so(here: Path) -> None:
    for path in here.glob("*.py"):
        path.rename(f"not-{path.name}")
    done = export_model(the_search(SEARCH), EvaluateSettings(), place="out")
    assert any("code/ is empty" in line for line in done.told)


def test_what_is_no_export_is_not_replaced(here: Path) -> None:
    for place in ("mine", "mine.zip"):
        Path(place).mkdir()
        (Path(place) / "file").write_text("kept")
        with pytest.raises(UsageError, match="it is no export"):
            export(place)
        assert (Path(place) / "file").read_text() == "kept"


def test_one_that_was_cut_off_while_it_took_the_place_is_put_back(here: Path) -> None:
    folder = export("out")
    folder.rename(".out.old")
    Path(".out.new").mkdir()
    export("out")
    assert folder.is_dir() and not Path(".out.old").exists() and not Path(".out.new").exists()


@pytest.mark.parametrize("ending", ["tar.gz", "zip"])
def test_an_archive_is_the_folder_and_is_current_too(ending: str, here: Path) -> None:
    folder, packed = export("digits"), export(f"digits.{ending}")
    names = {str(path.relative_to(".")) for path in folder.rglob("*") if path.is_file()}
    if ending == "zip":
        with zipfile.ZipFile(packed) as archive:
            assert set(archive.namelist()) == names
            assert archive.getinfo("digits/run.sh").external_attr >> 16 & 0o100
    else:
        with tarfile.open(packed) as tar:
            assert set(tar.getnames()) == names
    stamp = packed.stat().st_mtime_ns
    export(f"digits.{ending}")
    assert packed.stat().st_mtime_ns == stamp


def test_where_it_goes(here: Path) -> None:
    search = the_search(SEARCH)
    assert place_of(search, None, False) == f"{SEARCH}/export"
    assert place_of(search, None, True) == f"{SEARCH}/export.tar.gz"
    assert (place_of(search, "a.zip", True), place_of(search, "b/", True)) == ("a.zip", "b.tar.gz")


@pytest.mark.parametrize("known", [True, False])
def test_no_secret_is_in_it(known: bool, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = json.loads(Path("study.yaml").read_text())
    monkeypatch.setenv("API_TOKEN", SECRET)
    Path("study.yaml").write_text(
        json.dumps({**study, "env": {"API_TOKEN": SECRET, "PLAIN": "a b"}, "budget": {"trials": 6}})
    )
    script = Path("train.py").read_text()
    Path("train.py").write_text(f"{script}print('the token is', os.environ['API_TOKEN'])\n")
    assert run_cli(["run", "study.yaml"]) == 0
    if not known:  # but for the study file
        monkeypatch.delenv("API_TOKEN")
    Path("train.sh").write_text(f"API_TOKEN={SECRET} python train.py\n")
    Path("train.sh").chmod(0o755)
    folder = export("out", trial=5)
    assert "is ***" in (folder / "report.html").read_text() and os.access(folder / "code/train.sh", os.X_OK)
    assert not any(SECRET in path.read_text(errors="replace") for path in folder.rglob("*") if path.is_file())
    script = (folder / "run.sh").read_text()
    assert "export PLAIN='a b'" in script and "${API_TOKEN:?" in script


def test_without_a_refit_it_is_the_searchs_own_and_says_so(here: Path) -> None:
    shutil.rmtree(Path(SEARCH, "refit"))
    done = export_model(the_search(SEARCH), EvaluateSettings(), place="out")
    assert any("not trained for good" in line for line in done.told)
    assert any("no checkpoint" in line for line in done.told)
    assert "evaluate" not in Path("out/run.sh").read_text()


def test_the_folder_of_a_pretrained_model_is_one_and_leaves_what_is_only_for_resuming(tmp_path: Path) -> None:
    for name in (
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "optimizer.pt",
        "training_args.bin",
        "rng_state.pth",
    ):
        (tmp_path / name).write_text("{}")
    (tmp_path / "checkpoint-5").mkdir()
    assert is_pretrained(tmp_path)
    assert model_in(tmp_path) == tmp_path
    assert [part.name for part in parts_of(tmp_path)] == ["config.json", "model.safetensors", "tokenizer.json"]
    (tmp_path / "model.safetensors").unlink()
    assert not is_pretrained(tmp_path)


@pytest.mark.foreign
def test_from_pretrained_reads_the_exported_folder(here: Path) -> None:
    torch = pytest.importorskip("torch")
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    shape = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 8,
        "vocab_size": 16,
    }
    model = BertModel(BertConfig(**shape))
    checkpoints = Path(SEARCH, "refit/trials/0000/checkpoints")
    model.save_pretrained(checkpoints)
    (checkpoints / "last.pkl").unlink()
    folder = export("out")
    assert yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])["library_name"] == "transformers"
    again = BertModel.from_pretrained(folder)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(
    ("command", "inside", "there"),
    [
        (("python", "train.py"), ".", {"train.py", "lib.py"}),
        (("python", "../other.py"), "app", {"app/train.py", "app/lib.py", "other.py", ".outlast-code.json"}),
    ],
)
def test_of_a_checkout_what_is_tracked_is_copied(
    command: tuple[str, ...], inside: str, there: set[str], tmp_path: Path
) -> None:
    (tmp_path / "app").mkdir()
    for name in ("app/train.py", "app/lib.py", "other.py", "app/notes.txt"):
        (tmp_path / name).write_text(name)
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "app/train.py", "app/lib.py", "other.py"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True)
    (tmp_path / "app/lib.py").write_text("changed since")
    study = {"name": "s", "command": [*command, "notes.txt"], "metric": "maximize a", "parameters": {"a": [1, 2]}}
    settings = settings_from_resolved({**study, "budget": {"trials": 1}}, str(tmp_path / "app"))
    found, told = copy_code(settings, settings.command or (), tmp_path / "out/code")
    files = {
        str(path.relative_to(tmp_path / "out/code")) for path in (tmp_path / "out/code").rglob("*") if path.is_file()
    }
    assert (found, files) == (inside, there)
    assert "notes.txt" in told[0]
    assert (tmp_path / "out/code" / inside / "lib.py").read_text() == "changed since"
