"""An objective that costs nothing but what it asks and says: 10 parameters, 20 reports; ours in kept workers, or plain Optuna.
And a function of two parameters, in kept workers or in a fork for each trial.

``python _kept_side.py kept|function|worker|journal|sqlite TRIALS AT_ONCE`` in an empty folder; prints seconds, by the clock and
of the processors.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from typing import Any

PARAMETERS, REPORTS = 10, 20


def objective(trial: Any) -> float:
    """Ask, report, return."""
    value = sum(trial.suggest_float(f"x{at}", -1.0, 1.0) ** 2 for at in range(PARAMETERS))
    for step in range(REPORTS):
        trial.report(value / (step + 1), step)
    return float(value)


def valley(x: float, y: float) -> float:
    """Of two parameters."""
    return x * x + y * y


def ours(trials: int, at_once: int, *, asks: bool, isolation: str) -> None:
    """Our side."""
    import outlast

    space = None if asks else {name: {"min": -1.0, "max": 1.0} for name in ("x", "y")}
    outlast.optimize(
        objective if asks else valley, parameters=space, trials=trials, name="bench", isolation=isolation, sampler="random",
        parallel=at_once, quiet=True,
    )  # fmt: skip


def _storage(kind: str) -> Any:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    if kind == "sqlite":
        return "sqlite:///study.db"
    return optuna.storages.JournalStorage(JournalFileBackend("study.journal"))


def _work(kind: str, trials: int) -> None:
    import optuna
    from optuna.study import MaxTrialsCallback

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.RandomSampler()
    study = optuna.load_study(study_name="bench", storage=_storage(kind), sampler=sampler)
    study.optimize(objective, callbacks=[MaxTrialsCallback(trials, states=None)])


def theirs(kind: str, trials: int, at_once: int) -> None:
    """Plain Optuna: as many processes on one storage."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    optuna.create_study(study_name="bench", storage=_storage(kind))
    context = multiprocessing.get_context("fork")  # their imports are not what is measured
    workers = [context.Process(target=_work, args=(kind, trials)) for _ in range(at_once)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def main() -> None:
    """Run one side."""
    side, trials, at_once = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    began = time.perf_counter()
    if side in ("kept", "function", "worker"):
        ours(trials, at_once, asks=side == "kept", isolation="worker" if side == "worker" else "kept")
    else:
        theirs(side, trials, at_once)
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(time.perf_counter() - began, sum(each.ru_utime + each.ru_stime for each in used))


if __name__ == "__main__":
    main()
