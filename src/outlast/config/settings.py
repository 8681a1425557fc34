"""The typed settings of a study: what every reader produces and everything else consumes.

Durations are seconds (float), sizes bytes (int). Attribute names are the study file's keys. Nothing is checked here: the
readers' shapes do that, with the place in the file. A copy with other values is made by `dataclasses.replace`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from outlast.config.secrets import MASK
from outlast.space.parameters import Parameter
from outlast.space.space import Space


@dataclass(frozen=True, kw_only=True)
class MetricSettings:
    """One objective."""

    name: str
    goal: Literal["maximize", "minimize"] = "maximize"
    take: Literal["last", "best"] = "last"
    target: float | None = None  # W&B: the study ends when a trial reaches it
    file: str | None = None  # glob below the trial's or the working directory
    pattern: str | None = None  # regular expression with one group


@dataclass(frozen=True, kw_only=True)
class BudgetSettings:
    """Totals for the study, over restarts and workers."""

    trials: int | None = None  # None: only where the space is finite or another limit is set
    time: float | None = None  # seconds of running the study
    gpu_hours: float | None = None
    max_failures: int | None = None
    count: tuple[Literal["complete", "pruned", "failed", "infeasible"], ...] = ("complete", "pruned", "infeasible")


@dataclass(frozen=True, kw_only=True)
class SamplerSettings:
    """Which sampler, and its options as Optuna names them."""

    name: str = "auto"  # or a dotted path
    seed: int | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class PrunerSettings:
    """Which pruner, and its options as Optuna names them."""

    name: str = "none"  # or a dotted path
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """How one trial is run and judged."""

    timeout: float | None = None
    timeout_counts: bool = False  # a timed-out trial's last report counts as its value
    grace: float = 120.0
    hang_after: float | None = None
    retries: int = 0
    resume_args: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    folds: dict[str, Any] | None = None
    oom: dict[str, Any] | Literal["infeasible"] = "infeasible"


@dataclass(frozen=True, kw_only=True)
class ResourceSettings:
    """What one attempt needs."""

    gpus: float = 0.0
    cpus: int | None = None
    memory: int | None = None  # bytes


@dataclass(frozen=True, kw_only=True)
class CheckpointSettings:
    """Where the training's checkpoints lie and how many trials' are kept."""

    dir: str | None = None
    keep: int | None = None  # None: everything is kept
    pattern: tuple[str, ...] = ()  # what a checkpoint is called; none: all that is not certainly something else


@dataclass(frozen=True, kw_only=True)
class FaultSettings:
    """What becomes of interrupted trials."""

    interrupted: Literal["restart", "new"] = "restart"


@dataclass(frozen=True, kw_only=True)
class CheckSettings:
    """How `check` tries trials out."""

    args: tuple[str, ...] = ()  # appended to the command, such as --max_steps 20


@dataclass(frozen=True, kw_only=True)
class IsolationSettings:
    """What a Python function's trials share: nothing, or the imports of a worker that each is forked from."""

    mode: Literal["process", "worker"] = "process"
    trials: int = 100  # a worker is replaced after so many


@dataclass(frozen=True, kw_only=True)
class ExecutorSettings:
    """What starts runners for `run`: this machine, or an executor by name or dotted path."""

    name: str = "local"
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def plugged(self) -> bool:
        """Whether it is another one than this machine."""
        return self.name != "local"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One study file, resolved: dialect, `extends`, `--set` and defaults are behind us."""

    name: str
    command: tuple[str, ...] | None = None  # argv template with macros, never a shell string
    function: str | None = None  # package.module:name
    metrics: tuple[MetricSettings, ...]
    parameters: tuple[Parameter, ...] = ()
    budget: BudgetSettings = BudgetSettings()
    sampler: SamplerSettings = SamplerSettings()
    pruner: PrunerSettings = PrunerSettings()
    nested: tuple[str, ...] | None = None  # parameters that hold others, where not every dot is a level
    constraints: tuple[str, ...] = ()
    enqueue: tuple[dict[str, Any], ...] = ()
    cwd: str | None = None  # as the study file says it; `working_directory` is what came of it
    config: str | None = None
    derive: str | None = None
    env: dict[str, str] = field(default_factory=dict)
    trial: TrialSettings = TrialSettings()
    parallel: int | Literal["auto"] = "auto"
    resources: ResourceSettings = ResourceSettings()
    executor: ExecutorSettings = field(default_factory=ExecutorSettings)
    slurm: dict[str, Any] | None = None
    code: Literal["snapshot", "live"] | None = None  # None: live for `run`, a snapshot for `submit`
    checkpoints: CheckpointSettings = CheckpointSettings()
    faults: FaultSettings = FaultSettings()
    check: CheckSettings = CheckSettings()
    isolation: IsolationSettings = IsolationSettings()
    later: dict[str, Any] = field(default_factory=dict)  # confirm, refit, evaluate, tracking, notify, index: as given
    working_directory: str = (
        "."  # where the command runs: the study file's folder, or its `cwd`; never recorded absolute
    )
    resolved: dict[str, Any] = field(default_factory=dict)  # the same in our dialect, plain data: what study.yaml says
    notes: tuple[str, ...] = ()  # what a person should know about this study file; not kept in `resolved`

    @cached_property
    def space(self) -> Space:
        """The search space of `parameters` and `constraints`."""
        return Space.from_parameters(self.parameters, self.constraints)

    @property
    def secret_env(self) -> dict[str, str]:
        """What of `env` is not kept in records: whoever runs trials from the record needs it in its environment."""
        return {key: self.env[key] for key in self.masked_env if key in self.env}

    @property
    def masked_env(self) -> list[str]:
        """The names of those secrets; a record has no more of them."""
        return [key for key, value in self.resolved.get("env", {}).items() if MASK in str(value)]

    def nest(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters by dotted name as the training gets them in a file: nested mappings."""
        return self.space.nest(params, self.nested)
