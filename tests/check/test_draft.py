"""A first study file from a real script: its parser says its types and defaults, which its help often does not."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path

import pytest

from outlast.config.yaml import parse
from outlast.engine.draft import draft_study
from outlast.errors import UsageError

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "train.py"

TYPER = """
    import enum, typer
    class Opt(str, enum.Enum):
        adam = "adam"
        sgd = "sgd"
    def main(lr: float = 0.01, layers: int = typer.Option(2, min=1, max=3), opt: Opt = Opt.adam, amp: bool = False): ...
    typer.run(main)
"""
CLICK = """
    import click
    @click.command()
    @click.option("--lr", default=0.01)
    @click.option("--layers", type=click.IntRange(1, 3), default=2)
    @click.option("--opt", type=click.Choice(["adam", "sgd"]), default="adam")
    @click.option("--amp/--no-amp", default=True)
    def main(**options): ...
    main()
"""
JSONARGPARSE = """
    from typing import Literal, Optional
    from jsonargparse import CLI
    def main(lr: float = 0.01, layers: Optional[int] = 2, opt: Literal["adam", "sgd"] = "adam", amp: bool = False): ...
    CLI(main)
"""


def parameters(folder: Path, script: str) -> dict[str, object]:
    (folder / "t.py").write_text(textwrap.dedent(script))
    return parse(draft_study([sys.executable, str(folder / "t.py")]), "f").data["parameters"]


def test_the_numbers_of_an_ordinary_argparse_script_are_found():
    data = parse(draft_study([sys.executable, str(DIGITS)]), "f").data
    assert list(data["parameters"]) == [
        *["model", "epochs", "lr", "l2", "shift", "hidden", "layers", "batch", "trees", "depth", "features", "kernel"],
        *["c", "gamma"],
    ]
    assert data["command"].endswith("${args} --checkpoint-dir ${checkpoint_dir}")
    assert data["trial"] == {"resume_args": ["--resume"]}


def test_a_typer_script_describes_itself(tmp_path):
    assert parameters(tmp_path, TYPER) == {"lr": "log(0.001, 0.1)", "layers": "int(1, 3)", "opt": ["adam", "sgd"]}


@pytest.mark.foreign
@pytest.mark.parametrize(("script", "layers"), [(CLICK, "int(1, 3)"), (JSONARGPARSE, "int(1, 4)")])
def test_so_do_scripts_of_other_parsers(tmp_path, script, layers):
    found = parameters(tmp_path, script)
    assert {key: found[key] for key in ("lr", "layers", "opt")} == {
        "lr": "log(0.001, 0.1)",
        "layers": layers,
        "opt": ["adam", "sgd"],
    }
    assert "amp" not in found


@pytest.mark.foreign
def test_a_hydra_application_is_drafted_from_what_it_composes(tmp_path):
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("lr: 0.001\nmodel: {depth: 3}\n")
    script = """
        import hydra
        @hydra.main(version_base=None, config_path="conf", config_name="config")
        def main(cfg): ...
        main()
    """
    assert parameters(tmp_path, script) == {"lr": "log(0.0001, 0.01)", "model.depth": "int(1, 6)"}


def test_a_script_whose_interpreter_knows_no_hooks_is_read_by_its_help(tmp_path):
    (tmp_path / "t.py").write_text(
        "import argparse\np = argparse.ArgumentParser(formatter_class=argparse.ArgumentDefaultsHelpFormatter)\n"
        "p.add_argument('--lr', type=float, default=0.01, help='rate')\np.parse_args()\n"
    )
    text = draft_study([sys.executable, "-I", str(tmp_path / "t.py")])
    assert parse(text, "f").data["parameters"] == {"lr": "log(0.001, 0.1)"}


def test_a_script_that_fails_at_its_help_is_one_clear_line(tmp_path):
    (tmp_path / "t.py").write_text("import not_there\n")
    with pytest.raises(UsageError, match="No module named 'not_there'"):
        draft_study([sys.executable, str(tmp_path / "t.py")])
    assert "OUTLAST_OPTIONS_FILE" not in os.environ
