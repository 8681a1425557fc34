"""Optuna 5 as its users have it: an objective that asks for its parameters, and a sampler; and AutoSampler's rule.

The rule (hub.optuna.org/samplers/auto_sampler, and the article "AutoSampler: Automatic Selection of Optimization Algorithms in
Optuna"): the first trial is random; TPE, multivariate and with a constant liar, where parameters are categorical or conditional;
otherwise GP up to 250 trials and CMA-ES beyond, which no search here reaches.
"""

from __future__ import annotations

from typing import Any

import optuna
from axes import conditional, exists
from speaking import Search, serve


def sampler_of(said: dict[str, Any]) -> optuna.samplers.BaseSampler:
    """A method's sampler."""
    seed, space = said["seed"], said["space"]
    match said["method"]:
        case "optuna_tpe":
            return optuna.samplers.TPESampler(seed=seed)
        case "optuna_gp":
            return optuna.samplers.GPSampler(seed=seed)
        case "optuna_cmaes":
            return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        case "optuna_qmc":
            return optuna.samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
        case "optuna_auto":
            if conditional(space) or any(parameter["kind"] == "choice" for parameter in space):
                return optuna.samplers.TPESampler(
                    seed=seed,
                    multivariate=True,
                    constant_liar=True,
                    warn_independent_sampling=False,
                    n_startup_trials=10,
                )
            return optuna.samplers.GPSampler(seed=seed)
    return optuna.samplers.RandomSampler(seed=seed)


class OptunaSearch:
    """A study in memory."""

    def __init__(self, said: dict[str, Any]) -> None:
        self._space = said["space"]
        self._study = optuna.create_study(sampler=sampler_of(said))

    def ask(self) -> tuple[Any, dict[str, Any]]:
        trial, params = self._study.ask(), {}
        for parameter in self._space:
            if exists(parameter, params):
                params[parameter["name"]] = _suggested(trial, parameter)
        return trial, params

    def tell(self, handle: Any, value: float | None) -> None:
        if value is None:
            self._study.tell(handle, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(handle, value)


def _suggested(trial: optuna.Trial, parameter: dict[str, Any]) -> Any:
    name = parameter["name"]
    if parameter["kind"] == "choice":
        return trial.suggest_categorical(name, parameter["choices"])
    suggest = trial.suggest_int if parameter["kind"] == "int" else trial.suggest_float
    return suggest(name, parameter["low"], parameter["high"], log=parameter["log"])


def begin(said: dict[str, Any]) -> Search:
    """A new search."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return OptunaSearch(said)


if __name__ == "__main__":
    serve(begin)
