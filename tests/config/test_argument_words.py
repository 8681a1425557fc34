"""Values reach other people's argument parsers as they were drawn: argparse, click, Hydra, getopt."""

from __future__ import annotations

import argparse
import getopt
import math

import click
import pytest
from click.testing import CliRunner
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outlast.config.command import ARGUMENTS, CommandContext, render_command
from outlast.config.inline import settings_from_command
from outlast.config.load import settings_from_resolved
from outlast.config.words import alone, behind

CONTEXT = CommandContext(trial=0, attempt=1, seed=1, trial_dir="/t", checkpoint_dir="/c")
LABELS = ("-a", "--x", "", "-1", "-1.5e3", "--", "-", "-a b", "--x=1", "=", "a=b", " ", "-x", "yes", "[1]", "'q'", "$x")
NUMBERS = (-1.2e-05, -1e-300, -1e16, -0.5, -7, -0.0, 1e-05, -math.inf, math.inf, -(2**53), -2.5e20)


def argv(command, **values):
    """What a command becomes for some values."""
    parameters = {name: {"values": [value, "another", 12345]} for name, value in values.items()}
    resolved = {
        "name": "s",
        "metric": "minimize x",
        "command": command,
        "parameters": parameters,
        "budget": {"trials": 1},
    }
    return render_command(settings_from_resolved(resolved, "."), values, CONTEXT)[1:]


def parsed(words, *kind):
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("-x", "--x", "-xx", type=kind[0] if kind else str)
    parser.add_argument("--label")
    return parser.parse_args(words)


TEMPLATES = ("--x ${x}", "-x ${x}", "-xx ${x}", "--x=${x}", "${args}", "${args_no_equals}", "${args_no_boolean_flags}")


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_argparse_gets_every_number(template, value):
    got = parsed(argv(f"run {template}", x=value) if math.isfinite(value) else after(template, value), float).x
    assert got == value and math.copysign(1, got) == math.copysign(1, value)


def after(template, value):
    """Infinity cannot be a parameter of a study file, but a value that was derived can."""
    return behind("--x", alone(value))


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize(
    "label", [label for label in LABELS if label != "--"]
)  # which argparse drops before Python 3.13
def test_argparse_gets_every_text(template, label):
    assert parsed(argv(f"run {template}", x=label)).x == label


@pytest.mark.parametrize("template", ["--x ${x}", "-x ${x}", "--x=${x}", "${args}", "${args_no_equals}"])
@pytest.mark.parametrize("value", [*LABELS, *(n for n in NUMBERS if math.isfinite(n))], ids=repr)
def test_click_gets_every_value(template, value):
    @click.command()
    @click.option("-x", "--x", type=type(value))
    def command(x):
        click.echo(repr(x), nl=False)

    assert CliRunner().invoke(command, argv(f"run {template}", x=value)).output == repr(value)


@pytest.mark.parametrize("value", [*LABELS, -1.2e-05], ids=repr)
def test_getopt_gets_every_value(value):
    for template in ("--x ${x}", "-x ${x}", "${args_no_equals}"):
        (_flag, text), *rest = getopt.getopt(argv(f"run {template}", x=value), "x:", ["x="])[0]
        assert not rest and (text == value or float(text) == value)


def test_a_negative_number_never_stands_alone_with_an_exponent():
    assert argv("run ${x} tail", x=-1.2e-05) == ["-0.000012", "tail"]
    assert argv("run --range ${x} ${y}", x=-1e-05, y=-2e-06) == ["--range", "-0.00001", "-0.000002"]
    assert argv("run --x ${x}", x=1e-05) == ["--x", "1e-05"]


def test_two_words_stay_two_words_unless_they_would_be_misread():
    assert argv("run --x ${x} --label ${label}", x=-0.5, label="b c") == ["--x", "-0.5", "--label", "b c"]
    assert argv("run --x ${x} --label ${label}", x=1, label="-a") == ["--x", "1", "--label=-a"]
    assert argv("run --x ${x},${y}", x=-1e-05, y=2) == ["--x=-1e-05,2"]
    assert argv("run --verbose -- ${x}", x="-a") == ["--verbose", "--", "-a"]
    assert argv("run --literal -a ${x}", x=1) == ["--literal", "-a", "1"]


def test_an_inline_range_below_zero_reaches_argparse():
    study = settings_from_command(
        ["env", "--x", "~float(-1e-4,-1e-6)"], name=None, metric=("loss", "minimize"), trials=4
    )
    assert parsed(render_command(study, {"x": -1.2e-05}, CONTEXT)[1:], float).x == -1.2e-05


@given(st.floats(max_value=-0.0, allow_infinity=False))
def test_any_negative_number_alone_is_that_number_to_argparse(value):
    parser = argparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("x", type=float)
    assert parser.parse_args([alone(value)]).x == value


hydra_texts = st.one_of(
    st.sampled_from(
        [*LABELS, "null", "True", "10", "1e-3", "a,b", "(x)", "{a: 1}", "it's", "back\\", "b\\'", "a b;$H"]
    ),
    st.text(st.characters(codec="ascii", exclude_categories=("Cc",)), max_size=8).filter(lambda t: "${" not in t),
)
hydra_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), hydra_texts),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.from_regex("[a-z][a-z ]{0,2}[a-z]", fullmatch=True), inner, max_size=3),
    ),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None)
@given(hydra_values)
@example("a b;$HOME")
@example("no")
def test_hydra_reads_an_override_as_the_value_that_was_drawn(value):
    parser = OverridesParser.create()
    for macro in ("${args_append_hydra}", "${args_override_hydra}"):
        override = parser.parse_override(ARGUMENTS[macro[2:-1]]({"x.y": value})[0])
        assert plain(override.value()) == plain(value)


def plain(value):
    """With types, and Hydra's quoted strings as text."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    text = getattr(value, "text", value)
    return type(text).__name__, text
