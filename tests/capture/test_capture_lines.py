"""What one line of output says."""

from __future__ import annotations

import json
import math
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.runner.capture.numerals import as_number
from outlast.runner.capture.output_lines import clean, find_marker, find_steps, read_line


def metrics(line: str) -> dict[str, float]:
    return dict(read_line(clean(line)).metrics)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("val_accuracy=0.93", {"val_accuracy": 0.93}),
        ("val_accuracy: 0.93", {"val_accuracy": 0.93}),
        ("val_accuracy = 0.93", {"val_accuracy": 0.93}),
        ("val_accuracy : .93", {"val_accuracy": 0.93}),
        ("val/acc: 1e-3, mAP@0.5: 5.", {"val/acc": 1e-3, "mAP@0.5": 5.0}),
        ("accuracy: 91.25%", {"accuracy": 91.25}),
        ("accuracy: 91.25 %", {"accuracy": 91.25}),
        ("latency: 12.5ms, memory: 3.2GB", {"latency": 12.5, "memory": 3.2}),
        ("INFO:root:acc: 0.5", {"acc": 0.5}),
        ("Train accuracy: 0.99 | Val accuracy: 0.93", {"Train accuracy": 0.99, "Val accuracy": 0.93}),
        ("loss: -1.5e+2, delta: +3", {"loss": -150.0, "delta": 3.0}),
        ("Genauigkeit der Prüfung: 0.9; 准确率: 0.8", {"Genauigkeit der Prüfung": 0.9, "准确率": 0.8}),
        ("acc: tensor(0.93, device='cuda:0')", {"acc": 0.93}),
        ("acc: np.float64(0.93), loss: array(0.5)", {"acc": 0.93, "loss": 0.5}),
        ("loss=inf acc=-inf", {"loss": math.inf, "acc": -math.inf}),
        ("\x1b[1mval_acc\x1b[0m: \x1b[32m0.93\x1b[0m", {"val_acc": 0.93}),
        ("\x1b]0;loss: 9\x07val_acc: 0.93", {"val_acc": 0.93}),
        ("\x1b]0;a title without its end | val_acc: 0.93", {"val_acc": 0.93}),
        ("working...\x08\x08\x08val_acc: 0.93", {"val_acc": 0.93}),
        ("F1 (macro): 0.91, Accuracy (%): 93", {"F1 (macro)": 0.91, "Accuracy (%)": 93.0}),
        ("mAP@[0.5:0.95] = 0.412", {"mAP@[0.5:0.95]": 0.412}),
        ("denoise_60%_expr=1.290, lr=0.1", {"denoise_60%_expr": 1.29, "lr": 0.1}),
        ("see http://x/?loss=0.5&b=1 acc=0.9", {"acc": 0.9}),
        ('level=info msg="validated" val_loss="0.5"', {"val_loss": 0.5}),
    ],
)
def test_names_with_values_are_metrics(line: str, expected: dict[str, float]) -> None:
    assert metrics(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        # Keras
        (
            "313/313 ━━━━━━━━ 1s 2ms/step - accuracy: 0.9776 - loss: 0.0720 - val_accuracy: 0.9712",
            {"accuracy": 0.9776, "loss": 0.0720, "val_accuracy": 0.9712},
        ),
        # tqdm's postfix
        (
            "Epoch 3:  45%|████▌     | 420/938 [00:05<00:06, 75.0it/s, loss=0.123, acc=0.95]",
            {"loss": 0.123, "acc": 0.95},
        ),
        # PyTorch's MNIST example
        (
            "Test set: Average loss: 0.0269, Accuracy: 9913/10000 (99%)",
            {"Average loss": 0.0269, "Accuracy": 0.9913},
        ),
        # Transformers, before and since version 5, which prints rounded strings
        (
            "{'eval_loss': 0.5, 'eval_accuracy': 0.93, 'epoch': 2.0}",
            {"eval_loss": 0.5, "eval_accuracy": 0.93, "epoch": 2},
        ),
        ("{'eval_loss': '0.5', 'eval_accuracy': '0.93'}", {"eval_loss": 0.5, "eval_accuracy": 0.93}),
        # nanoGPT
        ("step 250: train loss 1.8612, val loss 1.9634", {"train loss": 1.8612, "val loss": 1.9634}),
        # LightGBM, XGBoost
        ("[10]\ttraining's auc: 0.99\tvalid_0's auc: 0.91", {"training's auc": 0.99, "valid_0's auc": 0.91}),
        ("[10]\tvalidation_0-auc:0.91234", {"validation_0-auc": 0.91234}),
        # Lightning's table
        ("│          val_acc          │    0.9312000274658203     │", {"val_acc": 0.9312000274658203}),
        # NumPy 2
        ("{'acc': np.float64(0.93), 'lr': np.float32(0.1)}", {"acc": 0.93, "lr": 0.1}),
        ("{'x': tensor(0.5, device='cuda:0'), 'y': nan}", {"x": 0.5, "y": math.nan}),
        ('{"val": {"acc": 0.93, "per_class": [0.9, 0.8]}, "ok": true}', {"val.acc": 0.93}),
        ('INFO done {"acc": 0.93} time=3', {"acc": 0.93, "time": 3.0}),
        ('{"acc": 0.93, "lo', {"acc": 0.93}),
    ],
)
def test_lines_of_the_frameworks_are_read(line: str, expected: dict[str, float]) -> None:
    assert metrics(line) == pytest.approx({name: float(value) for name, value in expected.items()}, rel=0, nan_ok=True)


@pytest.mark.parametrize(
    "line",
    [
        "2024-01-02 12:30:01 starting",
        "time: 12:30:01",
        "torch: 2.13.0",
        "date: 2024-01-02",
        "samples: 1,024",
        "http://localhost:8080/index",
        "train.py:33: UserWarning: deprecated",
        "acc >= 0.9 and acc == 0.9",
        "progress: 3/20",
        "id: 3f9a2b",
        "nothing here",
        "val_acc 0.93",
        "loss 4.5 | ppl 22.6",
        "python train.py --val_loss=0.5 /x/epoch=3-val_loss=0.21.ckpt",
        "{'a': 'text', 'b': [1, 2, 3], 'c': None, 'd': True}",
    ],
)
def test_what_is_no_metric_is_none(line: str) -> None:
    assert metrics(line) == {}


@pytest.mark.parametrize(
    ("line", "epoch", "step"),
    [
        ("epoch 3", 3, None),
        ("Epoch 3/20", 3, None),
        ("[Epoch 3] loss: 0.1", 3, None),
        ("Epoch [3/20], Step [100/600], Loss: 0.1", 3, 100),
        ("step=40 loss=0.2", None, 40),
        ("global_step: 7", None, 7),
        ("trainer/global_step=7", None, 7),
        ("Iteration: 12", None, 12),
        ("{'loss': 0.5, 'epoch': 2.5}", 2.5, None),
        ('{"loss": 0.5, "step": 400, "epoch": 2}', 2, 400),
        ("{'val_acc': 0.5, 'epoch': 0}", 0, None),
        ("{'val_acc': 0.5, 'epoch': 0.0, 'step': 0}", 0, 0),
        ("epoch=0 step=0 val_acc=0.5", 0, 0),
        ("{'val_acc': 0.5, 'epoch': nan, 'step': -1}", None, None),
        ("{'val_acc': 0.5, 'epoch': inf, 'step': 1e300}", None, None),
        ("Train Epoch: 1 [0/60000 (0%)]\tLoss: 2.3", 1, None),
        ("epochs: 20, max_epoch=20, steps per epoch: 12.3s", None, None),
        ("step 45% done", None, None),
        ("best epoch: 7, val_acc 0.95", None, None),
        ("[10]\tvalid_0's auc: 0.91", None, 10),
        ("[default0]:[10]\tvalid_0's auc: 0.91", None, 10),
        ("[0] val_acc: 0.5", None, None),  # a rank
        ("Epoch(val) [12][625/625]    coco/bbox_mAP: 0.3740", 12, None),
        ("step 1,234: loss=0.5", None, 1234),
        ("epoch 12,345,678 loss=0.5", 12345678, None),
        ("epoch 1,0.5,0.6 loss=0.5", 1, None),
        ("epoch 1,234.5 loss=0.5", None, None),
        ("step 250: train loss 1.8612, val loss 1.9634", None, 250),
    ],
)
def test_a_line_says_how_far_the_training_is(line: str, epoch: float | None, step: float | None) -> None:
    assert find_steps(line, read_line(line).metrics) == (epoch, step)


@pytest.mark.parametrize(
    "name", ["F1 (macro)", "mAP@[0.5:0.95]", "top-1 acc (%)", "5shot_acc", "R^2", "a b c d e", "x=y", "loss [m]"]
)
def test_an_objective_is_found_whatever_its_name_is_made_of(name: str) -> None:
    for line in (f"{name}: 0.91", f"epoch 3, {name} = 0.91, lr=0.1", f"| {name} | 0.91 |", f"{{'{name}': 0.91}}"):
        assert dict(read_line(line, [name]).metrics)[name] == 0.91
    assert name not in dict(read_line(f"Train {name}: 0.99", [name]).metrics)


@pytest.mark.parametrize(
    ("line", "kind", "name", "value"),
    [
        ("OUTLAST_SCORE: 0.9", "OUTLAST_SCORE", "", 0.9),
        ("INFO:train:OPTUNA_SCORE: 0.9", "OPTUNA_SCORE", "", 0.9),
        ("OUTLAST_SCORE[f1 macro]: 0.9", "OUTLAST_SCORE[]", "f1 macro", 0.9),
        ("Best validation score: 91.2%", "Best validation score", "", 91.2),
        ("best validation score: 0.9 (epoch 3)", "Best validation score", "", 0.9),
        ("OPTUNA_SCORE: None", "OPTUNA_SCORE", "", None),
    ],
)
def test_marked_scores_are_recognised(line: str, kind: str, name: str, value: float | None) -> None:
    marker = find_marker(line)
    assert marker is not None
    assert (marker.kind, marker.name, marker.value) == (kind, name, value)


def test_a_marked_nan_is_a_number() -> None:
    marker = find_marker("OUTLAST_SCORE: nan")
    assert marker is not None and marker.value is not None and math.isnan(marker.value)


_NAMES = st.text(string.ascii_letters + "_", min_size=1, max_size=12).filter(
    lambda name: name.lower() not in {"nan", "inf", "infinity", "tensor", "array"}
)
_VALUES = st.floats(allow_nan=False, allow_infinity=True)


@given(st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=8))
def test_every_dict_of_numbers_is_read_back_as_python_and_as_json_write_it(values: dict[str, float]) -> None:
    assert metrics(repr(values)) == values
    assert metrics(f"logger - {json.dumps(values)}") == values


@given(_NAMES, st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_back(name: str, value: float) -> None:
    assert metrics(f"{name}={value!r}") == {name: value}
    assert as_number(repr(value)) == value


@given(st.text(max_size=300))
def test_no_text_breaks_it(text: str) -> None:
    line = clean(text)
    find_steps(line, read_line(line).metrics)
    find_marker(line)


@given(st.text("{}[]()'\":,=a1.-\\ e|│%", max_size=120))
def test_no_broken_dict_breaks_it(text: str) -> None:
    read_line("{'" + text)
