"""The study as a running objective or a callback sees it: Optuna's own `Study`, over rows that the coordinator tells.

It is imported by the process of an objective that asks for it, and by a search with callbacks. What may be changed through it
is asked of the coordinator as well: attributes of the study, trials to be run next, an end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeAlias

import optuna
from optuna.distributions import BaseDistribution, json_to_distribution
from optuna.study import StudyDirection

from outlast.objective.kept_values import kept_text
from outlast.optimizer.bridge.optuna_rows import trial_of
from outlast.optimizer.bridge.sampler_view import View
from outlast.optimizer.index.index_rows import IndexRow
from outlast.optimizer.index.known_tables import METRIC_NAMES

#: Asks the coordinator, and returns its answer.
Ask: TypeAlias = Callable[[dict[str, Any]], Mapping[str, Any]]


def told_study(ask: Ask, note: Callable[[str, Any], object] | None = None, number: int = -1) -> optuna.Study:
    """The study of a running trial, or the one that a callback gets.

    Args:
        note: Keeps a system attribute of the trial.
        number: The trial's.

    Raises:
        ValueError: By what asks, if the coordinator refuses it.
    """
    storage = _Told(ask, note, number)
    return _Study(storage.name, storage)


def distributions_of(texts: Mapping[str, str]) -> dict[str, BaseDistribution]:
    """Optuna's distributions from their JSON."""
    return {name: json_to_distribution(text) for name, text in texts.items()}


class _Told(View):
    """Rows as the coordinator has them now: asked anew at every look, of finished trials only the new ones."""

    def __init__(self, ask: Ask, note: Callable[[str, Any], object] | None, number: int) -> None:
        self._ask, self._note, self._number = ask, note, number
        self._seen = 0
        about = ask({"op": "about"})
        super().__init__([StudyDirection[word] for word in about["directions"]])
        self.name = str(about["name"])
        self.attrs = {METRIC_NAMES: list(about["metrics"])}

    def look(self) -> None:
        """Bring the rows up to date."""
        told = self._ask({"op": "rows", "seen": self._seen})
        self._seen = int(told["seen"])
        for fields in told["rows"]:
            trial = trial_of(IndexRow(**fields))
            trial._trial_id = trial.number
            self.put(trial)

    def ask(self, question: dict[str, Any]) -> Mapping[str, Any]:
        """Ask the coordinator something else."""
        return self._ask(question)

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Kept, for the trial that runs here: an artifact, a constraint."""
        if trial_id != self._number or self._note is None:
            raise NotImplementedError("only an objective can change a trial, and only its own")
        self._note(key, value)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """As they are now."""
        return {name: json.loads(text) for name, text in self._ask({"op": "about"})["user_attrs"].items()}

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Kept in the ledger, once this returns."""
        self._ask({"op": "note of study", "name": str(key), "value": kept_text(f"study.set_user_attr({key!r})", value)})


class _Study(optuna.Study):
    """`optuna.Study` for reading, with `stop`."""

    _storage: _Told

    def __init__(self, name: str, storage: _Told) -> None:
        super().__init__(name, storage, optuna.samplers.RandomSampler(), optuna.pruners.NopPruner())
        del self.sampler, self.pruner  # the coordinator's: there are none here

    def __getattr__(self, name: str) -> Any:
        if name in ("sampler", "pruner"):
            fact = f"trial.study.{name}: the {name} works in another process; an objective cannot reach it"
            raise AttributeError(fact)
        raise AttributeError(f"'Study' object has no attribute {name!r}")

    def stop(self) -> None:
        """Ask the search to come to rest: running trials finish, no new ones begin. The same call goes on with the rest."""
        self._storage.ask({"op": "stop"})

    def enqueue_trial(
        self, params: dict[str, Any], user_attrs: dict[str, Any] | None = None, skip_if_exists: bool = False
    ) -> None:
        """Have a trial with these parameters run next, as far as the search has room for one.

        Args:
            user_attrs: Noted at the trial.

        Raises:
            TypeError: A value that JSON does not know.
            ValueError: The parameters do not fit the space.
        """
        if skip_if_exists and self._should_skip_enqueue(params):
            return
        given = json.loads(kept_text("study.enqueue_trial", dict(params)))  # without NumPy's numbers, as in a callback
        noted = {str(k): kept_text(f"study.enqueue_trial(user_attrs={k!r})", v) for k, v in (user_attrs or {}).items()}
        self._storage.ask({"op": "enqueue", "params": given, "user_attrs": noted})


def _looking_first(read: Callable[..., Any]) -> Callable[..., Any]:
    """Rows as they are now: each of these asks for news before it reads."""

    def look_and_read(self: _Told, *args: Any, **kwargs: Any) -> Any:
        self.look()
        return read(self, *args, **kwargs)

    return look_and_read


for _name in ("get_all_trials", "get_trial", "get_best_trial"):
    setattr(_Told, _name, _looking_first(getattr(View, _name)))


def _refusing(why: str) -> Callable[..., NoReturn]:
    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(why)

    return refuse


#: What is not for a running trial to do, and what is to be done instead.
_REFUSED: Mapping[type, Mapping[str, str]] = {
    _Told: {
        "set_trial_user_attr": "the study is read-only here: use trial.set_user_attr",
        "set_trial_param": "the study is read-only here: use trial.suggest_float and the like",
        "set_trial_state_values": "the study is read-only here: return the value, or raise optuna.TrialPruned",
        "set_trial_intermediate_value": "the study is read-only here: use trial.report",
        "set_study_system_attr": "the study is read-only in an objective: note it at the trial",
    },
    _Study: {
        "optimize": "trial.study.optimize: a search runs this trial already; create another study for an inner search",
        "ask": "trial.study.ask: trials come from the search that runs this one",
        "tell": "trial.study.tell: an objective returns its value, or raises optuna.TrialPruned",
        "add_trial": "trial.study.add_trial: earlier trials come in with `outlast import` before a search",
        "set_metric_names": "trial.study.set_metric_names: the names are the search's",
    },
}
for _cls, _methods in _REFUSED.items():
    for _name, _why in _methods.items():
        setattr(_cls, _name, _refusing(_why))
