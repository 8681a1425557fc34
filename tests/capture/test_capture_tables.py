"""Tables in the dialects of the world."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from outlast.runner.capture.session import Captured

Capture = Callable[..., Captured]
READ = {
    "R's write.csv2": ('"epoch";"val_loss"\n1;0,9345\n2;0,8123\n', 0.8123),
    "a comma that other values of the column explain": ("epoch;val_loss\n1;0,5\n2;1,234\n", 1.234),
    "a comma that another column explains": ("epoch;val_loss;x\n1;1,234;0,5\n", 1.234),
    "thousands and a decimal comma": ("epoch;val_loss\n1;0,9\n2;1.234,5\n", 1234.5),
    "thousands that other values explain": ('epoch,val_loss\n1,934.5\n2,"1,234"\n', 1234.0),
    "a decimal comma in quotes": ('epoch,val_loss\n1,"0,93"\n', 0.93),
    "a decimal comma between tabs": ("epoch\tval_loss\n1\t0,5\n", 0.5),
    "columns between blanks": ("epoch  val_loss\n1      0.5\n20     0.4\n", 0.4),
    "R's write.table, which names its rows": ('"epoch" "val_loss"\n"1" 1 0.5\n"2" 2 0.4\n', 0.4),
    "padded": (" epoch , val_loss\n 1 , 0.5\n", 0.5),
    "comments": ("# run 3, seed 1\nepoch,val_loss\n1,0.5\n# half\n\n2,0.4\n", 0.4),
    "a header that is a comment": ("# epoch val_loss\n1 0.5\n2 0.4\n", 0.4),
    "Markdown": ("| epoch | val_loss |\n|---|---|\n| 1 | 0.5 |\n", 0.5),
    "a trailing delimiter": ("epoch,val_loss,\n1,0.5,\n", 0.5),
    "a header again": ("epoch,val_loss\n1,0.5\nepoch,val_loss\n1,0.4\n", 0.4),
    "a row torn by a kill, then resumed": ("epoch,val_loss\n1,0.5\n2,0.4epoch,val_loss\n1,0.3\n", 0.3),
    "a cell of two lines": ('note,val_loss\n"a\nb",0.5\n', 0.5),
    "a torn last number": ("epoch,val_loss\n1,0.5\n2,0.", 0.5),
    "a torn last exponent": ("epoch,val_loss\n1,0.5\n2,1e-", 0.5),
    "a torn last row": ("val_loss,epoch\n0.5,1\n0.4", 0.5),
    "no line end": ("epoch,val_loss\n1,0.5\n2,0.4", 0.4),
    "a real minus sign": ("epoch,val_loss\n1,−0.5\n", -0.5),
}  # fmt: skip
UNCERTAIN = {
    "thousands or a decimal comma": ("epoch;val_loss\n1;1,234\n", "1,234"),
    "thousands alone": ('epoch,val_loss\n1,"1,234.5"\n', "1,234.5"),
    "points and commas": ("epoch;val_loss\n1;0.5\n2;0,9\n", "0,9"),
    "a decimal comma between commas": ("epoch,val_loss\n1,0,93\n", "1,0,93"),
    "a number that lost its digits": ("epoch,val_loss\n1,1.2k\n", "1.2k"),
}


@pytest.mark.parametrize("kind", READ)
def test_a_table_is_read(capture: Capture, kind: str) -> None:
    content, expected = READ[kind]
    assert capture("val_loss", files={"m.csv": content}, file="m.csv").scores == {"val_loss": expected}


@pytest.mark.parametrize("kind", UNCERTAIN)
def test_a_cell_that_is_not_certain_is_shown(capture: Capture, kind: str) -> None:
    content, text = UNCERTAIN[kind]
    found = capture("val_loss", files={"m.csv": content}, file="m.csv")
    assert found.scores == {}
    assert f"val_loss cannot be read for certain (file): {text!r}" in found.notes[0]


def test_of_a_training_that_was_ended_a_row_without_a_line_end_is_left_out(capture: Capture) -> None:
    found = capture("val_loss", files={"m.csv": "epoch,val_loss\n1,0.5\n2,0.4"}, file="m.csv", torn=True)
    assert found.scores == {"val_loss": 0.5}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"loss": [0.3, 0.2], "auc": [0.8, 0.9]}', 0.9),  # Keras' history
        ('{"epoch": [0, 1], "auc": [0.8, 0.9]}', 0.9),
        ('{"train": {"auc": [0.99, 1.0]}, "eval": {"auc": [0.8, 0.9]}}', 0.9),  # XGBoost's evals_result
        ('{"training": {"auc": [0.99]}, "valid_0": {"auc": [0.9]}}', 0.9),  # LightGBM's record_evaluation
        ('{"precision": [0.9, 0.8], "auc": [0.8, 0.9]}', None),  # of each class
        ('{"fit_time": [1.0, 2.0], "auc": [0.8, 0.9]}', None),  # of each fold
        ('{"loss": [0.3, 0.2], "auc": [0.8]}', None),
        ('{"auc": "0,93"}', None),
        ('{"auc": 1' + "0" * 400 + "}", math.inf),
    ],
)
def test_series_of_epochs_have_a_last_value_and_other_lists_none(
    capture: Capture, content: str, expected: float | None
) -> None:
    assert capture("auc", files={"h.json": content}, file="h.json").scores.get("auc") == expected


def test_an_epoch_that_is_no_number_is_no_step(capture: Capture) -> None:
    found = capture("auc", files={"m.csv": "epoch,step,auc\nnan,1,0.5\ninf,2,0.6\n"}, file="m.csv")
    assert [report.step for report in found.reports] == [1, 2]
