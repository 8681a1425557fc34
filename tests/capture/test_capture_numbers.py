"""A number is read where one reading is possible; otherwise its text is shown, and nothing is made up."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from outlast.runner.capture.session import Captured

READ = {
    "0.93": 0.93, "1e-3": 1e-3, "1.5E-04": 1.5e-4, "1.5D-03": 1.5e-3, "5.": 5.0, "-.5": -0.5, "+.5": 0.5, "−0.5": -0.5,
    "0.5.": 0.5, "0.5,": 0.5, "0.5...": 0.5, "93%": 93.0, "93 %": 93.0, "12.5ms": 12.5, "3.2GB": 3.2, "41it/s": 41.0,
    "0.91±0.02": 0.91, "0.91 (+/- 0.02)": 0.91, "0.99+0.01": 0.99, "93/100 (93%)": 0.93, "0.5 (best)": 0.5,
    "'0.5'": 0.5, '"0.5"': 0.5, "５.５": 5.5, "inf": math.inf, "-Infinity": -math.inf, "∞": math.inf, "1.#INF": math.inf,
    "tensor(0.91, device='cuda:0', grad_fn=<NllLossBackward0>)": 0.91, "Array(0.91, dtype=float32)": 0.91,
    "np.float32(0.91)": 0.91, "jnp.array(0.91)": 0.91, "tf.Tensor(0.91, shape=(), dtype=float32)": 0.91,
    "<tf.Tensor: shape=(), dtype=float32, numpy=0.91>": 0.91, "\x1b[32m0.\x1b[1m93\x1b[0m": 0.93,
}  # fmt: skip
NO_NUMBER = ["nan", "NaN", "-nan", "-nan(ind)", "1.#IND", "-1.#QNAN"]
UNCERTAIN = [
    "0,93", "0,9345", "1,234", "1,234.5", "1.234,5", "1 234.5", "1 234,5", "1\u00a0234.5", "1\u202f234,5", "1'234.5", "1_234.5",
    "1.2k", "1.2K", "3.4M", "7B", "1.2.3", "1.2.3.4", "93,5%", "1e-", "1.2e", "1.5×10⁻³", "1.5*10^-3", "2**10", "2^10",
    "1h 20m", "5m30s", "01.02.2024", "1,2", "0.5,0.6", "٠٫٩٣", '"0,93"',
]  # fmt: skip
NONE = [
    *["0.5 -> 0.4", "0.5 → 0.4", "0.5=>0.4"],
    "3/5", "93/100", "0.91-0.95", "0.91–0.95", "2024-01-02", "12:30:01", "0:00:05.12", "0x1F", "3f9a2b", "True", "None", "info",
    "0.5val_loss: 0.6", "0.21.ckpt", "0.5+0.1j", "tensor([0.91])", "tensor(0,91)", "1.5 x 10^-3",
]  # fmt: skip
QUOTE = '"'
PLACES: dict[str, Callable[[str], str]] = {
    "pair": "val_loss: {}\n".format,
    "equals": "epoch 1 val_loss={}, lr=0.1\n".format,
    "row": "│ val_loss │ {} │\n".format,
}
Capture = Callable[..., Captured]


@pytest.mark.parametrize("text", READ)
def test_a_plain_number_is_read_as_it_stands(capture: Capture, text: str) -> None:
    assert capture("val_loss", f"val_loss: {text}\n").scores == {"val_loss": READ[text]}


@pytest.mark.parametrize("text", NO_NUMBER)
def test_every_spelling_of_not_a_number_is_nan(capture: Capture, text: str) -> None:
    assert math.isnan(capture("val_loss", f"val_loss: {text}\n").scores["val_loss"])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", UNCERTAIN)
def test_what_could_be_two_numbers_is_none_and_its_text_is_shown(capture: Capture, text: str, place: str) -> None:
    found = capture("val_loss", PLACES[place](text))
    assert found.scores == {}
    assert f"val_loss cannot be read for certain (output): {text.strip(QUOTE)!r}" in found.notes[0]


@pytest.mark.parametrize("text", NONE)
def test_a_text_that_begins_with_a_digit_is_no_score(capture: Capture, text: str) -> None:
    assert capture("val_loss", f"val_loss: {text}\n").scores == {}


@pytest.mark.parametrize(
    "line", ["OPTUNA_SCORE: {}", "OUTLAST_SCORE: {}", "OUTLAST_SCORE[val_loss]: {}", "Best validation score: {}"]
)
@pytest.mark.parametrize("text", ["0,93", "1,234.5", "1 234.5", "1.2k", "1.2.3", "1e-"])
def test_a_marked_score_is_not_read_in_part(capture: Capture, line: str, text: str) -> None:
    found = capture("val_loss", line.format(text) + "\n")
    assert found.scores == {}
    assert repr(text) in found.notes[0]


@pytest.mark.parametrize("text", ["0,93", "'0,93'", "'1,234.5'", "1.2.3", "1.2k", "'1.2k'"])
def test_a_dict_is_not_read_in_part(capture: Capture, text: str) -> None:
    found = capture("val_loss", f"{{'loss': 1.5, 'val_loss': {text}, 'epoch': 3}}\n")
    assert found.scores == {}
    assert text.strip("'") in found.notes[0]
    assert found.metrics == {"loss": 1.5, "epoch": 3.0}


def test_the_score_file_and_an_own_pattern_are_not_read_in_part(capture: Capture) -> None:
    assert (
        capture("a", files={"trial_3_score.txt": "0,91"})
        .notes[0]
        .startswith("a cannot be read for certain (score_file): '0,91'")
    )
    assert (
        capture("a", "is 0,93!\n", pattern=r"is (\S+)!")
        .notes[0]
        .startswith("a cannot be read for certain (pattern): '0,93'")
    )


def test_the_last_value_decides_whether_the_score_is_known(capture: Capture) -> None:
    assert capture("ppl", "ppl: 1,234.5\nppl: 934.5\n").scores == {"ppl": 934.5}
    assert capture("ppl", "ppl: 934.5\nppl: 1,234.5\n").scores == {}


def test_the_best_is_unknown_where_any_value_is(capture: Capture) -> None:
    assert capture("ppl", "ppl: 1,234.5\nppl: 934.5\n", take="best").scores == {}


@pytest.mark.parametrize("size", [64 * 1024 - 12, 64 * 1024 - 13, 64 * 1024 - 20])
def test_a_line_that_is_too_long_is_cut_between_words(capture: Capture, size: int) -> None:
    line = "x" * (size - 1) + " val_loss: 12345.0 val_loss: 12345.0\n"
    assert capture("val_loss", line).scores in ({}, {"val_loss": 12345.0})
    assert capture("val_loss", line + "val_loss: 0.5\n").scores == {"val_loss": 0.5}


def test_of_a_training_that_was_ended_a_number_without_a_line_end_may_be_half_of_one(capture: Capture) -> None:
    output = "val_loss: 0.5\nval_loss: 0.12"
    assert capture("val_loss", output).scores == {"val_loss": 0.12}
    assert capture("val_loss", output, torn=True).scores == {"val_loss": 0.5}
