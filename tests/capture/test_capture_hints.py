"""Where a name was seen but its value not understood, the line is shown with the pattern that reads it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from outlast.runner.capture.session import Captured

Capture = Callable[..., Captured]
FASTAI = (
    "epoch     train_loss  valid_loss  accuracy  time    \n0         0.51        0.41        0.91      00:10     \n"
)


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        ("val_loss", "val loss 1.96\n", 1.96),
        ("val_acc", "epoch 3 val_acc 0.93, lr 0.1\n", 0.93),
        ("val_loss", "epoch 3 | train loss 1.2 | val loss 1.96\n", 1.96),
        ("loss", "train | loss 1.5 | ppl 3\nvalid | epoch 001 | loss 4.5 | ppl 22.6\n", 4.5),
        ("accuracy", "    accuracy                           0.93       360\n", 0.93),
        ("accuracy", "Accuracy of the network on the 10000 test images: 93 %\n", 93.0),
        ("val_loss", "val_loss improved from 0.52000 to 0.48000, saving model\n", 0.48),
        ("val_loss", "Epoch 3, global step 120: 'val_loss' reached 0.21000 (best 0.20000), saving model\n", 0.21),
        ("val_acc", "val_acc: tensor([0.91])\n", 0.91),
        ("accuracy", FASTAI, 0.91),
        ("train_loss", FASTAI, 0.51),
        ("F1 (macro)", "F1 (macro) 0.91\n", 0.91),
    ],
)
def test_the_pattern_that_is_shown_reads_the_line(capture: Capture, name: str, output: str, expected: float) -> None:
    found = capture(name, output)
    assert found.scores == {}
    shown = re.search(r"the line (.+) names it: metric\.pattern '([^']+)' would read it", found.notes[-1])
    assert shown is not None, found.notes
    assert capture(name, output, pattern=shown[2]).scores == {name: expected}


@pytest.mark.parametrize(
    "output",
    [
        "accuracy: 93/100\n",
        "accuracy: 0.91-0.95\n",
        "accuracy: 12:30:01\n",
        "accuracy: 2024-01-02\n",
        "accuracy: 0.5accuracy: 0.6\n",
    ],
)
def test_what_no_pattern_could_read_rightly_is_shown_without_one(capture: Capture, output: str) -> None:
    note = capture("accuracy", output).notes[-1]
    assert f"the line {output.strip()!r} names it" in note
    assert "metric.pattern" not in note


@pytest.mark.parametrize(
    "output",
    [
        "training accuracy 0.99\n",
        "[10]\ttraining's accuracy: 0.99\n",
        "python train.py --accuracy=0.5\n",
        "saved to /x/accuracy=0.5.ckpt\n",
        "Namespace(accuracy=0.5)\n",
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    f(accuracy=0.5)\nValueError: accuracy 0.5\n',
    ],
)
def test_a_line_about_something_else_is_no_hint(capture: Capture, output: str) -> None:
    assert "names it" not in capture("accuracy", output).notes[-1]


def test_names_that_might_all_be_meant_are_named(capture: Capture) -> None:
    found = capture("auc", "[10]\tvalid_0's auc: 0.91\tvalid_1's auc: 0.70\n")
    assert found.notes == ("auc may be valid_0's auc or valid_1's auc: give the whole name",)
