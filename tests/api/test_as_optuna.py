"""What Optuna's own `study.optimize` takes and does, taken and done by `outlast.optimize`: callbacks, catch, objects, words."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from optuna.study import MaxTrialsCallback

import outlast
from outlast.errors import UsageError
from outlast.objective.returned import values_of

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::optuna.exceptions.ExperimentalWarning")


class Quiet(optuna.pruners.NopPruner):
    """What it was made with is not seen in it."""

    def __init__(self, words: int = 3) -> None:
        self._letters = 2 * words


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def quickly(objective, **how):
    return outlast.optimize(objective, **{"parallel": 1, "isolation": "process", "quiet": True, **how})


def test_callbacks_steer_a_search_with_objects_constraints_and_failures_that_are_expected():
    class Hopeless(optuna.TrialPruned):
        """Of the objective's own."""

    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        trial.report(x, 0)
        trial.report(9.0, 0)  # the first one stands
        if trial.number == 3:
            raise ZeroDivisionError("a configuration that cannot work")
        if trial.number == 4:
            raise Hopeless
        with pytest.raises(ValueError, match="kind"):
            trial.suggest_int("x", 0, 1)
        assert trial.suggest_float("x", 0, 2) == x
        return None if trial.number == 5 else x

    seen = []

    def told(study, trial):
        seen.append((trial.number, trial.state.name, len(study.get_trials(states=[optuna.trial.TrialState.RUNNING]))))
        study.set_user_attr("seen", trial.number)
        if trial.number == 1:
            study.enqueue_trial({"x": np.float32(0.25)}, user_attrs={"why": np.int64(1)})
            study.enqueue_trial({"x": 0.75}, skip_if_exists=True)
        if trial.number == 6:
            assert study.user_attrs == {"seen": 6} and study.best_trial.number == 2
            study.stop()

    sampler = optuna.samplers.TPESampler(seed=1, constraints_func=lambda trial: (trial.params["x"] - 0.5,))
    pruner = optuna.pruners.PatientPruner(optuna.pruners.MedianPruner(), patience=2)
    result = quickly(
        objective, trials=20, sampler=sampler, pruner=pruner, callbacks=[told], catch=ArithmeticError,
        enqueue=[{"x": 0.75}],
    )  # fmt: skip
    states = ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL", "PRUNED", "FAIL", "COMPLETE"]
    assert seen == [(number, state, 0) for number, state in enumerate(states)], "nothing begins before it was called"
    assert str(result.state) == "stopped"
    assert [result.trials[at].params["x"] for at in (0, 2)] == [0.75, 0.25]
    assert result.trials[2].user_attrs == result.study.trials[2].user_attrs == {"why": 1}
    assert "returned nothing" in result.trials[5].reason
    assert result.trials[1].curve() == {0: result.trials[1].params["x"]}
    for trial in result.study.trials:
        if trial.state.name in ("COMPLETE", "PRUNED"):
            assert trial.system_attrs["constraints"] == [trial.params["x"] - 0.5]
    assert result.best_value <= 0.5
    assert result.study.user_attrs == {"seen": 6}


def test_an_exception_that_catch_does_not_name_ends_the_search_and_the_same_call_goes_on(capsys):
    def objective(trial):
        if trial.number == 1:
            raise KeyError("a mistake")
        return trial.suggest_float("x", 0, 1)

    result = quickly(objective, trials=4, catch=(ValueError,), quiet=False)
    assert (str(result.state), len(result.trials)) == ("halted", 2)
    assert "KeyError: 'a mistake'; `catch` does not name it" in capsys.readouterr().out
    result = quickly(objective, trials=4, catch=(ValueError,))
    assert [trial.state.value for trial in result.trials] == ["complete", "failed", "complete", "complete"]


def test_expected_failures_count_and_halt_nothing():
    def objective(trial):
        raise ValueError("always")

    result = quickly(objective, trials=4, catch=ValueError, isolation="process")
    assert [trial.state.value for trial in result.trials] == ["failed"] * 4  # without `catch` three alike halt it


def test_what_a_callback_raises_comes_out_and_a_later_call_has_its_own_callbacks():
    def objective(trial):
        return trial.suggest_float("x", 0, 1)

    def broken(study, trial):
        raise LookupError("of the caller's own")

    with pytest.raises(LookupError, match="of the caller's own"):
        quickly(objective, trials=9, callbacks=[broken])
    result = quickly(objective, trials=9, callbacks=[MaxTrialsCallback(2)], isolation="worker")
    assert (str(result.state), len(result.trials)) == ("stopped", 2)


def test_helpers_of_optunas_find_what_they_look_for_in_a_trial(here):
    import optuna.integration
    import optuna.terminator

    def objective(trial):
        assert optuna.integration is not None  # a module of a class of its own
        (here / "kept.txt").write_text("kept")
        store = optuna.artifacts.FileSystemArtifactStore(base_path=str(here))
        optuna.artifacts.upload_artifact(artifact_store=store, file_path=str(here / "kept.txt"), study_or_trial=trial)
        optuna.terminator.report_cross_validation_scores(trial, [0.5, 0.25])
        flag = trial._suggest("flag", optuna.distributions.CategoricalDistribution((True, None)))
        assert flag in (True, None)
        return trial._suggest("x", optuna.distributions.FloatDistribution(1e-3, 1.0, log=True))

    study = quickly(objective, trials=1, isolation="process").study
    (trial,) = study.trials
    assert trial.system_attrs["terminator:cv_scores"] == [0.5, 0.25]
    (found,) = optuna.artifacts.get_all_artifact_meta(trial, storage=study._storage)
    assert found.filename == "kept.txt"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"n_trials": 3}, "trials=, the total"),
        ({"n_jobs": 2}, "parallel="),
        ({"storage": "sqlite:///a.db"}, "dir=, the study's folder"),
        ({"show_progress_bar": True}, "leave it out"),
        ({"catch": 3}, "catch"),
        ({"callbacks": print}, "callbacks=[f, …]"),
        ({"callbacks": [print, "stop"]}, "'stop' cannot be called"),
        ({"catch": [ValueError, "KeyError"]}, "class of exceptions"),
        ({"catch": ValueError, "parameters": {"x": "uniform(0, 1)"}}, "leave parameters= out"),
        ({"pruner": optuna.pruners.PatientPruner(Quiet(4), 2)}, "Quiet cannot be kept with the study"),
    ],
)
def test_words_of_optunas_and_what_cannot_be_kept_are_refused_with_what_to_say_and_nothing_is_written(
    arguments, says, here
):
    with pytest.raises(UsageError) as caught:
        outlast.optimize(lambda trial: 0.0, **arguments)
    assert says in str(caught.value)
    assert not list(here.iterdir())


@pytest.mark.parametrize(
    ("returned", "names", "values"),
    [
        (1, "v", [1.0]),
        ("0.5", "v", [0.5]),
        ([2], "v", [2.0]),
        ((1, 2.5), "vw", [1.0, 2.5]),
        (None, "v", "returned nothing, and the search asks for 1: v"),
        ((1, 2), "v", "returned 2 values, and the search asks for 1: v"),
        (1.0, "vw", "returned 1 value, and the search asks for 2: v, w"),
        ("high", "v", "returned 'high', which is no number"),
        ([None], "v", "returned None, which is no number"),
    ],
)
def test_what_an_objective_may_return(returned, names, values):
    if isinstance(values, list):
        assert values_of(returned, names) == values
    else:
        with pytest.raises(ValueError, match=values):
            values_of(returned, names)
