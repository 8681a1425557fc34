"""Every block of code in the pages works: study files are read, command lines parsed, and what is cheap is run.

A block says what it is: ``yaml`` (a study file, or some keys of one; ``---`` between alternatives), ``console`` (lines behind
``$``, and what they print), ``python``, ``bash``, or ``text``, which is output or a drawing and is listed here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import click
import pytest
from msgspec.structs import replace

from outlast.cli.app import app
from outlast.cli.invocation import Invocation
from outlast.cli.main import run_cli
from outlast.cli.render.phrases import hours_text
from outlast.config.campaign_file import CampaignFile, load_search
from outlast.config.load import load_study_file
from outlast.config.settings import MetricSettings, Settings
from outlast.config.slurm_section import read_site
from outlast.core.fold import Study
from outlast.core.hours import Hours
from outlast.core.records import JobSubmitted
from outlast.engine.cluster.submit import Submitted, tell
from outlast.errors import StudyFileError
from outlast.monitor.snapshot import LiveFacts, snapshot
from outlast.runner.capture.objective import Objective
from outlast.runner.capture.session import CaptureSession
from outlast.testing.studies import StudyBuilder

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md", "CONTRIBUTING.md", "benchmarks/README.md", "examples/digits/README.md",
    "examples/handwriting/README.md", "examples/clinical_text/README.md", "examples/resume_ner/README.md",
    *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
]  # fmt: skip
#: Output and drawings. Those of cli.md are made from the commands' help, and compared with it elsewhere.
TEXT = {
    "docs/architecture.md": 4,
    "docs/azure.md": 1,
    "docs/executors.md": 1,
    "docs/gpus.md": 2,
    "docs/pruning.md": 1,
    "docs/serve.md": 1,
    "docs/unattended.md": 1,
    "docs/watching.md": 2,
}
#: Scripts that need a framework, or each other, by the tests that run them with it.
RUN_ELSEWHERE = {
    "docs/azure.md": ("tests/tracking_mlflow/test_mlflow_setup.py", 2),
    "docs/callbacks.md": ("tests/callbacks/test_callbacks_disturbed.py", 5),
    "docs/executors.md": ("tests/executors/test_executors_page.py", 2),
    "docs/notebook.md": ("tests/api/test_notebook_page.py", 5),
    "examples/resume_ner/README.md": ("tests/examples/test_resume_ner.py", 1),
    "docs/mlflow.md": ("tests/tracking_mlflow/test_page.py", 1),
    "docs/tracking.md": ("tests/sending/test_tracking_page.py", 2),
}
COMMANDS = app.commands
WHOLE = {
    "name": "digits", "command": "python train.py ${args}", "metric": "{name: val_accuracy, goal: maximize}",
    "parameters": "{lr: {min: 1e-5, max: 1e-1}, batch_size: {values: [16, 32]}, seq_len: {values: [64, 128]}}",
    "budget": "{trials: 10}",
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """One block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: str, text: str) -> Iterator[Block]:
    for match in re.finditer(r"^```(.*)\n((?:.*\n)*?)^```$", text, re.MULTILINE):
        yield Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])


BLOCKS = [block for page in PAGES for block in blocks_of(page, (ROOT / page).read_text())]


def of(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language]


def each(blocks: list[Block]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", blocks, ids=str)


def test_every_block_says_what_it_is_and_few_are_not_tried() -> None:
    assert {block.language for block in BLOCKS} <= {"yaml", "console", "python", "bash", "text"}
    drawn = Counter(block.page for block in of("text") if block.page != "docs/cli.md")
    assert drawn == TEXT
    assert len(BLOCKS) > 50


# study files


def study_files(block: Block) -> list[str]:
    """Each alternative as a whole file: the keys that it lacks are added."""
    return [completed(text) for text in re.split(r"^---\n", block.text, flags=re.MULTILINE)]


def completed(text: str) -> str:
    keys = set(re.findall(r"^(\w+):", text, re.MULTILINE))
    if "program" in keys:  # a W&B sweep
        return text
    if "search_space" in keys:  # has its own words for these
        keys |= {"metric", "parameters", "budget"}
    return text + "".join(
        f"{key}: {value}\n" for key, value in WHOLE.items() if key not in keys and not (key == "command" and "function" in keys)
    )  # fmt: skip


def read(text: str, place: Path) -> None:
    (place / "train.py").touch()
    (place / "ids.csv").write_text("id,label,patient\n" + "".join(f"{n},{n % 2},{n // 2}\n" for n in range(20)))
    (place / "study.yaml").write_text(text)
    load_study_file(place / "study.yaml")


@each(of("yaml"))
def test_every_study_file_is_read(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "apptainer").touch(0o755)  # a command names it, and its being there is checked
    monkeypatch.setenv("PATH", f"{tmp_path}:{Path(sys.executable).parent}")
    if "~/.config/outlast.yaml" in before(block):
        (tmp_path / "outlast.yaml").write_text(block.text)
        assert read_site(str(tmp_path / "outlast.yaml"))
        return
    if re.search(r"^studies:", block.text, re.MULTILINE):
        monkeypatch.chdir(tmp_path)
        assert [each.error for each in campaign(block.text, tmp_path).studies if each.error is not None] == []
        return
    for text in study_files(block):
        read(text, tmp_path)


def campaign(text: str, place: Path) -> CampaignFile:
    """What a campaign file says, where the study files that it names are there."""
    (place / "train.py").touch()
    for name in ("base", "criteria", "evidence"):
        (place / f"{name}.yaml").write_text(completed(f"name: {name}\n"))
    (place / "campaign.yaml").write_text(text)
    found = load_search("campaign.yaml")
    assert isinstance(found, CampaignFile)
    return found


def before(block: Block) -> str:
    """The two lines above a block."""
    return "".join((ROOT / block.page).read_text().splitlines()[block.line - 3 : block.line - 1])


# command lines


def command_lines(block: Block) -> list[list[str]]:
    """The words of each line behind a ``$``."""
    return [shlex.split(line[2:], comments=True) for line in block.text.splitlines() if line.startswith("$ ")]


def parse(words: list[str]) -> None:
    """A command line that the real parser, make or the shell's path would take."""
    program, *rest = words
    if program == "outlast":
        typed = Invocation(rest).before
        if typed[:1] and typed[0] in COMMANDS:
            names = app.context_settings["help_option_names"]  # click keeps what it is asked with first
            COMMANDS[typed[0]].make_context(typed[0], typed[1:], help_option_names=names)
        else:
            assert typed in ([], ["--version"], ["--install-completion"], ["--show-completion"]), typed
    elif program == "make":
        targets = [word for word in rest if "=" not in word]
        variables = [word.split("=")[0] for word in rest if "=" in word]
        rules = (ROOT / "Makefile").read_text()
        assert all(re.search(rf"^{target}:", rules, re.MULTILINE) for target in targets)
        assert all(re.search(rf"^{variable} \?=", rules, re.MULTILINE) for variable in variables)
    elif program == "python" and rest[0] == "-m":
        assert (ROOT / "src" / Path(*rest[1].split("."))).with_suffix(".py").exists()
    elif program == "python" and rest[0] == "-c":
        compile(rest[1], "-c", "exec")
    elif program == "python":
        assert (ROOT / rest[0]).exists() or (ROOT / "examples" / "digits" / rest[0]).exists()
    elif program == "sh":
        assert rest[0].endswith("/run.sh")  # of an exported model
    elif program == "cd":
        assert (ROOT / rest[0]).is_dir()
    else:
        assert program == "pip" or (ROOT / program).exists(), program


@each(of("console"))
def test_every_command_line_is_one(block: Block) -> None:
    lines = command_lines(block)
    assert lines
    for words in lines:
        parse(words)


SPANS = [
    (page, " ".join(span.split()))
    for page in PAGES
    for span in re.findall(r"`((?:outlast|make|python) [^`]*)`", (ROOT / page).read_text())
]


def test_every_command_in_a_sentence_is_one() -> None:
    assert len(SPANS) > 40
    for page, span in SPANS:
        try:
            parse(shlex.split(re.sub(r"\bTRIAL\b", "7", span).replace("…", "x")))
        except (click.ClickException, AssertionError) as error:
            raise AssertionError(f"{page}: {span}: {error}") from error


@each([block for block in of("text") if block.page == "docs/cli.md"])
def test_every_example_of_a_command_is_one(block: Block) -> None:
    for line in re.findall(r"^  (outlast .*)$", block.text, re.MULTILINE):
        parse(shlex.split(line.partition(" > ")[0]))


def test_the_readme_lists_the_commands_that_the_help_lists() -> None:
    listed = {name for line in re.findall(r"^\| (`.*?) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
              for name in re.findall(r"`([a-z]+)`", line)}  # fmt: skip
    assert {name for name, command in COMMANDS.items() if not command.hidden} <= listed


TRAINING = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
known, _ = parser.parse_known_args()
print(f"val_accuracy={1 - known.lr} val_acc={1 - known.lr}")
"""


@pytest.mark.slow
def test_what_the_readme_says_to_type_works_in_this_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    page = [block for block in BLOCKS if block.page == "README.md"]
    (file,) = (block.text for block in page if block.language == "yaml")
    assert "trials: 40" in file
    Path("study.yaml").write_text(file.replace("trials: 40", "trials: 2"))
    Path("train.py").write_text(TRAINING)
    typed = [words[1:] for block in page if block.language == "console" for words in command_lines(block)]
    typed = [words for words in typed if words[0] in COMMANDS]
    assert [words[0] for words in typed] == ["check", "run", "status", "run", "submit"]
    for words in typed:
        words = [word if word != "20" else "2" for word in words] + (["--dry-run"] if words[0] == "submit" else [])
        assert run_cli(words) == 0, (words, capsys.readouterr())
    assert Path("studies/digits/best_config.yaml").exists()


@pytest.mark.slow
@each([block for block in of("console") if block.page == "examples/digits/README.md" and "epoch 1" in block.text])
def test_the_digits_example_prints_what_its_page_says(block: Block) -> None:
    (words,) = (words for words in command_lines(block) if "0.003" in words)
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    folder = ROOT / "examples" / "digits"
    done = subprocess.run([sys.executable, *words[1:]], cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] in block.text


# scripts


@each(of("python"))
def test_every_python_block_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = compile(block.text, str(block), "exec")
    if block.page in RUN_ELSEWHERE:
        module, count = RUN_ELSEWHERE[block.page]
        assert block.page.rpartition("/")[2] in (ROOT / module).read_text()
        assert count == sum(other.page == block.page for other in of("python"))
        return
    monkeypatch.chdir(tmp_path)
    script = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", script)  # what it defines is found there, as in a script
    exec(code, vars(script))


@each(of("bash"))
def test_every_bash_block_is_bash(block: Block) -> None:
    """`tests/client/test_protocol_page.py` runs it."""
    assert subprocess.run(["bash", "-n", "-c", block.text], check=False).returncode == 0


# output


def shown(page: str, words: str) -> str:
    (text,) = (block.text for block in of("text") if block.page == page and words in block.text)
    return text.rstrip("\n")


def test_the_lines_that_are_said_to_be_read_give_a_curve(tmp_path: Path) -> None:
    for line, metric in zip(
        shown("docs/pruning.md", "val_accuracy").splitlines(),
        ("val_accuracy", "eval_loss", "val_accuracy"),
        strict=True,
    ):
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        place.mkdir()
        session = CaptureSession(
            [Objective(metric)], trial=0, trial_dir=place, attempt_dir=place, working_directory=place
        )
        session.feed(line.encode() + b"\n")
        session.finish()
        (point,) = map(json.loads, (place / "reports.jsonl").read_text().splitlines())
        assert metric in point["metrics"] and point["step"] in (2, 3), line


def test_the_hours_are_told_as_the_page_shows_them() -> None:
    label, told = re.split(r"\s{2,}", shown("docs/gpus.md", "GPU hours"), maxsplit=1)
    assert label == "GPU hours"
    builder = StudyBuilder()
    settings = Settings(name="digits", metrics=(MetricSettings(name="val_accuracy", goal="maximize"),))
    now = snapshot(builder.study, settings, now=builder.moment(9), live=LiveFacts())
    figures = Hours(True, used=14, complete=10, pruned=1.5, wasted=2, open=0.5, saved=8)
    assert hours_text(replace(now, hours=figures)) == told


def test_what_commands_are_shown_to_print_is_few_and_is_what_they_print() -> None:
    printed: dict[str, list[str]] = {}
    for block in of("console"):
        printed.setdefault(block.page, []).extend(line for line in block.text.splitlines() if not line.startswith("$"))
    assert {page for page, lines in printed.items() if lines} == {"docs/slurm.md", "examples/digits/README.md"}
    jobs = (JobSubmitted("4711", "", "array", 50), JobSubmitted("4712", "", "finisher"))
    assert printed["docs/slurm.md"] == tell(Submitted(None, Study(), jobs), "studies/digits")


def test_what_is_said_of_a_card_that_others_use_is_what_a_test_has_seen() -> None:
    said = re.sub(r"pid \d+", "pid {STRANGER}", shown("docs/gpus.md", "used by others"))
    assert f'"{said}"' in (ROOT / "tests/gpus/test_gpu_pool.py").read_text()


# that a wrong block is noticed


@pytest.mark.parametrize("text", ["pruner: ashaa\n", "budgets: {trials: 3}\n", "pruner: asha\npruner: none\n"])
def test_a_wrong_study_file_is_noticed(text: str, tmp_path: Path) -> None:
    with pytest.raises(StudyFileError):
        read(completed(text), tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "outlast runs x",
        "outlast run --trails 3",
        "outlast show --config=7",
        "make tests",
        "python nowhere.py",
        "cd docz",
    ],
)
def test_a_wrong_command_line_is_noticed(line: str) -> None:
    with pytest.raises((click.ClickException, AssertionError)):
        parse(shlex.split(line))
