"""Which name is meant."""

from __future__ import annotations

import pytest

from outlast.runner.capture.names import find_name, nearest_names


@pytest.mark.parametrize(
    ("wanted", "seen", "name"),
    [
        ("acc", ["acc", "ACC", "eval_acc"], "acc"),
        ("eval/accuracy", ["eval_accuracy", "loss"], "eval_accuracy"),
        ("eval_accuracy", ["eval/accuracy"], "eval/accuracy"),
        ("val_accuracy", ["Val Accuracy", "Train Accuracy"], "Val Accuracy"),
        ("accuracy", ["eval_accuracy", "train_accuracy"], "eval_accuracy"),
        ("accuracy", ["INFO accuracy"], "INFO accuracy"),
        ("val_loss", ["Training loss", "Validation loss"], "Validation loss"),
        ("validation/loss", ["train_loss", "val_loss"], "val_loss"),
        ("auc", ["training's auc", "valid_0's auc"], "valid_0's auc"),
        ("auc", ["dtrain's auc", "valid's auc"], "valid's auc"),
        ("auc", ["train-auc", "validation_0-auc"], "validation_0-auc"),
        ("auc", ["dtrain-auc", "deval-auc"], "deval-auc"),
        ("f1_macro", ["F1 (macro)"], "F1 (macro)"),
        ("accuracy", ["Finished with accuracy", "Train accuracy"], "Finished with accuracy"),
    ],
)
def test_the_name_meant_is_found(wanted: str, seen: list[str], name: str) -> None:
    match = find_name(wanted, seen)
    assert match is not None
    assert (match.name, match.exact) == (name, name == wanted)


@pytest.mark.parametrize(
    ("wanted", "seen"),
    [
        ("accuracy", ["eval_accuracy", "test_accuracy"]),
        ("accuracy", ["Eval Accuracy", "eval/accuracy"]),
        ("accuracy", ["train_accuracy"]),
        ("accuracy", ["Training accuracy"]),
        ("loss", ["gloss", "loss_scale"]),
        ("auc", ["valid_0's auc", "valid_1's auc"]),
        ("auc", ["validation_0-auc", "validation_1-auc"]),
        ("auc", ["training's auc"]),
        ("auc", ["dtrain's auc"]),
        ("val_loss", ["eval_loss", "Test loss"]),
        ("val_loss", ["valid_loss", "validation_loss"]),
        ("accuracy", []),
    ],
)
def test_a_wrong_metric_is_worse_than_none(wanted: str, seen: list[str]) -> None:
    assert find_name(wanted, seen) is None


def test_near_names_are_offered() -> None:
    assert nearest_names("val_acc", ["loss", "val_accuracy", "lr"]) == ["val_accuracy"]
