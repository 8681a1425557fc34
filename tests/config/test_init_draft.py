"""A first study file from a script's --help."""

from __future__ import annotations

import argparse

import pytest

from outlast.config.init import draft_from_help, parse_options
from outlast.config.load import load_study_file
from outlast.errors import StudyFileError

CLICK = """\
Usage: train [OPTIONS]

  Train a model.

Options:
  --lr FLOAT                  Learning rate.  [default: 0.01]
  --layers INTEGER RANGE      Number of layers.  [default: 2; 1<=x<=8]
  --opt [adam|sgd]            Optimiser.  [default: adam]
  --amp / --no-amp            Mixed precision.
  --data-dir PATH             Where the data is.  [default: data]
  --help                      Show this message and exit.
"""


def argparse_help() -> str:
    parser = argparse.ArgumentParser(prog="train.py", formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    parser.add_argument(
        "-b", "--batch-size", type=int, default=32, help="samples a step, " + "explained at length " * 6
    )
    parser.add_argument("--model", choices=["mlp", "cnn"], default="mlp", help="which one")
    parser.add_argument("--dropout", type=float, default=0.1, help="share")
    parser.add_argument("--layers", type=int, default=3, help="how many")
    parser.add_argument("--epochs", type=int, default=20, help="how long")
    parser.add_argument("--seed", type=int, default=0, help="of randomness")
    parser.add_argument("--out", default="./out", help="folder")
    parser.add_argument("--nesterov", action="store_true", help="with momentum")
    parser.add_argument("--nodefault", type=float, help="no default")
    return parser.format_help()


def filled(draft: str, folder) -> str:
    (folder / "draft.yaml").write_text(draft.replace("  name:            #", "  name: val_accuracy  #"))
    return str(folder / "draft.yaml")


def test_options_of_argparse_become_ranges_values_and_constants(tmp_path):
    (tmp_path / "train.py").write_text("")
    settings = load_study_file(filled(draft_from_help(argparse_help(), ["python", "train.py"]), tmp_path))
    assert settings.name == "train" and settings.command == ("python", "train.py", "${args}")
    assert {p.name: p.distribution for p in settings.space.sampled} == {
        "lr": "log_uniform_values",
        "batch-size": "categorical",
        "model": "categorical",
        "dropout": "uniform",
        "layers": "int_uniform",
    }
    assert settings.space.constants == {"epochs": 20}


def test_every_range_holds_the_default(tmp_path):
    (tmp_path / "train.py").write_text("")
    settings = load_study_file(filled(draft_from_help(argparse_help(), ["python", "train.py"]), tmp_path))
    assert settings.space.fits({"lr": 1e-3, "batch-size": 32, "model": "mlp", "dropout": 0.1, "layers": 3}) is None


def test_options_of_click_are_read_too(tmp_path):
    settings = load_study_file(filled(draft_from_help(CLICK, ["ls"]), tmp_path))
    assert [p.name for p in settings.space.sampled] == ["lr", "layers", "opt"]


def test_what_is_left_out_is_said():
    assert "# Not searched: --seed, --out, --nesterov, --nodefault" in draft_from_help(
        argparse_help(), ["python", "train.py"]
    )


def test_a_draft_without_a_metric_is_not_accepted(tmp_path):
    (tmp_path / "draft.yaml").write_text(draft_from_help(CLICK, ["ls"]))
    with pytest.raises(StudyFileError, match="must be text"):
        load_study_file(tmp_path / "draft.yaml")


@pytest.mark.parametrize("text", ["", "usage: x\n", "Traceback: boom\n  --", "{}[]:", "  --é  x\n"])
def test_any_text_makes_a_valid_draft(tmp_path, text):
    assert load_study_file(filled(draft_from_help(text, ["ls"]), tmp_path)).name == "ls"


def test_options_are_listed_once_with_their_defaults():
    options = parse_options(argparse_help())
    assert [(o.name, o.default) for o in options][:3] == [("lr", 0.001), ("batch-size", 32), ("model", "mlp")]
    assert options[2].choices == ("mlp", "cnn")


def test_choices_are_drafted_as_the_words_that_the_script_compares(tmp_path):
    words = {
        "aug": ["true", "false"],
        "decay": ["1e-3", "1e-2", "0.10"],
        "warmup": ["null", "~", "yes"],
        "mode": ["0x10", "010"],
    }
    parser = argparse.ArgumentParser(prog="train.py")
    for name, choices in words.items():
        parser.add_argument(f"--{name}", choices=choices)
    parser.add_argument("--heads", type=int, choices=[2, 4])
    settings = load_study_file(filled(draft_from_help(parser.format_help(), ["ls"]), tmp_path))
    assert {p.name: list(p.choices or ()) for p in settings.parameters} == {**words, "heads": [2, 4]}
