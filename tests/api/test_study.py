"""`outlast.Study`: one search as an object, from a study file or its keys; what it says is what the folder says."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

import optuna
import pytest
from tests.lab.waiting import until

import outlast
from outlast.api.described import with_calls
from outlast.api.interrupts import Interrupts
from outlast.engine import launch
from outlast.errors import StudyFileError, StudyNotFound, UsageError

KEYS = {
    "command": [sys.executable, "train.py", "${args}"],
    "metric": {"name": "score", "goal": "maximize"},
    "parameters": {"x": {"min": 0.0, "max": 1.0}},
    "budget": {"trials": 2},
}
TRAIN = "import sys\nprint('score:', sys.argv[1].partition('=')[2])\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TRAIN)
    return tmp_path


SMALL = {
    "function": lambda x, k: x + k,
    "parameters": {"x": {"min": 0.0, "max": 1.0}, "k": {"values": [0, 1]}},
    "minimize": "cost",
    "trials": 3,
    "name": "small",
    "sampler": {"name": "random", "seed": 3},
    "parallel": 1,
    "isolation": "worker",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small study, searched once."""
    place = tmp_path_factory.mktemp("searched") / "small"
    outlast.Study.create(**SMALL, dir=place).run(quiet=True)
    return place


@pytest.fixture
def searched(folder, here):
    shutil.copytree(folder, here / "studies" / "small", symlinks=True)
    return outlast.Study.create(**SMALL)


def test_a_study_is_looked_at_as_an_object(searched, here):
    assert searched.dir == "studies/small" and searched.name == "small"
    assert searched.status()["counts"]["complete"] == 3 and searched.status()["state"] == "done"
    frame = searched.trials("pandas")
    assert frame["value"].min() == searched.best.value == searched.best_trials[0].value
    assert len(searched.trials("polars")) == 3
    assert searched.to_optuna().best_value == searched.best.value == searched.result.best_value
    assert repr(searched).startswith("<outlast.Study studies/small: done, 3 of 3 trials, best trial ")
    assert "3 of 3" in searched._repr_html_()
    for drawn in (
        searched.plot_history(),
        searched.plot_importances(),
        searched.plot_parallel(),
        searched.plot_slices(),
    ):
        assert drawn.data
    with pytest.raises(UsageError, match="no plot yet: no trial has reported steps"):
        searched.plot_curves()
    with pytest.raises(UsageError, match="several objectives"):
        searched.plot_pareto()
    assert searched.report() == "studies/small/report.html" and (here / "studies/small/report.html").exists()


def test_another_object_says_the_same_and_goes_on(here):
    searched = outlast.Study.create(**SMALL)
    searched.run(quiet=True)
    for named in ("studies/small", "small"):
        other = outlast.Study.open(named)
        assert other.status()["counts"] == searched.status()["counts"] and other.best == searched.best
    result = outlast.Study.open("studies/small").run(trials=5, quiet=True)  # the objective is on record as well
    assert [trial.number for trial in result.trials] == [0, 1, 2, 3, 4] and len(searched.best_trials) == 1
    assert searched.status()["counts"]["complete"] == 5
    assert searched.retry() == [] and searched.retry([1]) == [1]
    assert len(outlast.Study.open("small").run(quiet=True).trials[1].attempts) == 2


@pytest.mark.slow
def test_the_command_line_and_the_object_are_one_search(here):
    study = outlast.Study.create({**KEYS, "name": "both"}, trials=1)
    assert study.run(quiet=True).state.value == "done"
    asked = [sys.executable, "-m", "outlast", "run", "studies/both", "--trials", "2"]
    subprocess.run(asked, capture_output=True, check=True, timeout=120)
    assert study.status()["counts"]["complete"] == 2
    said = subprocess.run(
        [sys.executable, "-m", "outlast", "status", "studies/both", "--json"], capture_output=True, check=True
    )
    told = json.loads(said.stdout)
    assert {key: value for key, value in told.items() if key != "at"} == {
        key: value for key, value in study.status().items() if key != "at"
    }


def test_what_was_described_is_nothing_until_it_is_run(here):
    study = outlast.Study.create({**KEYS, "name": "later"})
    assert repr(study) == "<outlast.Study studies/later: not begun>" and "not begun" in study._repr_html_()
    assert study.best is None and study.best_trials == () and len(study.trials()) == 0
    assert not (here / "studies").exists()
    with pytest.raises(StudyNotFound):
        study.status()


def test_a_study_file_with_keys_on_top(here):
    (here / "sub").mkdir()
    (here / "sub" / "train.py").write_text(TRAIN)
    (here / "sub" / "study.yaml").write_text(json.dumps(KEYS))
    study = outlast.Study.create("sub/study.yaml", trials=7, parameters={"y": {"values": [1, 2]}}, name="mine")
    settings = study._searched.settings()
    assert (settings.name, settings.budget.trials, settings.working_directory) == ("mine", 7, str(here / "sub"))
    assert [parameter.name for parameter in settings.parameters] == ["x", "y"]
    assert outlast.Study.create("sub/study.yaml").name == "study"
    assert outlast.Study.create(KEYS).name == "train"
    assert outlast.Study.create(KEYS, dir="kept/{name}").dir == "kept/train"
    assert study._searched.settings(budget__trials=9).budget.trials == 9


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"metric": "score"}, r"^Study.create\(\): metric: needs a goal"),
        ({"budgt": {"trials": 1}}, "(?s)budgt: unknown key.*did you mean `budget`"),
        ({"trials": 0}, r"^Study.create\(\): budget.trials: must be a whole number"),
        (
            {"command": None, "function": lambda x: x, "objective": lambda t: 0},
            "objective and function: two ways to train",
        ),
        ({"command": None, "function": lambda x: x, "parameters": None}, "called with its parameters"),
        ({"maximize": "a", "minimize": "b"}, "exclude each other"),
        ({"minimize": "a"}, "metric and minimize: two metrics"),
        ({"source": lambda trial: 0}, "(?s)a function was given where a study file.*objective="),
        ({"n_trials": 3}, r"(?s)^Study.create\(\) has no n_trials=.*trials="),
        ({"direction": "maximize"}, '(?s)has no direction=.*maximize="NAME"'),
        ({"budget": None}, "or trials=50"),
        ({"source": "missing.yaml"}, "missing.yaml: does not exist"),
        ({"command": "python trian.py ${args}"}, "trian.py"),
        ({"dir": "x/{lr}"}, "stands for nothing"),
        ({"name": "../evil"}, "name"),
    ],
)
def test_a_wrong_argument_is_refused_as_in_a_study_file_and_nothing_is_written(arguments, says, here):
    given = {key: value for key, value in {**KEYS, **arguments}.items() if value is not None}
    source = given.pop("source", None)
    with pytest.raises((StudyFileError, UsageError), match=says):
        outlast.Study.create(source, **given).run(quiet=True)
    assert {entry.name for entry in here.iterdir()} == {"train.py"}


def test_a_goal_that_is_said_wins_over_that_of_the_keys_that_it_changes(here):
    for more in ({}, {"command": None, "function": lambda x: x}):
        keys = {key: value for key, value in {**KEYS, **more}.items() if value is not None}
        (metric,) = outlast.Study.create(keys, minimize="loss")._searched.settings().metrics
        assert (metric.name, metric.goal) == ("loss", "minimize")


@pytest.mark.filterwarnings("ignore:.*constraints_func.*:FutureWarning")
def test_samplers_and_pruners_may_be_optunas_own(here):
    sampler = optuna.samplers.TPESampler(seed=3, n_startup_trials=4)
    study = outlast.Study.create(KEYS, sampler=sampler, pruner=optuna.pruners.MedianPruner())
    settings = study._searched.settings()
    assert (settings.sampler.name, settings.sampler.seed, settings.pruner.name) == (
        "optuna.samplers.TPESampler", 3, "median",
    )  # fmt: skip
    constrained = optuna.samplers.TPESampler(constraints_func=lambda trial: (0.0,))
    with pytest.raises(UsageError, match="constraints: is for an objective"):
        outlast.Study.create(KEYS, sampler=constrained)


def test_it_is_the_same_study_when_the_process_works_elsewhere(searched, here, monkeypatch):
    described = outlast.Study.create({**KEYS, "name": "later"})
    other, working = outlast.Study.open("small"), described._searched.settings().working_directory
    assert other.dir == "studies/small"
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert searched.dir == other.dir == str(here / "studies/small") and searched.best == other.best != None  # noqa: E711
    assert other.name == "small" and described._searched.settings().working_directory == working


def test_a_study_that_is_not_begun_is_told_of_as_in_python(here):
    study = outlast.Study.create({**KEYS, "name": "later"}, dir="<img src=x onerror=alert(1)>")
    assert "<img" not in study._repr_html_()
    for look in (study.status, lambda: study.result, study.report):
        with pytest.raises(StudyNotFound, match=r"study.run\(\) begins it"):
            look()


def test_a_damaged_study_is_shown_as_such(searched, here):
    (ledger,) = (here / "studies/small/ledger").glob("*.jsonl")
    ledger.write_text("\n".join(line for line in ledger.read_text().splitlines() if '"trial_created"' not in line))
    assert repr(searched).startswith("<outlast.Study studies/small: ") and "<div>" in searched._repr_html_()


def test_optunas_study_is_made_of_the_record_and_looking_writes_nothing(searched, here):
    index = here / "studies/small/study.db"
    index.unlink()
    found = searched.to_optuna()
    assert [trial.value for trial in found.trials] == [trial.value for trial in searched.result.trials]
    found.enqueue_trial({"x": 0.5, "k": 1})
    assert not index.exists() and len(searched.to_optuna().trials) == 3


def test_a_study_in_memory_leaves_what_it_found(here):
    study = outlast.Study.create(**{**SMALL, "index": {"in_memory": True}})
    result = study.run(quiet=True)
    assert len(result.trials_dataframe()) == len(result.study.trials) == 3 and not (here / "studies").exists()
    assert "3 trials" in result._repr_html_() and f"trial {result.best_trials[0].number}" in result._repr_html_()


@pytest.mark.parametrize(
    ("said", "ours"),
    [
        ("outlast refit studies/a --fresh keeps that", "study.refit(fresh=True) keeps that"),
        ("outlast refit a --trial 3 --seeds 2", "study.refit(trial=3, seeds=2)"),
        ("it may be luck (outlast confirm a)", "it may be luck (study.confirm())"),
        ("--again looks all the same, and is counted", "again=True looks all the same, and is counted"),
        ("outlast refit a  (or --trial N: the model", "study.refit()  (or trial=N: the model"),
        ("outlast logs a 3", "outlast logs a 3"),
    ],
)
def test_cures_call_methods(said, ours):
    assert str(with_calls(UsageError("a fact", cure=said))) == f"a fact\n  {ours}"


def test_interrupts_behind_the_end_are_not_lost(monkeypatch):
    heard = []
    monkeypatch.setattr(signal, "default_int_handler", lambda *_: heard.append("outside"))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        for presses, expected in ((0, []), (1, ["outside"]), (2, ["outside"])):
            heard.clear()
            interrupts = Interrupts()
            with interrupts.handled():
                interrupts.opened()
                for _ in range(presses):
                    signal.raise_signal(signal.SIGINT)
            assert heard == expected
        interrupts = Interrupts()
        with pytest.raises(KeyboardInterrupt), interrupts.handled():
            interrupts.opened()
            for _ in range(3):
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_wrong_change_for_one_run_names_the_call(searched):
    with pytest.raises(StudyFileError, match=r"^Study.run\(\): budget.trials"):
        outlast.Study.open("small").run(trials=0)


def test_what_an_earlier_study_found_is_begun_with(searched):
    keys = {"parameters": {"x": {"min": 0.0, "max": 1.0}, "k": {"values": [0, 1]}}, "minimize": "cost", "trials": 1}
    later = outlast.Study.create(function=lambda x, k: x + k, name="later", isolation="worker", **keys)
    later.run(start_from="studies/small", quiet=True)
    assert later.best.params == searched.best.params and later.best.source == f"earlier: small {searched.best.number}"
    del keys["minimize"]
    again = outlast.optimize(lambda x, k: x + k, name="third", quiet=True, start_from=["studies/small"], **keys)
    assert again.best_params == searched.best.params
    with pytest.raises(UsageError, match=r"^start_from: "):
        outlast.Study.create(objective=slow, trials=1).run(start_from="studies/small", quiet=True)


def test_there_is_no_study_to_open(here):
    (here / "study.yaml").write_text(json.dumps(KEYS))
    with pytest.raises(StudyNotFound, match=r"Study.create\('study.yaml'\)"):
        outlast.Study.open("study.yaml")


def test_an_error_is_one_line_where_ipython_shows_it():
    assert UsageError("a fact", cure="a cure")._render_traceback_() == ["UsageError: a fact\n  a cure"]


def completed(study):
    with contextlib.suppress(StudyNotFound):
        return study.status()["counts"]["complete"]


def slow(trial):
    time.sleep(0.05)
    return trial.suggest_float("x", 0, 1)


@pytest.mark.slow
def test_another_cell_stops_a_search_that_runs_in_a_thread(here):
    study, ended = outlast.Study.create(objective=slow, trials=500, parallel=1, isolation="worker"), []
    thread = threading.Thread(target=lambda: ended.append(study.run(quiet=True)))
    thread.start()
    until(lambda: completed(study), "a trial is complete")
    assert "is stopping" in study.stop()
    thread.join(60)
    assert ended[0].state.value == "stopped" and study.status()["state"] == "stopped"
    finished = study.status()["counts"]["complete"]
    again = study.run(trials=finished + 2, quiet=True)
    assert again.state.value == "done" and [t.number for t in again.trials] == list(range(len(again.trials)))


@pytest.mark.slow
def test_a_storm_of_interrupts_leaves_a_study_that_goes_on(here, monkeypatch):
    """From the first moment of the call until its end: it returns, and nothing is lost or twice."""
    study, over = outlast.Study.create(objective=slow, trials=40, parallel=2, isolation="worker"), threading.Event()

    def press():
        while not over.wait(0.005):
            os.kill(os.getpid(), signal.SIGINT)

    def unheard(*_):
        """Stands for Python's own handler, which would raise in this test as well, behind the call."""

    monkeypatch.setattr(signal, "default_int_handler", unheard)
    before = signal.signal(signal.SIGINT, unheard)
    presses = threading.Thread(target=press)
    try:
        monkeypatch.setattr(
            Interrupts, "_handle", lambda self, *_: setattr(self, "_missed", True)
        )  # not given up early
        presses.start()
        result = study.run(quiet=True)
    finally:
        over.set()
        presses.join()
        signal.signal(signal.SIGINT, before)
    assert result.state.value == "stopped"
    again = study.run(quiet=True)
    assert again.state.value == "done" and [t.state.value for t in again.trials] == ["complete"] * 40


@pytest.mark.slow
def test_a_model_is_trained_for_good_and_tested_and_put_together(here, monkeypatch, capsys):
    waits = []
    monkeypatch.setattr(launch, "send_now", lambda *_, wait=5.0: waits.append(wait))
    (here / "train.py").write_text(
        "import os, sys\nx = sys.argv[1].partition('=')[2]\n"
        "open(os.path.join(os.environ['OUTLAST_CHECKPOINT_DIR'], 'model.pt'), 'w').write(x)\nprint('score:', x)\n"
    )
    (here / "test.py").write_text("import sys\nprint('test_score:', open(sys.argv[1]).read())\n")
    tested = {"command": [sys.executable, "test.py", "${model}"], "metric": {"name": "test_score", "goal": "maximize"}}
    study = outlast.Study.create(KEYS, evaluate=tested, checkpoints={"pattern": "*.pt"}, parallel=1)
    study.run(quiet=True)
    study.refit(trial=0)
    assert "refit: trial 0, asked for" in (said := capsys.readouterr().out) and "luck (study.confirm())" in said
    confirmed = study.confirm(top=2, seeds=1, quiet=True)
    assert confirmed["final"] and confirmed["best"]["trial"] == study.best.number
    refitted = study.refit(quiet=True)
    assert refitted["trial"] == study.best.number and refitted["trainings"][0]["model"]
    looked = study.evaluate(quiet=True)
    assert looked == study.evaluate(quiet=True) and looked["looked"] == 1
    assert looked["looks"][0]["scores"] == {"test_score": pytest.approx(study.best.value)}
    assert (here / study.export() / "run.sh").exists()
    study.evaluate(trial=study.best.number, again=True, quiet=True)
    with pytest.raises(UsageError, match=r"again=True looks all the same"):
        study.evaluate(trial=1 - study.best.number, quiet=True)
    assert set(waits) == {5.0}, "nobody waits longer for a tracker: what it lacks stays in the folder"


LOOKS = """
import json, sys
import outlast
study = outlast.Study.open("small")
found = study.status()["state"], study.best.number >= 0, "3 of 3" in study._repr_html_(), len(study.trials("pandas"))
heavy = {"optuna", "scipy", "sqlalchemy", "plotly", "asyncio", "psutil", "pydantic"}  # pandas loads cloudpickle itself
deciding = ("outlast.engine.hold", "outlast.engine.coordinator")
print(json.dumps([found, sorted(heavy & {name.partition(".")[0] for name in sys.modules}),
                  sorted(name for name in sys.modules if name.startswith(deciding))]))
"""


@pytest.mark.slow
@pytest.mark.usefixtures("searched")
def test_looking_loads_nothing_that_decides():
    said = subprocess.run([sys.executable, "-c", LOOKS], capture_output=True, check=True, timeout=120)
    assert json.loads(said.stdout) == [["done", True, True, 3], [], []]
