"""A first study file from a script's --help."""

from __future__ import annotations

import argparse

import pytest

from outlast.config.init import draft
from outlast.config.load import load_study_file
from outlast.config.script_options import Option, hydra_options, parse_options
from outlast.config.yaml import parse
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
    settings = load_study_file(filled(draft(parse_options(argparse_help()), ["python", "train.py"]), tmp_path))
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
    settings = load_study_file(filled(draft(parse_options(argparse_help()), ["python", "train.py"]), tmp_path))
    assert settings.space.fits({"lr": 1e-3, "batch-size": 32, "model": "mlp", "dropout": 0.1, "layers": 3}) is None


def test_options_of_click_are_read_too(tmp_path):
    settings = load_study_file(filled(draft(parse_options(CLICK), ["ls"]), tmp_path))
    assert [p.name for p in settings.space.sampled] == ["lr", "layers", "opt"]


def test_what_is_left_out_stands_below_as_comments_with_its_default():
    text = draft(parse_options(argparse_help()), ["python", "train.py"])
    below = text.split("# Not searched.")[1].splitlines()[1:5]
    assert [line.strip().partition("    ")[0] for line in below] == [
        "# seed: 0",
        '# out: "./out"',
        "# nesterov: false",
        "# nodefault:",
    ]
    assert "${args_no_boolean_flags}" in below[2]


def drafted(*options: Option, command=("ls",)) -> dict[str, object]:
    """The parameters that are drafted for these options."""
    return parse(draft(options, command), "f").data["parameters"]


@pytest.mark.parametrize(
    "option, definition",
    [
        (Option("shift", default=0, kind="int"), "int(0, 3)"),
        (Option("layers", default=1, kind="int"), "int(1, 3)"),
        (Option("layers", default=2, kind="int", low=1, high=3), "int(1, 3)"),
        (Option("c", default=1, kind="float"), "log(0.1, 10)"),
        (Option("features", default=0.25, kind="float", help="fraction of the pixels"), "float(0.05, 0.5)"),
        (Option("dropout", default=0.1, kind="float"), "float(0, 0.5)"),
        (Option("dropout", kind="float"), "float(0.0, 0.5)"),
        (Option("optim.lr", kind="float"), "log(1e-5, 1e-1)"),
        (Option("temperature", default=2.0, kind="float", low=1.0), "log(1, 20)"),
        (Option("opt", ("adam", "sgd", "adam"), "adam"), ["adam", "sgd"]),
        (Option("max_iter", default=100, kind="int"), 100),
    ],
)
def test_a_range_is_drawn_around_the_default_within_what_the_script_takes(option, definition):
    assert drafted(option) == {option.name: definition}


@pytest.mark.parametrize(
    "option",
    [
        Option("betas", default=0.9, kind="float", many=True),
        Option("nesterov", default=False, takes_value=False),
        Option("eval_steps", default=500, kind="int"),
        Option("bias", default=True, kind="bool"),
        Option("momentum2", kind=""),
        Option("depth", kind="int"),
    ],
)
def test_what_no_range_can_be_drawn_for_is_a_comment(option):
    text = draft([option], ["ls"])
    assert not parse(text, "f").data["parameters"] and f"  # {option.name}:" in text


def test_what_the_command_sets_itself_is_not_searched():
    options = [Option("lr", default=0.1, kind="float"), Option("depth", default=3, kind="int")]
    assert list(drafted(*options, command=["python", "t.py", "--lr", "0.1"])) == ["depth"]
    assert list(drafted(*options, command=["python", "t.py", "--depth=4"])) == ["lr"]


def test_of_a_framework_s_hundred_numbers_those_with_known_names_are_searched():
    options = [Option(f"x{i}", default=1.5, kind="float") for i in range(30)]
    assert list(drafted(*options, Option("learning_rate", default=5e-5, kind="float"))) == ["learning_rate"]
    assert '  # x29: "log(0.15, 15)"' in draft([*options], ["ls"])


@pytest.mark.parametrize(
    "options, command, resume_args",
    [
        ([Option("resume", takes_value=False)], "ls ${args}", ["--resume"]),
        (
            [Option("resume", takes_value=False), Option("checkpoint-dir", kind="path")],
            "ls ${args} --checkpoint-dir ${checkpoint_dir}",
            ["--resume"],
        ),
        (
            [Option("resume_from_checkpoint"), Option("output_dir")],
            "ls ${args} --output_dir ${checkpoint_dir}",
            ["--resume_from_checkpoint", "${last_checkpoint}"],
        ),
        ([Option("output_dir")], "ls ${args}", None),
    ],
)
def test_an_option_that_resumes_and_the_folder_of_the_checkpoints_are_handed_over(options, command, resume_args):
    data = parse(draft(options, ["ls"]), "f").data
    assert data["command"] == command and data.get("trial", {}).get("resume_args") == resume_args


HYDRA = """\
app is powered by Hydra.

== Configuration groups ==
Compose your configuration from those groups (group=option)

db: mysql, pg


== Config ==
Override anything in the config (foo.bar=value)

db:
  timeout: 5
lr: 0.001
name: run_${lr}
model:
  depth: 3
  sizes: [1, 2]

Powered by Hydra (https://hydra.cc)
"""


def test_hydra_s_groups_become_choices_and_its_numbers_ranges_by_dotted_name():
    text = draft(hydra_options(HYDRA), ["python", "app.py"], hydra=True)
    data = parse(text, "f").data
    assert data["command"] == "python app.py ${args_no_hyphens}"
    assert data["parameters"] == {"db": ["mysql", "pg"], "lr": "log(0.0001, 0.01)", "model.depth": "int(1, 6)"}
    assert '# name: "run_${lr}"' in text and "# model.sizes: [1, 2]" in text
    assert hydra_options(CLICK) == []


def test_a_draft_without_a_metric_is_not_accepted(tmp_path):
    (tmp_path / "draft.yaml").write_text(draft(parse_options(CLICK), ["ls"]))
    with pytest.raises(StudyFileError, match="must be text"):
        load_study_file(tmp_path / "draft.yaml")


@pytest.mark.parametrize("text", ["", "usage: x\n", "Traceback: boom\n  --", "{}[]:", "  --é  x\n"])
def test_any_text_makes_a_valid_draft(tmp_path, text):
    assert load_study_file(filled(draft(parse_options(text), ["ls"]), tmp_path)).name == "ls"


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
    settings = load_study_file(filled(draft(parse_options(parser.format_help()), ["ls"]), tmp_path))
    assert {p.name: list(p.choices or ()) for p in settings.parameters} == {**words, "heads": [2, 4]}
