"""Every command explains itself, with an example that works; the reference page is made from that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from outlast.cli.app import app
from outlast.cli.help import examples_of, sentences_of
from outlast.cli.reference import page

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
COMMANDS = app.commands
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


@pytest.fixture
def bash(here, monkeypatch, tmp_path_factory):
    """A person's bash, with a home folder of its own."""
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("bash", "/bin/bash"))


def complete(lines: str, *words: str) -> list[str]:
    """What bash, taught by these lines, offers for the last word."""
    typed = f"COMP_WORDS=(outlast {' '.join(words)}); COMP_CWORD={len(words)}"
    taught = f'PATH="{Path(sys.executable).parent}:$PATH"\n{lines}\ncompopt() {{ echo "by $2"; }}'
    asked = f'{typed}; _outlast_completion outlast; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", f"{taught}\n{asked}"], capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.slow
@pytest.mark.usefixtures("bash")
def test_the_shell_completes_commands_options_studies_and_files(here):
    here("run")
    lines = here("--show-completion").out
    assert complete(lines, "sta") == ["status"]
    assert complete(lines, "run", "--acc") == ["--accept-changes"]
    assert complete(lines, "status", "sm") == ["small"]
    assert complete(lines, "status", "stu") == ["studies/small"]
    assert complete(lines, "run", "nothing") == ["by", "default"]  # its own way: files


@pytest.mark.usefixtures("bash")
def test_completion_is_installed_once(here):
    for _ in range(2):
        said = here("--install-completion")
        assert (said.code, "bash completion installed" in said.out) == (0, True)
    home = Path.home()
    assert (home / ".bashrc").read_text().splitlines() == [f"source '{home}/.bash_completions/outlast.sh'"]
    assert (home / ".bash_completions/outlast.sh").read_text().strip() == here("--show-completion").out.strip()


@pytest.mark.usefixtures("bash")
def test_completion_leaves_what_a_person_wrote(here):
    written = Path.home() / ".bashrc"
    written.write_bytes(b"\n\n# caf\xe9\nalias l=ls\n\n")
    assert here("--install-completion").code == 0
    line = f"source '{Path.home()}/.bash_completions/outlast.sh'".encode()
    assert written.read_bytes() == b"\n\n# caf\xe9\nalias l=ls\n\n\n" + line + b"\n"


def test_completion_of_an_earlier_version_says_how_to_renew_it(here, monkeypatch):
    monkeypatch.setenv("_OUTLAST_COMPLETE", "complete_bash")
    with pytest.raises(SystemExit, match="outlast --install-completion"):
        here()


@pytest.mark.parametrize(
    ("shell", "file"), [("zsh", ".zfunc/_outlast"), ("fish", ".config/fish/completions/outlast.fish")]
)
@pytest.mark.usefixtures("bash")
def test_other_shells_find_their_lines_where_they_look(shell, file, here, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: (shell, f"/bin/{shell}"))
    assert here("--install-completion").code == 0
    assert "_OUTLAST_COMPLETE" in (Path.home() / file).read_text()


@pytest.mark.usefixtures("bash")
def test_a_shell_that_cannot_be_taught_is_named(here, monkeypatch):
    monkeypatch.setattr("shellingham.detect_shell", lambda: ("tcsh", "/bin/tcsh"))
    said = here("--install-completion")
    assert (said.code, "tcsh" in said.err, list(Path.home().iterdir())) == (2, True, [])
