"""Searches that never were, as long and as eventful as a test wants them: events, folded."""

from __future__ import annotations

import math
import random
from datetime import datetime, timedelta, timezone
from typing import Any

from outlast.config.load import settings_from_resolved
from outlast.config.settings import Settings
from outlast.core.fold import Study, fold
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    Event,
    RevisionMade,
    RunStarted,
    StudyCreated,
    StudyEnded,
    TrialCreated,
)
from outlast.core.states import Cause, TrialState

BEGAN = datetime(2026, 1, 5, 8, tzinfo=timezone.utc)
#: Text that would be markup, end a script, or leave an attribute, if anything took it for more than text.
HOSTILE = "</script><img src=x onerror=window.hurt=1><!--<script>\u2028&amp;\"'`"


def study_file(*, hostile: bool = False, objectives: int = 1) -> dict[str, Any]:
    """A resolved study file: four parameters of different kinds."""
    mark = HOSTILE if hostile else ""
    metrics: list[dict[str, Any]] = [{"name": f"val_accuracy{mark}", "goal": "maximize"}]
    metrics += [{"name": "latency", "goal": "minimize"}] * (objectives - 1)
    return {
        "name": "hostile" if hostile else "digits",
        "command": ["python", "train.py", f"--note={mark}" if hostile else "--epochs=30", "${args}"],
        "metric": metrics,
        "parameters": {
            "lr": {"min": 1e-5, "max": 0.1, "distribution": "log_uniform_values"},
            "layers": {"min": 1, "max": 8},
            "optimizer": {"values": ["adam", "sgd", f"lamb{mark}"]},
            "dropout": {"min": 0.0, "max": 0.6},
        },
        "pruner": "median" if objectives == 1 else "none",
        "budget": {"trials": 100_000},
    }


def settings_of(file: dict[str, Any]) -> Settings:
    """Its settings."""
    return settings_from_resolved(file, ".")


def events(file: dict[str, Any], trials: int, *, epochs: int = 20, slots: int = 4, seed: int = 7) -> list[Event]:
    """A search on some slots: trials complete, are pruned, fail in two ways, are preempted and resumed."""
    drawn, mark = random.Random(seed), HOSTILE if file["name"] == "hostile" else ""
    lr = "lr"
    found: list[Event] = [
        StudyCreated(file["name"] + mark, _at(0), "0.1.0", study_seed=seed), RevisionMade(1, _at(0), file),
        RunStarted(_at(0), f"node-1{mark}", 4711),
    ]  # fmt: skip
    free = [0.0] * slots
    for number in range(trials):
        slot = min(range(slots), key=free.__getitem__)
        params = {
            lr: 10 ** drawn.uniform(-5, -1), "layers": drawn.randint(1, 8),
            "optimizer": drawn.choice(["adam", "sgd", f"lamb{mark}"]), "dropout": round(drawn.uniform(0, 0.6), 3),
            **({f"drawn{mark}": mark} if mark else {}),  # as an objective that draws as it goes may call it
        }  # fmt: skip
        if drawn.random() < number / trials * 0.8:  # as a sampler that learns
            params[lr], params["optimizer"] = 10 ** drawn.gauss(-2.8, 0.35), "adam"
        found.append(TrialCreated(number, _at(free[slot]), params, seed=number))
        begun = free[slot]
        for event, at in _life(number, params, lr, begun, f"local:{slot}", drawn, epochs, len(file["metric"]), mark):
            found.append(event)
            free[slot] = at
    found.append(StudyEnded(_at(max(free)), "stopped", "stopped by hand", max(free)))
    return found


def a_search(trials: int, *, hostile: bool = False, objectives: int = 1, epochs: int = 20) -> tuple[Study, Settings]:
    """A study that has run for a while, with its settings."""
    file = study_file(hostile=hostile, objectives=objectives)
    return fold(events(file, trials, epochs=epochs)), settings_of(file)


def _life(
    number: int, params: dict[str, Any], lr: str, begun: float, slot: str, drawn: random.Random, epochs: int,
    objectives: int, mark: str,
) -> list[tuple[Event, float]]:  # fmt: skip
    best = 0.93 - 0.05 * (math.log10(params[lr]) + 2.8) ** 2 - 0.01 * abs(params["layers"] - 4) + drawn.gauss(0, 0.008)
    best -= 0.05 * (params["optimizer"] != "adam")
    whole = tuple((step, best * (1 - 0.8 * math.exp(-4 * (step + 1) / epochs))) for step in range(epochs))
    out: list[tuple[Event, float]] = []
    at, attempt, first = begun + 2, 1, 0
    if drawn.random() < 0.06:
        first = epochs // 2
        out += _attempt(number, 1, at, 30.0, slot, False, TrialState.INTERRUPTED, Cause.PREEMPTED, whole[:first], mark)
        at, attempt = at + 45, 2
    code, resumed = "1f3c5a7b9d0e+a1b2c3d4", attempt > 1
    kind = drawn.random()
    if kind < 0.05:
        why = f"CUDA out of memory{mark}" if params["layers"] > 5 else f"ValueError: shapes do not fit{mark}"
        cause = Cause.GPU_OUT_OF_MEMORY if params["layers"] > 5 else Cause.CRASH
        out += _attempt(number, attempt, at, 9.0, slot, resumed, TrialState.FAILED, cause, (), mark, why=why)
        return out
    if kind < 0.4 and best < 0.86:
        end = max(first + 2, epochs // 4)
        out += _attempt(
            number, attempt, at, 20.0, slot, resumed, TrialState.PRUNED, Cause.PRUNED, whole[first:end], mark
        )
        return out
    values = (whole[-1][1], 5.0 + params["layers"] * 2 + drawn.gauss(0, 1))[:objectives]
    out += _attempt(
        number, attempt, at, 60 + 8 * params["layers"], slot, resumed, TrialState.COMPLETE, Cause.COMPLETED, whole[first:],
        mark, values=values, code=code,
    )  # fmt: skip
    return out


def _attempt(
    number: int, attempt: int, at: float, seconds: float, slot: str, resumed: bool, state: TrialState, cause: Cause,
    curve: tuple[tuple[int, float], ...], mark: str, *, values: tuple[float, ...] | None = None, why: str = "",
    code: str = "1f3c5a7b9d0e",
) -> list[tuple[Event, float]]:  # fmt: skip
    end = at + seconds
    return [
        (AttemptOpened(number, attempt, _at(at), slot, resumed, code, gpus=(f"GPU-{slot[-1]}",)), end),
        (
            AttemptEnded(
                number, attempt, _at(end), state, cause, why, values, (curve,), {}, seconds, signature=why[:30],
                host=f"node-1{mark}", last_step=curve[-1][0] if curve else None,
            ),
            end,
        ),
    ]  # fmt: skip


def _at(seconds: float) -> str:
    return (BEGAN + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")
