"""A failure whose message says what is wrong ends with what to write."""

from __future__ import annotations

import argparse
import contextlib
import getopt
import io

import click
import pytest
from click.testing import CliRunner

from outlast.core.symptoms import advice


def argparse_says(*words: str) -> str:
    parser = argparse.ArgumentParser(prog="train.py")
    parser.add_argument("-n", "--nesterov", action="store_true")
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.suppress(SystemExit):
        parser.parse_args(words)
    return said.getvalue().strip().splitlines()[-1]


def click_says() -> str:
    command = click.Command("train", params=[click.Option(["--nesterov"], is_flag=True)])
    return CliRunner().invoke(command, ["--nesterov=True"]).output.strip().splitlines()[-1]


def getopt_says() -> str:
    with pytest.raises(getopt.GetoptError) as caught:
        getopt.getopt(["--nesterov=True"], "", ["nesterov"])
    return str(caught.value)


def test_a_flag_that_got_a_value_names_the_macro_that_gives_it_none():
    said = [argparse_says("--nesterov=True"), argparse_says("--nesterov", "False"), click_says(), getopt_says()]
    assert [message for message in said if "${args_no_boolean_flags}" not in advice(message)] == []


@pytest.mark.parametrize(
    "message", ["", "ValueError: True", "unrecognized arguments: --lr=0.1", "error: argument --lr: invalid float"]
)
def test_other_messages_are_left_alone(message):
    assert advice(message) == ""
