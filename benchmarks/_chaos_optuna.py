"""Plain Optuna under chaos, as its documentation has it: heartbeats, and a callback that queues dead trials again.

    python _chaos_optuna.py FOLDER TRIALS EPOCHS SECONDS EVERY SEED

One process: works on the study in FOLDER until it has its trials. A trial that another one died in is taken up, once its
heartbeat is stale, as a new trial with the old parameters; it goes on from the checkpoint of the first of its kind.
"""

from __future__ import annotations

import os
import sys
import warnings

import optuna
from _chaos_training import train
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.study import MaxTrialsCallback
from optuna.trial import FrozenTrial, Trial, TrialState

NAME = "chaos"
HEARTBEAT, GRACE = 1, 2  # seconds, whole numbers: as fast as Optuna allows


def open_study(folder: str, seed: int) -> optuna.Study:
    """The study on its SQLite file."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    storage = RDBStorage(
        f"sqlite:///{folder}/study.db",
        heartbeat_interval=HEARTBEAT,
        grace_period=GRACE,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(),  # RetryFailedTrialCallback until Optuna 4.9
    )
    return optuna.create_study(
        study_name=NAME,
        storage=storage,
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.RandomSampler(seed=seed),
    )


def original(trial: FrozenTrial) -> int:
    """The number under which this configuration was first tried."""
    return int(trial.system_attrs.get("failed_trial", trial.number))


def attempt(trial: FrozenTrial) -> int:
    """The how-manieth time it is tried."""
    return len(trial.system_attrs.get("retry_history", ())) + 1


def main() -> None:
    """Optimise until the study has its complete trials."""
    folder, trials, epochs, seconds, every, seed = sys.argv[1:]

    def objective(trial: Trial) -> float:
        row = trial.study.get_trials(deepcopy=False)[trial.number]
        number = original(row)
        return train(
            trial.suggest_float("x", 0.0, 1.0),
            trial=number,
            attempt=attempt(row),
            epochs=int(epochs),
            seconds=float(seconds),
            every=int(every),
            checkpoint=os.path.join(folder, f"state.{number}.json"),
            resume=True,
            audit=os.path.join(folder, "audit.jsonl"),
        )

    study = open_study(folder, int(seed))
    study.optimize(objective, callbacks=[MaxTrialsCallback(int(trials), states=(TrialState.COMPLETE,))])


if __name__ == "__main__":
    main()
