"""Follows what an unchanged script logs to Weights & Biases or MLflow, and what a Hydra application's main function returns, by
appending it to ``reports.jsonl`` as well.

The guard: an error in here is said once on stderr and costs nothing else. The script's own call always runs first, with
its own arguments, and its own errors pass through untouched.
"""

from __future__ import annotations

import atexit
import functools
import itertools
import os
import sys
import time

import outlast_hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple

_QUIET_S = 1.0  # metrics that are no objective are written at most this often
_MOST_NAMES = 200  # in one line
_STEP_NAMES = ("trainer/global_step", "train/global_step", "global_step", "step", "epoch")
_complained = False


def _guarded(action: Callable[..., None]) -> Callable[..., None]:
    """Following never fails the training: whatever goes wrong inside is one line on stderr, said once."""

    def run(*args: Any) -> None:
        global _complained
        try:
            action(*args)
        except Exception as error:
            if not _complained:
                _complained = True
                print(
                    "outlast: cannot follow the logged metrics ({!r}); going on without".format(error), file=sys.stderr
                )

    return run


# What is logged


class _Forwarder:
    """Appends logged metrics to the attempt's reports: an objective at once, everything else now and then."""

    def __init__(self) -> None:
        self._trial: Any = outlast_hooks.load_client("_outlast_client").current_trial()
        names = os.environ.get("OUTLAST_METRICS", "")
        self._objectives = [_plain(name) for name in names.split(",") if name]
        self._known: Dict[str, bool] = {}  # name → whether it may be an objective
        self._waiting: Dict[str, float] = {}
        self._next = 0.0
        atexit.register(self.flush)

    def forward(self, via: str, metrics: Mapping[str, float], step: Optional[int]) -> None:
        """Take the metrics of one call."""
        new = [name for name in metrics if name not in self._known]
        for name in new:
            self._known[name] = not self._objectives or _plain(name).endswith(tuple(self._objectives))
        if any(self._known[name] for name in metrics):
            first = sorted(metrics, key=self._known.__getitem__, reverse=True)[:_MOST_NAMES]
            self._trial._report(step, {name: metrics[name] for name in first}, via)
            return
        self._waiting.update(metrics)
        self._via = via
        if new or time.monotonic() >= self._next:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Without a step: it is no point of an objective's curve."""
        waiting, self._waiting = self._waiting, {}
        self._next = time.monotonic() + _QUIET_S
        names = list(waiting)
        for start in range(0, len(names), _MOST_NAMES):
            part = names[start : start + _MOST_NAMES]
            self._trial._report(None, {name: waiting[name] for name in part}, self._via)


_forwarder: Optional[_Forwarder] = None


def _forward(via: str, metrics: Dict[str, float], step: Optional[int] = None) -> None:
    global _forwarder
    if not metrics:
        return
    if _forwarder is None:
        _forwarder = _Forwarder()
    _forwarder.forward(via, metrics, step)


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name.lower())


def _numbers(data: Mapping[Any, Any], prefix: str = "", depth: int = 4) -> Iterator[Tuple[str, float]]:
    """The plain numbers among logged values, nested names joined by dots. Pictures and tables are left out."""
    for key, value in data.items():
        name = prefix + str(key)
        if isinstance(value, (int, float)):
            yield name, float(value)
        elif isinstance(value, dict):
            if depth:
                yield from _numbers(value, name + ".", depth - 1)
        elif _holds_one(value):
            yield name, float(value.item())


def _holds_one(value: Any) -> bool:
    """Whether this is a NumPy scalar or array, or a tensor, of one element."""
    if not hasattr(value, "item"):
        return False
    return bool(value.numel() == 1 if hasattr(value, "numel") else getattr(value, "size", 0) == 1)


def _whole(value: Any) -> Optional[int]:
    try:
        return int(value) if int(value) == value and value >= 0 else None
    except (TypeError, ValueError, OverflowError):
        return None


def _after(owner: Any, name: str, take: Callable[..., None], before: Callable[..., Any] = lambda *_: None) -> None:
    """Let `take` see each call of a method once it has returned: its result, what `before` said of it, and its arguments."""
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        known = before(*args)
        result = original(*args, **kwargs)
        take(result, known, args, kwargs)
        return result

    setattr(owner, name, wrapped)


def _argument(args: Tuple[Any, ...], kwargs: Dict[str, Any], at: int, name: str) -> Any:
    return args[at] if len(args) > at else kwargs.get(name)


# Weights & Biases


@_guarded
def _follow_wandb() -> None:
    from importlib import import_module

    run: Any = import_module("wandb.sdk.wandb_run").Run
    _after(run, "log", _take_wandb_log, lambda self, *_: getattr(self, "_local_step", None))
    _after(import_module("wandb.sdk.wandb_summary").Summary, "_update", _take_wandb_summary)
    try:
        disabled: Any = import_module("wandb.sdk.lib.noop_run").NoopRun
    except (ImportError, AttributeError):
        return  # earlier releases use `Run` itself for WANDB_MODE=disabled
    calls = itertools.count()
    _after(disabled, "log", _take_wandb_log, lambda *_: next(calls))


@_guarded
def _take_wandb_log(_result: Any, implied: Any, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
    metrics = dict(_numbers(_argument(args, kwargs, 1, "data") or {}))
    candidates = [_argument(args, kwargs, 2, "step")] + [metrics.get(name) for name in _STEP_NAMES] + [implied]
    step = next((_whole(value) for value in candidates if _whole(value) is not None), None)
    _forward("wandb", metrics, step)


@_guarded
def _take_wandb_summary(_result: Any, _known: Any, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
    record = _argument(args, kwargs, 1, "record")
    _forward("wandb", dict(_numbers({".".join(item.key): item.value for item in record.update})))


# MLflow


@_guarded
def _follow_mlflow() -> None:
    from importlib import import_module

    client: Any = import_module("mlflow.tracking.client").MlflowClient
    _log_into_the_trials_run(client)  # first: what its server does not take is followed all the same
    _after(client, "log_metric", _take_mlflow_metric)
    client.log_batch = _with_mlflow_batch(client.log_batch)


@_guarded
def _log_into_the_trials_run(client: Any) -> None:
    """With a guard of its own: whatever release of MLflow this is, what is logged is followed."""
    from importlib import import_module

    import_module("outlast_mlflow").install(sys.modules["mlflow"], client)


@_guarded
def _make_mlflow_tables() -> None:
    from importlib import import_module

    import_module("outlast_mlflow_tables").make_one_by_one(sys.modules["mlflow.store.db.utils"])


def _with_mlflow_batch(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def log_batch(self: Any, run_id: str, metrics: Any = (), *args: Any, **kwargs: Any) -> Any:
        metrics = list(metrics)  # which may be read once only
        result = original(self, run_id, metrics, *args, **kwargs)
        _take_mlflow_batch(metrics)
        return result

    return log_batch


_mlflow_steps: Dict[str, int] = {}  # metric → the highest step so far


def _mlflow_step(key: str, step: Any) -> Optional[int]:
    """MLflow logs step 0 where none was given: 0 after a higher one is a final score, not the first point again."""
    whole = _whole(step)
    highest = _mlflow_steps.get(key, 0)
    if not whole and highest:
        return None
    _mlflow_steps[key] = max(highest, whole or 0)
    return whole


@_guarded
def _take_mlflow_metric(_result: Any, _known: Any, args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> None:
    key, value = _argument(args, kwargs, 2, "key"), _argument(args, kwargs, 3, "value")
    _forward("mlflow", dict(_numbers({key: value})), _mlflow_step(key, _argument(args, kwargs, 5, "step")))


@_guarded
def _take_mlflow_batch(metrics: Any) -> None:
    by_step: Dict[Optional[int], Dict[str, Any]] = {}
    for metric in metrics:
        by_step.setdefault(_mlflow_step(metric.key, metric.step), {})[metric.key] = metric.value
    for step, values in by_step.items():
        _forward("mlflow", dict(_numbers(values)), step)


# Hydra


@_guarded
def _follow_hydra() -> None:
    """Hydra's own sweepers optimise what the function below ``@hydra.main`` returns, and so do we.

    Every launcher calls it through `run_job`; its `JobReturn` holds the value, or the exception.
    """
    _after(sys.modules["hydra.core.utils"], "run_job", _take_hydra_result)


@_guarded
def _take_hydra_result(result: Any, *_: Any) -> None:
    if getattr(getattr(result, "status", None), "name", "COMPLETED") != "COMPLETED" or result.return_value is None:
        return
    value = result.return_value
    if hasattr(value, "items"):
        _forward("hydra", dict(_numbers(value)))
        return
    objectives = [name for name in os.environ.get("OUTLAST_METRICS", "").split(",") if name]
    values = list(value) if isinstance(value, (tuple, list)) else [value]
    numbers = dict(_numbers({number: each for number, each in enumerate(values) if not isinstance(each, bool)}))
    if not numbers:
        return
    if len(values) != len(objectives) or len(numbers) != len(values):
        print(
            "outlast: the main function returned {} values, {} of them numbers, for the objectives {}".format(
                len(values), len(numbers), ", ".join(objectives)
            ),
            file=sys.stderr,
        )
        return
    _forward("hydra", {name: numbers[str(at)] for at, name in enumerate(objectives)})


def install(name: str) -> None:
    """Follow this package, which has just been imported."""
    {
        "wandb": _follow_wandb,
        "mlflow": _follow_mlflow,
        "mlflow.store.db.utils": _make_mlflow_tables,
        "hydra.core.utils": _follow_hydra,
    }[name]()
