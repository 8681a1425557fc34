"""Every command explains itself, with an example that works; the reference page is made from that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from outlast.cli.app import app
from outlast.cli.help import examples_of, sentences_of
from outlast.cli.reference import page

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
COMMANDS = typer.main.get_command(app).commands
PROMISED = {"init", "check", "run", "status", "logs", "stop", "show", "retry", "import", "repair", "worker"}


def test_the_promised_commands_are_there():
    assert set(COMMANDS) >= PROMISED


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_an_example(name, here):
    help_text = COMMANDS[name].help or ""
    assert len(sentences_of(help_text)) > 20
    assert any(line.startswith(f"outlast {name}") for line in examples_of(help_text))
    said = here(name, "--help")
    assert said.code == 0
    assert all(f"  {line}\n" in said.out for line in examples_of(help_text)), said.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name):
    for param in COMMANDS[name].params:
        assert param.help, f"outlast {name}: {param.name}"


@pytest.mark.parametrize("name", [None, *COMMANDS])
def test_help_fits_sixty_columns_but_for_the_examples(name, here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    said = here(*([name] if name else []), "--help")
    long = [line for line in said.out.splitlines() if len(line) > 60 and not line.startswith("  outlast ")]
    assert long == []


def test_outlast_alone_shows_the_commands(here):
    said = here()
    assert said.code == 0
    assert said.out == here("--help").out
    assert "outlast init -- python train.py" in said.out
    assert "worker" not in said.out


def test_the_version(here):
    assert here("--version").out.startswith("outlast ")


def test_the_reference_page_is_current():
    assert PAGE.read_text() == page(), "python -m outlast.cli.reference > docs/cli.md"


def test_the_reference_page_does_not_depend_on_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    assert page() == PAGE.read_text()


def complete(*words: str) -> list[str]:
    """What bash is told for the last word."""
    line = " ".join(("outlast", *words))
    env = {**os.environ, "_OUTLAST_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
    done = subprocess.run(
        [sys.executable, "-m", "outlast"], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.slow
def test_the_shell_completes_commands_options_and_studies(here):
    here("run")
    assert complete("sta") == ["status"]
    assert complete("run", "--acc") == ["--accept-changes"]
    assert complete("status", "sm") == ["small"]
    assert complete("status", "stu") == ["studies/small"]


def test_the_lines_for_the_shell_can_be_printed(here, monkeypatch):
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))
    said = here("--show-completion")
    assert said.code == 0
    assert "_OUTLAST_COMPLETE" in said.out
