"""What the callbacks say and refuse, with the real frameworks, each in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from outlast.runner.hooks import hooks_path

PAGE = Path(__file__).parents[2] / "docs" / "callbacks.md"

pytestmark = pytest.mark.foreign


def run(code: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run code as a training would be, in an environment where Outlast is installed."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(("OUTLAST_", "PYTHON"))}
    env |= {"PYTHONPATH": hooks_path(), "KERAS_BACKEND": "torch", "HF_HUB_OFFLINE": "1", **variables}
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return done


@pytest.fixture
def attempt(tmp_path: Path) -> dict[str, str]:
    """The variables of a second attempt, which has something to resume from."""
    (tmp_path / "trial" / "attempts" / "2").mkdir(parents=True)
    (tmp_path / "trial" / "checkpoints").mkdir()
    return {
        "OUTLAST_TRIAL_DIR": str(tmp_path / "trial"),
        "OUTLAST_CHECKPOINT_DIR": str(tmp_path / "trial" / "checkpoints"),
        "OUTLAST_ATTEMPT": "2",
        "OUTLAST_RESUME": "1",
    }


HUGGING_FACE = """
import os, sys
import torch
from outlast.callbacks.huggingface import OutlastCallback, resume_from
folder = os.environ["OUTLAST_CHECKPOINT_DIR"]
for age, step in enumerate([30, 20, 10]):
    path = os.path.join(folder, f"checkpoint-{step}")
    os.mkdir(path)
    torch.save({"w": torch.zeros(100)}, os.path.join(path, "optimizer.pt"))
    with open(os.path.join(path, "trainer_state.json"), "w") as file:
        file.write("{}")
    os.utime(path, (1000 - age, 1000 - age))
os.truncate(os.path.join(folder, "checkpoint-30", "optimizer.pt"), 200)
os.unlink(os.path.join(folder, "checkpoint-20", "trainer_state.json"))
os.utime(os.path.join(folder, "checkpoint-20"), (999, 999))
print(os.path.basename(resume_from()))
from transformers import TrainerControl, TrainerState, TrainingArguments
state = TrainerState(global_step=0, max_steps=9, is_world_process_zero=True)
for place in ("elsewhere", folder):
    print(place, file=sys.stderr)
    OutlastCallback().on_train_begin(TrainingArguments(output_dir=place, report_to="none"), state, TrainerControl())
"""


def test_hugging_face_passes_over_what_was_cut_off_and_says_where_checkpoints_belong(
    tmp_path: Path, attempt: dict[str, str]
) -> None:
    done = run(HUGGING_FACE, tmp_path, **attempt)
    assert done.stdout == "checkpoint-10\n"
    said = [line for line in done.stderr.splitlines() if line.startswith("outlast: ")]
    assert [re.sub(r"\S*/", "", line)[:36] for line in said[:2]] == [
        "outlast: checkpoint checkpoint-30 is", "outlast: checkpoint checkpoint-20 is",
    ]  # fmt: skip
    assert len(said) == 3, "of the two folders only the wrong one is spoken of"
    assert "elsewhere" in said[2]
    assert "output_dir=str(outlast.current_trial().checkpoint_dir)" in said[2]


LIGHTNING = """
import os
import torch
from outlast.callbacks.lightning import OutlastCallback, resume_path
folder = os.environ["OUTLAST_CHECKPOINT_DIR"]
names = ["last.ckpt", "outlast-epoch=3-step=9.ckpt.tmp", "outlast-epoch=2-step=6.ckpt", "outlast-epoch=1-step=3.ckpt"]
for age, name in enumerate(names):
    path = os.path.join(folder, name)
    torch.save({"w": torch.zeros(100)}, path)
    os.utime(path, (1000 - age, 1000 - age))
os.truncate(os.path.join(folder, names[2]), 300)
os.utime(os.path.join(folder, names[2]), (998, 998))
print(os.path.basename(resume_path()))
"""


def test_lightning_goes_on_from_its_own_whole_checkpoints_only(tmp_path: Path, attempt: dict[str, str]) -> None:
    done = run(LIGHTNING, tmp_path, **attempt)
    assert done.stdout == "outlast-epoch=1-step=3.ckpt\n"
    assert "outlast-epoch=2-step=6.ckpt is not used" in done.stderr


KERAS = """
import keras, numpy as np, outlast
from outlast.callbacks.keras import OutlastCallback

def fit(width, callback, **more):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(width), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.zeros((4, 2)), np.zeros(4), epochs=2, callbacks=[callback], verbose=0, **more)

fit(3, OutlastCallback())
callback = OutlastCallback()
print(callback.initial_epoch)
fit(3, callback)
try:
    fit(4, OutlastCallback())
except ValueError as error:
    print(error)
"""


def test_keras_refuses_the_checkpoint_of_another_model_and_notices_epochs_trained_twice(
    tmp_path: Path, attempt: dict[str, str]
) -> None:
    done = run(KERAS, tmp_path, **attempt)
    first, second = done.stdout.splitlines()
    assert first == "2"
    assert second.startswith("the checkpoint does not fit the model")
    assert "use fit(..., initial_epoch=callback.initial_epoch)" in done.stderr


def test_by_hand_a_script_trains_as_ever_and_goes_on_when_asked(tmp_path: Path) -> None:
    section = PAGE.read_text().partition("\n## XGBoost\n")[2]
    code = (
        section.partition("```python\n")[2].partition("```")[0]
        + "print(callback.rounds_left, booster.num_boosted_rounds())"
    )
    said = [run(code, tmp_path, **more).stdout.splitlines()[-1] for more in ({}, {}, {"OUTLAST_RESUME": "1"})]
    assert said == ["30 30", "30 30", "5 30"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]


SAMPLING = """
import json, numpy as np, xgboost
from outlast.callbacks.xgboost import OutlastCallback

def parameters(exact, **more):
    seen = {}
    class Look(xgboost.callback.TrainingCallback):
        def before_iteration(self, model, epoch, evals_log):
            learner = json.loads(model.save_config())["learner"]
            seen["within"] = learner["generic_param"]["seed"]
            return False
    data = xgboost.DMatrix(np.random.default_rng(0).normal(size=(50, 3)), np.arange(50) % 2)
    callbacks = [OutlastCallback(3, exact=exact), Look()]
    model = xgboost.train({"seed": 5, "tree_method": "approx", **more}, data, 3, callbacks=callbacks)
    learner = json.loads(model.save_config())["learner"]
    after = [learner["generic_param"]["seed"], learner["gradient_booster"].get("gbtree_train_param", {}).get("tree_method")]
    return [seen["within"] != "5", *after]

print(json.dumps([
    parameters(True, subsample=0.5), parameters(True), parameters(False, subsample=0.5),
    parameters(True, booster="gblinear", tree_method="auto"),
]))
"""


def test_xgboost_is_seeded_only_where_it_draws_and_keeps_its_parameters(tmp_path: Path) -> None:
    seeded, drawless, not_wanted, linear = json.loads(run(SAMPLING, tmp_path).stdout.splitlines()[-1])
    assert seeded == [True, "5", "approx"]
    assert drawless == not_wanted == [False, "5", "approx"]
    assert linear == [False, "5", None]
