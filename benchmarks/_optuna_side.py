"""Plain Optuna, as its documentation has it: n processes on one SQLite storage, each with its own sampler.

python _optuna_side.py URL TRIALS PROCESSES command|function [FILE that the objective notes its beginning in]
"""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path

import optuna
from _objectives import loss
from optuna.study import MaxTrialsCallback
from optuna.trial import Trial, TrialState

NAME = "valley"
PROGRAM = str(Path(__file__).with_name("_objectives.py"))


def make_sampler() -> optuna.samplers.BaseSampler:
    """The sampler of both sides."""
    return optuna.samplers.TPESampler(multivariate=True, constant_liar=True)


def objective(trial: Trial, kind: str, began: str | None) -> float:
    """Ask for the parameters and compute the loss, here or in a program."""
    x, y = trial.suggest_float("x", -5.0, 5.0), trial.suggest_float("y", -5.0, 5.0)
    if kind == "function":
        return loss(x, y)
    argv = [sys.executable, PROGRAM, *([f"--began={began}"] if began else []), f"--x={x}", f"--y={y}"]
    output = subprocess.run(argv, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout
    return float(output.rpartition("loss:")[2])


def work(url: str, trials: int, kind: str, began: str | None) -> None:
    """One process: go on until the study has its trials."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.load_study(study_name=NAME, storage=url, sampler=make_sampler())
    study.optimize(
        lambda trial: objective(trial, kind, began),
        callbacks=[MaxTrialsCallback(trials, states=(TrialState.COMPLETE,))],
    )


def main() -> None:
    """Create the study if need be, and run the processes to their end."""
    url, trials, processes, kind, *rest = sys.argv[1:]
    began = rest[0] if rest else None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.create_study(study_name=NAME, storage=url, direction="minimize", load_if_exists=True)
    if int(processes) == 1:
        return work(url, int(trials), kind, began)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=work, args=(url, int(trials), kind, began)) for _ in range(int(processes))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sys.exit(max(worker.exitcode or 0 for worker in workers))


if __name__ == "__main__":
    main()
