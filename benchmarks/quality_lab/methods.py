"""Who is compared: by name, how a search of each begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from outlast.config.settings import SamplerSettings
from quality_lab.axes import Space, choice, exists, real, whole
from quality_lab.environments import python_of
from quality_lab.lines import Lines
from quality_lab.ours import Ours
from quality_lab.simulated_clock import Params, Searcher, Training, run

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Method:
    """One of them: by a sampler of ours, or a peer in its environment."""

    label: str
    sampler: SamplerSettings | None = None
    environment: str = ""
    #: Whether what it does depends on how many trials there will be: then each budget is a search of its own.
    knows_budget: bool = False


def _ours(name: str, **options: Any) -> SamplerSettings:
    return SamplerSettings(name=name, options=options)


METHODS: Mapping[str, Method] = {
    "ours": Method("Outlast, `sampler: auto`", _ours("auto")),
    "ours_tpe": Method("Outlast, `tpe`", _ours("tpe")),
    "ours_qmc": Method("Outlast, `qmc`", _ours("qmc")),
    "ours_random": Method("Outlast, `random`", _ours("random")),
    "ours_gaussian": Method("Outlast, `gaussian`", _ours("gaussian")),
    "ours_gp": Method("Outlast, `gp`", _ours("gp")),
    "ours_cmaes": Method("Outlast, `cmaes`", _ours("cmaes")),
    "ours_liar": Method("Outlast, `tpe` with a constant liar", _ours("tpe", constant_liar=True)),
    "optuna_tpe": Method("Optuna 5, default (TPE)", environment="optuna"),
    "optuna_gp": Method("Optuna 5, GP", environment="optuna"),
    "optuna_cmaes": Method("Optuna 5, CMA-ES", environment="optuna"),
    "optuna_qmc": Method("Optuna 5, QMC", environment="optuna"),
    "optuna_random": Method("random", environment="optuna"),
    "optuna_auto": Method("Optuna 5, AutoSampler's rule", environment="optuna"),
    "smac": Method("SMAC3 2.4", environment="smac", knows_budget=True),
    "hebo": Method("HEBO 0.3", environment="hebo"),
    "ray": Method("Ray Tune 2.60, default", environment="ray"),
    "neps": Method("NePS 0.17, default", environment="neps"),
    "syne_tune": Method("Syne Tune 0.16, CQR", environment="syne_tune"),
}


@dataclass
class Peers:
    """The processes of peers, each begun once and kept for the next search."""

    environments: Path
    log: Path
    running: dict[str, Lines] = field(default_factory=dict)

    def of(self, environment: str) -> Lines:
        """An environment's process."""
        if environment not in self.running:
            program = HERE / "peers" / f"of_{environment}.py"
            self.running[environment] = Lines([str(python_of(environment, self.environments)), str(program)], self.log)
        return self.running[environment]

    def drop(self, environment: str) -> None:
        """End a process, after it failed."""
        if environment in self.running:
            self.running.pop(environment).close()

    def close(self) -> None:
        """End all."""
        for environment in list(self.running):
            self.drop(environment)


class PeerSearch:
    """A search by a peer's process."""

    def __init__(self, lines: Lines, **said: Any) -> None:
        self._lines = lines
        self._lines.call(op="begin", **said)

    def ask(self) -> tuple[int, Params]:
        """Its next configuration."""
        answer = self._lines.call(op="ask")
        return answer["trial"], answer["params"]

    def tell(self, handle: int, value: float | None) -> None:
        """What came of one."""
        self._lines.call(op="tell", trial=handle, value=value)


def begin(name: str, space: Space, peers: Peers, *, seed: int, trials: int, workers: int) -> Searcher:
    """A new search."""
    method = METHODS[name]
    if method.sampler is not None:
        return Ours(space, method.sampler, seed=seed, trials=trials, workers=workers)
    lines = peers.of(method.environment)
    return PeerSearch(lines, space=list(space), seed=seed, trials=trials, workers=workers, method=name)


#: Every kind of parameter, a condition, and a part that cannot run.
SMALL: Space = (
    choice("kind", ["a", "b"]),
    real("x", 1e-4, 1.0, log=True),
    whole("n", 1, 10),
    whole("m", 8, 512, log=True),
    real("y", 0.0, 1.0, when={"kind": ["b"]}),
)


def checked(name: str, peers: Peers, *, trials: int = 14) -> float:
    """Have a method search a small space by two workers; the best value found.

    Raises:
        ValueError: It asked for what is not in the space.
    """

    def train(number: int, params: Params) -> Training:
        by_name = {parameter["name"]: parameter for parameter in SMALL}
        if set(params) != {each["name"] for each in SMALL if exists(each, params)}:
            raise ValueError(f"{name} asks for {params}")
        for key, value in params.items():
            each = by_name[key]
            inside = value in each["choices"] if each["kind"] == "choice" else each["low"] <= value <= each["high"]
            if not inside or (each["kind"] == "int") is not isinstance(value, int):
                raise ValueError(f"{name} asks for {params}")
        value = (params["x"] - 0.1) ** 2 + abs(params["n"] - 4) / 10 + 0.2 * (params["kind"] == "a")
        return Training(None if params["n"] == 9 or number == 0 else value, 1.0 + number % 3)

    searcher = begin(name, SMALL, peers, seed=1, trials=trials, workers=2)
    return min(trial.value for trial in run(searcher, train, trials=trials, workers=2) if trial.value is not None)
