"""What an Optuna objective asks its trial and its study, unchanged, under `outlast.optimize`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import optuna
import pytest

import outlast

_TRIAL = {
    "constraints": "{'c': -0.5}",
    "datetime_start": "datetime",
    "distributions": "FloatDistribution",
    "number": "2",
    "params": "{'x': ",
    "relative_params": "nothing is drawn ahead",
    "relative_search_space": "nothing is drawn ahead",
    "report": "None",
    "set_constraint": "None",
    "set_user_attr": "None",
    "should_prune": "False",
    "storage": "_Told",
    "study": "_Study",
    "suggest_categorical": "<class 'tuple'>",
    "suggest_discrete_uniform": "",
    "suggest_float": "",
    "suggest_int": "",
    "suggest_loguniform": "",
    "suggest_uniform": "",
    "user_attrs": "{'a': {'b': [1, 2.5]}}",
}
_STUDY = {
    "add_trial": "outlast import",
    "add_trials": "outlast import",
    "ask": "the search that runs this one",
    "best_params": "{'x': ",
    "best_trial": "number=",
    "best_trials": "[FrozenTrial(number=",
    "best_value": "0.",
    "direction": "1",
    "directions": "[<StudyDirection.MINIMIZE",
    "enqueue_trial": "None",
    "get_trials": "[0, 1]",
    "metric_names": "['value']",
    "optimize": "create another study",
    "pruner": "works in another process",
    "sampler": "works in another process",
    "set_metric_names": "the search's",
    "set_user_attr": "None",
    "stop": "None",
    "study_name": "names",
    "tell": "returns its value",
    "trials": "4",
    "trials_dataframe": "4",
    "user_attrs": "{'a': 1}",
}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_public_name_of_optunas_trial_and_study_works_or_says_why_not():
    def objective(trial):
        def said(what):
            try:
                return str(what())
            except (AttributeError, NotImplementedError) as error:
                return str(error)

        x, study, row = trial.suggest_float("x", 0, 1), trial.study, optuna.trial.create_trial(value=0.0)
        if trial.number < 2:
            return x
        trials = {
            "report": lambda: trial.report(x, 0),
            "set_constraint": lambda: trial.set_constraint("c", x - x - 0.5),
            "set_user_attr": lambda: trial.set_user_attr("a", {"b": [1, 2.5]}),
            "should_prune": trial.should_prune,
            "suggest_categorical": lambda: type(trial.suggest_categorical("shape", [(1, 2), (3, 4)])),
            "suggest_discrete_uniform": lambda: trial.suggest_discrete_uniform("d", 0, 1, 0.25),
            "suggest_float": lambda: trial.suggest_float("x", 0, 1),
            "suggest_int": lambda: trial.suggest_int("n", 1, 9, log=True),
            "suggest_loguniform": lambda: trial.suggest_loguniform("l", 1e-5, 1),
            "suggest_uniform": lambda: trial.suggest_uniform("u", 0, 1),
            "study": lambda: type(trial.study),
            "datetime_start": lambda: type(trial.datetime_start),
        }
        done = (optuna.trial.TrialState.COMPLETE,)
        studies = {
            "add_trial": lambda: study.add_trial(row),
            "add_trials": lambda: study.add_trials([row]),
            "best_value": lambda: f"{study.best_value:.6f}",
            "enqueue_trial": lambda: study.enqueue_trial({"x": 0.5}),
            "get_trials": lambda: [each.number for each in study.get_trials(deepcopy=False, states=done)],
            "optimize": lambda: study.optimize(lambda _: 0.0, n_trials=1),
            "set_metric_names": lambda: study.set_metric_names(["a"]),
            "set_user_attr": lambda: study.set_user_attr("a", 1),
            "tell": lambda: study.tell(trial, 1.0),
            "trials": lambda: len(study.trials),
            "trials_dataframe": lambda: len(study.trials_dataframe()),
            **{name: getattr(study, name) for name in ("ask", "stop")},
        }
        for names, asked, of in ((_TRIAL, trials, trial), (_STUDY, studies, study)):
            found = {
                name: said(asked.get(name, lambda name=name, of=of: getattr(of, name)))
                for name in sorted(names, key=lambda name: (name not in asked, name))
            }
            with open(f"{type(of).__name__}.json", "w") as file:
                json.dump(found, file)
        assert isinstance(trial, optuna.trial.Trial) and isinstance(study, optuna.Study)
        return x

    result = outlast.optimize(objective, trials=9, parallel=1, seed=1, name="names", quiet=True)
    assert [(trial.state.value, trial.reason) for trial in result.trials] == [
        *[("complete", "")] * 3, ("created", ""),  # the one that it enqueued waits
    ]  # fmt: skip
    assert str(result.state) == "stopped"  # it called study.stop()
    real = optuna.create_study()
    for theirs, expected, shown in ((real.ask(), _TRIAL, "PipeTrial"), (real, _STUDY, "_Study")):
        public = {name for name in dir(theirs) if not name.startswith("_")}
        assert set(expected) == public, "Optuna's interface has changed"
        with open(f"{shown}.json") as file:
            found = json.load(file)
        for name, text in expected.items():
            assert text in found[name], (name, found[name])


def test_attributes_are_in_the_result_in_the_index_and_in_the_record(here):
    def objective(trial):
        import math

        import numpy as np

        trial.set_user_attr("epochs", np.int64(7))
        trial.set_user_attr("params", {"depth": math.inf})  # a name that Outlast has a use for
        trial.set_system_attr("artifacts:1", "a file")
        try:
            trial.set_user_attr("model", object())
        except TypeError as error:
            trial.set_user_attr("said", str(error))
        return trial.suggest_categorical("kind", [int, float]) is int

    result = outlast.optimize(objective, trials=2, quiet=True)
    for row, trial in zip(result.study.trials, result.trials, strict=True):
        assert row.user_attrs["epochs"] == trial.user_attrs["epochs"] == 7
        assert row.user_attrs["params"] == trial.user_attrs["params"] == {"depth": float("inf")}
        assert "a object cannot be kept; save it in a file" in row.user_attrs["said"].replace("an object", "a object")
        assert row.system_attrs["artifacts:1"] == "a file"
        assert row.params["kind"] in ("int", "float") and row.value == (row.params["kind"] == "int")
    record = (here / "studies/objective/trials/0000/trial.json").read_text()
    assert '"kind": "attribute_set", "trial": 0, "name": "epochs"' in record


def test_a_constraint_keeps_a_trial_from_being_the_best():
    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("enough", 0.5 - x)
        return x

    result = outlast.optimize(objective, trials=6, seed=3, quiet=True)
    assert min(trial.value for trial in result.trials) < 0.5 <= result.best_value
    assert result.study.best_value == result.best_value


@pytest.mark.slow
def test_what_was_noted_before_a_kill_is_there_in_the_next_attempt(here):
    (here / "search.py").write_text(
        "import os, signal, outlast\n"
        "def noting(trial):\n"
        "    if trial.user_attrs.get('begun'):\n"
        "        return float(trial.user_attrs['begun'])\n"
        "    trial.set_user_attr('begun', 3)\n"
        "    trial.suggest_float('x', 0, 1)\n"
        "    os.kill(int(os.environ['SEARCH']), signal.SIGKILL)\n"
        "    trial.suggest_float('y', 0, 1)\n"
        "if __name__ == '__main__':\n"
        "    os.environ['SEARCH'] = str(os.getpid())\n"
        "    print(outlast.optimize(noting, trials=1))\n"
    )
    command = [sys.executable, "search.py"]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "done, 1 trial, best trial 0: 3" in done.stdout, done
    assert os.path.isdir("studies/noting")
