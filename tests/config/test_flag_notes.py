"""What the script's own parser will refuse is said when the study file is read."""

from __future__ import annotations

import json

import pytest

from outlast.config.load import load_study_file

SWEEP = "program: train.py\nmethod: grid\nmetric: {name: acc}\n"
SWEEP += "parameters: {amp: {values: [true, false]}, use_bn: {value: true}}\n"
OURS = "metric: maximize acc\nsampler: grid\nparameters: {amp: [true, false], lr: [0.1, 1]}\ncommand: "


@pytest.fixture
def notes(tmp_path):
    def notes(script: str, study: str) -> tuple[str, ...]:
        (tmp_path / "train.py").write_text(script)
        (tmp_path / "s.yaml").write_text(study)
        return load_study_file(tmp_path / "s.yaml").notes

    return notes


STORE_TRUE = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--amp', action='store_true')\n"


@pytest.mark.parametrize(
    ("script", "study"),
    [
        (STORE_TRUE, SWEEP),
        ("p.add_argument('-a', '--amp', default=True, action='store_false')", SWEEP),
        ("@click.option('--amp', is_flag=True)\ndef main(amp): pass", SWEEP),
        ("p.add_argument(\n  '--use-bn', action='store_true', help='x')", SWEEP),
        (STORE_TRUE, OURS + "python train.py ${args_no_equals}"),
        (STORE_TRUE, OURS + "python train.py --amp ${amp}"),
        (STORE_TRUE, OURS + "python train.py --amp=${amp} ${args}"),
    ],
)
def test_a_boolean_for_a_flag_that_takes_no_value_is_said_with_the_macro(notes, script, study):
    (note,) = notes(script, study)
    assert " of train.py takes no value (" in note and "${args_no_boolean_flags} in the command" in note


@pytest.mark.parametrize(
    "script",
    [
        "p.add_argument('--amp', action=argparse.BooleanOptionalAction)",
        "import typer\ndef main(lr: float = 1, amp: bool = False): pass\ntyper.run(main)",
        "from argparse import BooleanOptionalAction as B\np.add_argument('--amp', action='x')\n"
        "@click.option('--amp/--no-amp', default=True)\ndef f(amp): pass",
    ],
)
def test_a_flag_with_its_opposite_is_searched_itself(notes, script):
    (note,) = notes(script, SWEEP)
    assert "`amp: {values: [--amp, --no-amp]}`, with ${amp} in the command" in note


@pytest.mark.parametrize(
    ("script", "study"),
    [
        ("p.add_argument('--amp', type=bool)", SWEEP),
        ("p.add_argument('--other', action='store_true')", SWEEP),
        ("this is no Python", SWEEP),
        (STORE_TRUE, OURS + "python train.py ${args_no_boolean_flags}"),
        (STORE_TRUE, OURS + "python train.py ${args_no_hyphens}"),
        (STORE_TRUE, OURS.replace("[true, false]", "[--amp, --no-amp]") + "python train.py ${amp} --lr ${lr}"),
    ],
)
def test_nothing_is_said_where_the_flag_gets_what_it_takes(notes, script, study):
    assert notes(script, study) == ()


@pytest.mark.parametrize("item", ['--ckpt="logs/1.ckpt"', "-c='a b'", '"a b"', "'${amp}'", '--amp="${amp}"'])
def test_quotes_inside_a_list_item_are_said(notes, item):
    found = notes("", OURS + f"[python, train.py, {json.dumps(item)}, '${{args}}']")
    assert found == (f"the quotes in `{item}` are part of the argument: no shell takes them away",)


@pytest.mark.parametrize(
    "command",
    [
        "[python, train.py, '+x=\"a b\"', '${args}']",
        "[python, train.py, '{\"a\": 1}', '${args}']",
        "python train.py --x='a b' ${args}",
    ],
)
def test_quotes_that_somebody_takes_away_are_not(notes, command):
    assert notes("", OURS + command) == ()


def test_a_flag_and_its_value_in_one_item_are_said(notes):
    (note,) = notes("", OURS + "[python, train.py, --wd 0.1, '--name=a b', '${args}']")
    assert note == "`--wd 0.1` is one argument with a blank in it: write two items, or `--wd=0.1`"


@pytest.mark.parametrize("macro", ["args", "args_no_equals", "args_no_boolean_flags"])
def test_a_hydra_application_gets_no_dashes(notes, macro):
    script = "import hydra\n@hydra.main(version_base=None)\ndef main(cfg): pass\n"
    (note,) = notes(script, OURS + f"python train.py ${{{macro}}}")
    assert f"as ${{{macro}}} writes it: ${{args_override_hydra}} in the command" in note
    for good in ("${args_override_hydra}", "${args_no_hyphens}", "lr=${lr} amp=${amp}"):
        assert notes(script, OURS + f"python train.py {good}") == ()
