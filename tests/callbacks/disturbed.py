"""Runs a training script, undisturbed or not, and writes down what became of it.

    python disturbed.py SCRIPT KILL_AT STOP_AT

In trials whose parameter ``disturb`` is true, the first attempt is killed when the script asks for the KILL_AT-th time
whether to stop, and the second one is asked to stop at its STOP_AT-th: it leaves a file for the test to see, which
stops the study. The record of an attempt lies in ``$RECORDS/TRIAL.ATTEMPT.jsonl``.
"""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import signal
import sys
import time
from pathlib import Path

import outlast

script, kill_at, stop_at = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
trial = outlast.current_trial()
records = Path(os.environ["RECORDS"])
record = (records / f"{trial.number}.{trial.attempt}.jsonl").open("a", buffering=1)
asks = 0


def note(**entry) -> None:
    record.write(json.dumps(entry) + "\n")


def await_stop_request() -> None:
    (records / "stop-me").touch()
    deadline = time.monotonic() + 200
    while not (trial.dir / "attempts" / str(trial.attempt) / "stop.json").exists():
        assert time.monotonic() < deadline, "nobody stopped the study"
        time.sleep(0.02)
    trial._next_look = 0.0


def should_stop(self):
    global asks
    asks += 1
    note(ask=asks)
    if trial.params["disturb"] and trial.attempt == 1 and asks == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)
    if trial.params["disturb"] and trial.attempt == 2 and asks == stop_at:
        await_stop_request()
    return ask(self)


def report(self, step, metrics, via=""):
    note(step=step, metrics=metrics)
    tell(self, step, metrics, via)


def digest(arrays) -> str:
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(array.tobytes())
    return sha.hexdigest()


def fingerprint(found: dict) -> dict:
    """What the script has trained."""
    if "booster" in found:
        booster = found["booster"]
        text = booster.model_to_string() if hasattr(booster, "model_to_string") else booster.save_raw("json").decode()
        trees = text.split("parameters:")[0]
        x = found["x"][300:]
        predictions = booster.predict(x if hasattr(booster, "model_to_string") else found["val"])
        return {"weights": hashlib.sha256(trees.encode()).hexdigest(), "predictions": predictions.tolist()}
    model = found["trainer"].model if "trainer" in found else found["model"]
    if hasattr(model, "get_weights"):
        return {"weights": digest(model.get_weights())}
    return {"weights": digest(tensor.numpy() for tensor in model.state_dict().values())}


ask, tell = type(trial).should_stop.fget, type(trial)._report
type(trial).should_stop, type(trial)._report = property(should_stop), report
note(installed=hasattr(outlast, "__version__"))
sys.argv = [script]
found = runpy.run_path(script, run_name="__main__")
note(**fingerprint(found))
