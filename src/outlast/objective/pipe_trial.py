"""The trial that an objective gets: Optuna's interface, answered by the coordinator over an inherited socket."""

from __future__ import annotations

import json
import math
import os
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from outlast.client import current_trial
from outlast.objective.kept_values import kept_text, plain

_RESUME_ME = 75  # EX_TEMPFAIL
#: Asks the coordinator, and returns its answer; raises ``ValueError`` where it refuses.
Ask: TypeAlias = Callable[[dict[str, Any]], Mapping[str, Any]]


def asking_over(connection: socket.socket) -> Ask:
    """Over an inherited socket, one JSON object a line. Its end is the end of this process: another one goes on later."""
    stream, talking = connection.makefile("rw", encoding="utf-8", newline="\n"), threading.Lock()

    def line(text: str) -> str:
        try:
            stream.write(text + "\n")
            stream.flush()
            answer = stream.readline()
        except OSError:
            answer = ""
        if not answer.endswith("\n"):
            sys.stdout.flush()
            os._exit(_RESUME_ME)
        return answer

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        text = ""
        with talking:  # a framework may report from a thread of its own
            answer = line(json.dumps(question))
            while answer.startswith("+"):  # a long one comes in pieces
                text += answer[1:].rstrip("\n")
                answer = line("more")
        found: dict[str, Any] = json.loads(text + answer)
        if "error" in found:
            raise ValueError(found["error"])
        return found

    return ask


class PipeTrial:
    """What the objective gets as its ``trial``.

    Attributes:
        number: The trial's number for life.
        datetime_start: When it was first started, in local time, as Optuna has it.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        start = ask({"op": "begin"})
        self.number: int = start["number"]
        self.datetime_start: datetime | None = _local(start.get("started"))
        self._params: dict[str, Any] = {}
        self._distributions: dict[str, str] = {}
        self._curve: dict[int, float] = {}  # what it reported
        self._user_attrs: dict[str, Any] = {k: json.loads(v) for k, v in start.get("user_attrs", {}).items()}
        self._system_attrs: dict[str, Any] = {k: json.loads(v) for k, v in start.get("system_attrs", {}).items()}
        self._objectives = os.environ.get("OUTLAST_METRICS", "value").split(",")
        # Looked up once: that asks the environment, which takes as long as the rest of a report.
        self._reporter = current_trial()
        self._study: Any = None

    def _shown_class(self) -> type:
        optuna = sys.modules.get("optuna")
        return getattr(getattr(optuna, "trial", None), "Trial", PipeTrial)

    #: Optuna's helpers ask with `isinstance`; where Optuna is not imported at all, nobody does.
    __class__ = property(_shown_class)

    # What it draws

    def _draw(self, name: str, kind: str, **attributes: Any) -> Any:
        return self._drawn(name, json.dumps({"name": kind, "attributes": attributes}, default=plain))

    def _suggest(self, name: str, distribution: Any) -> Any:
        """As Optuna's: some of its helpers (a search over an estimator of scikit-learn) draw from a distribution."""
        if hasattr(distribution, "choices"):
            return self.suggest_categorical(name, distribution.choices)
        from optuna.distributions import distribution_to_json

        return self._drawn(name, distribution_to_json(distribution))

    def _drawn(self, name: str, text: str) -> Any:
        if self._distributions.get(name, text) != text:
            _check_compatible(name, self._distributions[name], text, self._params[name])
        answer = self._ask({"op": "suggest", "name": name, "distribution": text})
        self._params[name], self._distributions[name] = answer["value"], text
        return answer["value"]

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """As Optuna's."""
        return float(self._draw(name, "FloatDistribution", low=low, high=high, step=step, log=log))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """As Optuna's."""
        return int(self._draw(name, "IntDistribution", low=low, high=high, step=step, log=log))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """As Optuna's. Classes, tuples and other objects are known by their names outside of the objective."""
        offered = list(choices)
        names = [_name_of(name, choice) for choice in offered]
        value = self._draw(name, "CategoricalDistribution", choices=names)
        self._params[name] = _of_name(value, offered, names)
        return self._params[name]

    def suggest_uniform(self, name: str, low: float, high: float) -> float:
        """As Optuna's, which will drop it."""
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> float:
        """As Optuna's, which will drop it."""
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> float:
        """As Optuna's, which will drop it."""
        return self.suggest_float(name, low, high, step=q)

    @property
    def params(self) -> dict[str, Any]:
        """What was drawn so far."""
        return dict(self._params)

    @property
    def distributions(self) -> dict[str, Any]:
        """What it was drawn from, as Optuna's objects."""
        from outlast.objective.told_study import distributions_of

        return distributions_of(self._distributions)

    # What it tells

    def report(self, value: float, step: int) -> None:
        """As Optuna's: one value for a step, the first one stands.

        Raises:
            NotImplementedError: The study has several objectives.
            TypeError: The value is no number, or the step no whole one.
            ValueError: The step is negative.
        """
        self._refuse_several("report")
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"trial.report: the value must be a number, not {type(value).__name__}") from None
        try:
            whole = int(step)
        except (TypeError, ValueError):
            raise TypeError(f"trial.report: the step must be a whole number, not {type(step).__name__}") from None
        if whole < 0:
            raise ValueError(f"trial.report: the step must not be negative, and is {whole}")
        if whole in self._curve:
            said = f"trial.report: step {whole} has been reported already; this value is ignored"
            warnings.warn(said, UserWarning, stacklevel=2)
            return
        self._curve[whole] = number
        self._reporter.report(step=whole, **{self._objectives[0]: number})

    def should_prune(self) -> bool:
        """As Optuna's.

        Raises:
            NotImplementedError: The study has several objectives.
        """
        self._refuse_several("should_prune")
        return bool(self._ask({"op": "should_prune"})["value"])

    def _refuse_several(self, call: str) -> None:
        if len(self._objectives) > 1:
            raise NotImplementedError(
                f"trial.{call}: pruning compares one value, and this search has several objectives"
            )

    def frozen(self, values: Sequence[float] | None) -> Any:
        """The trial as an `optuna.trial.FrozenTrial` that has ended: with these values, or pruned."""
        from optuna.trial import FrozenTrial, TrialState

        return FrozenTrial(
            number=self.number,
            trial_id=self.number,
            state=TrialState.PRUNED if values is None else TrialState.COMPLETE,
            value=None,
            values=values,
            datetime_start=self.datetime_start,
            datetime_complete=datetime.now(),
            params=self.params,
            distributions=self.distributions,
            user_attrs=self.user_attrs,
            system_attrs=self.system_attrs,
            intermediate_values=dict(self._curve),
        )

    def set_user_attr(self, key: str, value: Any) -> None:
        """As Optuna's with a database: kept for good, once this returns. Arrays and NumPy numbers become lists and numbers.

        Raises:
            TypeError: A value that JSON does not know.
            ValueError: One of more than a megabyte.
        """
        self._user_attrs[key] = self._keep("user", key, value)

    def set_system_attr(self, key: str, value: Any) -> None:
        """As that of earlier versions of Optuna; see `set_user_attr`."""
        self._system_attrs[key] = self._keep("system", key, value)

    def _keep(self, whose: str, key: str, value: Any) -> Any:
        text = kept_text(f"set_{whose}_attr({key!r})", value)
        self._ask({"op": "note", "name": str(key), "value": text, "system": whose == "system"})
        return json.loads(text)

    def set_constraint(self, key: str, value: float) -> None:
        """As Optuna's: at most 0 where it is kept. The sampler learns it; a trial that breaks one is not the best."""
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise TypeError(f"set_constraint({key!r}): a number is needed, not {type(value).__name__}") from None
        if math.isnan(number):
            raise ValueError(f"set_constraint({key!r}): NaN says nothing")
        if key not in self.constraints:  # the first one stands, as with Optuna
            self.set_system_attr(f"constraints:{key}", number)

    @property
    def constraints(self) -> dict[str, float]:
        """Those that were set."""
        known = self._system_attrs.items()
        return {name.partition(":")[2]: value for name, value in known if name.startswith("constraints:")}

    @property
    def user_attrs(self) -> dict[str, Any]:
        """What was noted, by earlier attempts as well."""
        return dict(self._user_attrs)

    @property
    def system_attrs(self) -> dict[str, Any]:
        """What was noted for Optuna, by earlier attempts as well."""
        return dict(self._system_attrs)

    # What is around it

    @property
    def study(self) -> Any:
        """The study, for reading: an `optuna.Study` of what the ledger holds now. Its `stop` asks the search to end."""
        if self._study is None:
            from outlast.objective.told_study import told_study  # imports Optuna, which not every objective does

            self._study = told_study(self._ask, self.set_system_attr, self.number)
        return self._study

    @property
    def storage(self) -> Any:
        """What Optuna's own helpers note an artifact or the like in."""
        return self.study._storage

    @property
    def _trial_id(self) -> int:
        return self.number

    def __getattr__(self, name: str) -> Any:
        if name in _AHEAD:
            raise AttributeError(f"trial.{name}: nothing is drawn ahead of suggest_float and the like under Outlast")
        raise AttributeError(f"'Trial' object has no attribute {name!r}")

    def __reduce__(self) -> Any:
        raise TypeError("the trial stays in the process of its objective: hand its values to others, trial.params say")

    def __repr__(self) -> str:
        return f"<Trial {self.number} {self._params}>"


_AHEAD = ("relative_params", "relative_search_space")


def _check_compatible(name: str, drawn: str, now: str, value: Any) -> None:
    """Refuse to draw a parameter once more from something else, as Optuna does; a range that merely moved is warned of.

    Raises:
        ValueError: It is of another kind, or has other choices.
    """
    from optuna.distributions import check_distribution_compatibility, json_to_distribution

    check_distribution_compatibility(json_to_distribution(drawn), json_to_distribution(now))
    said = f"{name} has been drawn in this trial already, and stays {value!r}, whatever the range is now"
    warnings.warn(said, RuntimeWarning, stacklevel=5)


def _name_of(parameter: str, choice: Any) -> Any:
    """A choice as ledger, tables and `study.db` know it."""
    if choice is None or isinstance(choice, (bool, int, float, str)):
        return choice
    if hasattr(choice, "tolist"):
        return choice.tolist()
    name = getattr(choice, "__qualname__", "") or repr(choice)
    if " at 0x" in name or "<l" in name:  # another one in every process
        fact = f"{parameter}: the choice {choice!r} has no name that lasts; offer names, and look it up by them"
        raise TypeError(fact)
    return name


def _of_name(value: Any, offered: Sequence[Any], names: Sequence[Any]) -> Any:
    for choice, name in zip(offered, names, strict=True):
        if name == value and isinstance(name, bool) is isinstance(value, bool):
            return choice
    kept = [json.dumps(choice, default=str) for choice in offered]  # drawn by an earlier version: a list for a tuple
    return offered[kept.index(text)] if (text := json.dumps(value, default=str)) in kept else value


def _local(at: str | None) -> datetime | None:
    return None if not at else datetime.fromisoformat(at.replace("Z", "+00:00")).astimezone().replace(tzinfo=None)
