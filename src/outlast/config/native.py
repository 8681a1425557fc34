"""Our dialect: every key of the study file, and what it may hold.

`read` turns a document into `Settings`; the other dialects are translated into such a document first.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from outlast.config import checks, command_checks, hints
from outlast.config.notation import ParametersShape
from outlast.config.resolve import resolve
from outlast.config.scalars import Anything, Duration, Flag, Number, Size, Text, Word
from outlast.config.secrets import MASK
from outlast.config.settings import (
    BudgetSettings,
    CheckpointSettings,
    CheckSettings,
    ExecutorSettings,
    FaultSettings,
    IsolationSettings,
    MetricSettings,
    PrunerSettings,
    ResourceSettings,
    SamplerSettings,
    Settings,
    TrialSettings,
)
from outlast.config.shapes import At, ByType, Checked, Fields, ListOf, MapOf
from outlast.config.slurm import SLURM
from outlast.config.yaml import Document

SAMPLERS = ("auto", "tpe", "gp", "cmaes", "random", "qmc", "grid", "nsga2")
PRUNERS = ("none", "asha", "hyperband", "median", "percentile", "patient", "wilcoxon", "bandit", "wandb_hyperband")
_KEPT = {
    "confirm": "how the best are confirmed (no effect yet)",
    "refit": "how the best is trained again (no effect yet)",
    "evaluate": "how it is tested (no effect yet)",
    "tracking": "where runs are logged to (no effect yet)",
    "notify": "who is told (no effect yet)",
    "selection": "how the best is chosen (no effect yet)",
    "description": "for people",
}
#: Keys that other rooms read; here they are kept as given.
LATER_KEYS = ("index", *_KEPT)

#: A study's name is a folder's: it cannot be hidden and cannot lead out of `studies/`.
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$(?!\n)"
_NAME_SAYS = "a name of at most 100 letters, digits, . _ and -, not beginning with . or -"
_FUNCTION = r"^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$(?!\n)"
_GOALS = ("maximize", "minimize")
_METRIC_TEXT = r"^\s*(maximize|minimize)\s+(\S+)\s*$"


def _option_text(value: Any, at: At) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _plain_text(value: Any, at: At) -> str:
    return str(value)


def _real(number: Number) -> Checked:
    """A number that is kept as a float even where it is typed as a whole one."""
    return Checked(number, lambda value, at: float(value))


_SCALAR = Checked(ByType(text=Anything(), scalar=Anything()), _option_text)
_ARGUMENT = Checked(ByType(text=Anything(), scalar=Anything()), _plain_text)

_METRIC = Fields(
    {
        "name": Text(description="what the training calls it"),
        "goal": Word(_GOALS, description="which way is better"),
        "take": Word(("last", "best"), description="which of a trial's values counts"),
        "target": _real(Number(description="the study ends when a trial reaches it")),
        "file": Text(description="a JSON, JSONL or CSV file that the training writes; a glob"),
        "pattern": Text(description="a regular expression with one group, searched in the output"),
    },
    required=("name", "goal"),
)


def _named(words: tuple[str, ...], numbers: dict[str, Any], description: str) -> ByType:
    """A word, or a mapping with ``name`` and options."""
    name = Word(words, dotted=True, description="one of these, or the dotted path of any class of Optuna's kind")
    return ByType(
        text=Checked(name, lambda word, at: {"name": word}),
        mapping=Fields({"name": name, **numbers}, required=("name",), open=True),
        description=description,
    )


_EXECUTOR_NAME = Text(
    r"^[A-Za-z_][A-Za-z0-9_.:-]*$(?!\n)",
    "local, psij, a name that a package registers, or package.module.Class",
    "local, psij, a name that an installed package registers, or package.module.Class",
)
_EXECUTOR = ByType(
    text=Checked(_EXECUTOR_NAME, lambda word, at: {"name": word}),
    mapping=Fields({"name": _EXECUTOR_NAME}, required=("name",), open=True),
    description="what starts trials for `outlast run`: psij (PBS, LSF, …) or any class; a mapping also takes options",
)

_BUDGET = Fields(
    {
        "trials": Number(whole=True, least=1, description="a total, over restarts and workers"),
        "time": Duration(description="of running the study"),
        "gpu_hours": _real(Number(above=0, description="of all attempts together; without GPUs, hours of training")),
        "max_failures": Number(whole=True, least=1, description="so many failed trials halt the study"),
        "count": ListOf(
            Word(("complete", "pruned", "failed", "infeasible")),
            least=1,
            description="the states that count against `trials`; complete, pruned and infeasible by default",
        ),
    },
    description="when the search ends: whatever is reached first",
)
_FOLDS = Fields(
    {
        "n": Number(whole=True, least=2, description="how many"),
        "ids": Text(description="a text file with an id a line, or a CSV with a column id"),
        "stratify": ByType(
            text=Text(), scalar=Flag(), description="a column whose values are spread evenly; true: label"
        ),
        "group": Text(description="the column whose equal values stay together in one fold"),
        "shuffle": Flag(description="before they are split"),
        "seed": Number(whole=True, description="of the split"),
    },
    required=("n",),
    description="each trial trains once for each fold; the mean counts",
)
_TRIAL = Fields(
    {
        "timeout": Duration(description="longest time that a trial may train, over all its attempts"),
        "timeout_counts": Flag(description="the last report of a trial that ran out of time is its value"),
        "grace": Duration(zero=True, description="between asking a trial to stop and ending it"),
        "hang_after": Duration(description="of silence"),
        "retries": Number(whole=True, least=0, description="of a crash"),
        "resume_args": ListOf(_ARGUMENT, description="appended when there is a checkpoint to resume from"),
        "seeds": ListOf(Number(whole=True), least=1, description="each trial runs with each; the mean counts"),
        "folds": _FOLDS,
        "oom": ByType(
            text=Word(("infeasible",)),
            mapping=Fields(
                {
                    "shrink": ByType(
                        text=Text(), items=ListOf(Text(), least=1), description="the parameters that are made smaller"
                    ),
                    "factor": Number(above=0, description="0.5 by default"),
                },
                required=("shrink",),
            ),
            description="of GPU memory: once more with these parameters made smaller",
        ),
    },
    hints=hints.TRIAL,
    description="how one trial is run, resumed and given up",
)
_RESOURCES = Fields(
    {
        "gpus": _real(Number(least=0, description="cards for a trial; a fraction shares one")),
        "cpus": Number(whole=True, least=1, description="cores for a trial"),
        "memory": Size(description="host memory for a trial, such as 16G"),
    },
    hints=hints.RESOURCES,
    description="what one trial needs",
)
_CHECKPOINT_GLOB = Text(
    r"^(?![/~])(?!(?:.*/)?\.\.(?:/|$))(?!.*\$\{)[^\n]+$",
    "a glob below the trial's checkpoint folder, such as *.ckpt or run/step_*",
)
_CHECKPOINTS = Fields(
    {
        "dir": Text(description="where checkpoints lie instead of in the study folder, a folder for each trial"),
        "keep": Number(whole=True, least=0, description="the best k trials' checkpoints"),
        "pattern": ByType(
            text=Checked(_CHECKPOINT_GLOB, lambda one, at: (one,)),
            items=ListOf(_CHECKPOINT_GLOB, least=1),
            description="globs of files or folders that are checkpoints; one without / is a name at any depth",
        ),
    },
    description="which checkpoints there are, where, and how many are kept",
)

_CHECK = Fields(
    {"args": ListOf(_ARGUMENT, description="appended to the command by outlast check, such as --max_steps 20")},
    description="how `outlast check --smoke` and `--rehearse` try a trial",
)

_INDEX = Fields(
    {
        "in_memory": Flag(description="nothing is kept: the study is gone when its run ends"),
        "auto_resume": Flag(description="false: a study that is there already is only gone on with by `run --resume`"),
    },
    description="how the study is kept and resumed",
)

_ISOLATION = ByType(
    text=Checked(Word(("process", "worker")), lambda word, at: {"mode": word}),
    mapping=Checked(
        Fields(
            {"worker": Number(whole=True, least=1, description="replaced after so many trials")}, required=("worker",)
        ),
        lambda given, at: {"mode": "worker", "trials": given["worker"]},
    ),
    description="of a function's trials: a process each, or forked from a worker that has its imports",
)

STUDY_FILE = Fields(
    {
        "name": Text(NAME_PATTERN, _NAME_SAYS, "the study and its folder; the file's name by default"),
        "command": ByType(
            text=Text(),
            items=ListOf(_ARGUMENT, least=1),
            description="how to train once; ${args} is where the parameters go; never run by a shell",
        ),
        "function": Text(_FUNCTION, "package.module:name", "a Python function instead of a command"),
        "metric": ByType(text=Text(), mapping=_METRIC, items=ListOf(_METRIC, least=1), description="what to optimise"),
        "goal": Word(_GOALS, description="with `metric` as a word"),
        "parameters": ParametersShape(),
        "nested": ListOf(Text(), description="parameters that hold others; by default, every dot in a name is a level"),
        "budget": _BUDGET,
        "sampler": _named(
            SAMPLERS,
            {"seed": Number(whole=True, least=0, description="of all that is drawn; by default the study has its own")},
            "what draws the configurations; a mapping also takes its options",
        ),
        "pruner": _named(PRUNERS, {}, "what ends hopeless trials early; a mapping also takes its options"),
        "constraints": ByType(text=Text(), items=ListOf(Text()), description="such as hidden % heads == 0"),
        "enqueue": ListOf(MapOf(Anything()), description="configurations to try first"),
        "cwd": Text(
            description="where the command runs and the paths in this file start; by default, this file's folder"
        ),
        "config": Text(description="base configuration file; parameters override its dotted keys"),
        "derive": Text(_FUNCTION, "package.module:name", "computes dependent values, or says infeasible"),
        "env": MapOf(
            _SCALAR,
            keys=r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)",
            says="an environment variable's name",
            description="what the command finds in its environment; secrets are not recorded",
        ),
        "trial": _TRIAL,
        "parallel": ByType(
            text=Word(("auto",)), scalar=Number(whole=True, least=1), description="how many trials run at once"
        ),
        "resources": _RESOURCES,
        "executor": _EXECUTOR,
        "slurm": SLURM,
        "code": Word(
            ("snapshot", "live"),
            description="run from one copy of the git-tracked files, or from the files as they are",
        ),
        "checkpoints": _CHECKPOINTS,
        "faults": Fields(
            {
                "interrupted": Word(
                    ("restart", "new"), description="the trial goes on, or counts as failed and a new one is drawn"
                )
            },
            description="what becomes of trials that were cut off",
        ),
        "check": _CHECK,
        "isolation": _ISOLATION,
        "index": _INDEX,
        **{key: Anything(description) for key, description in _KEPT.items()},
        "extends": Text(description="a study file that this one changes"),
        "matrix": MapOf(ListOf(Anything(), least=1), least=1, description="one study for each value"),
    },
    hints=hints.STUDY,
    description="A study file of Outlast",
)


def read_values(document: Document) -> dict[str, Any]:
    """The document's keys, each read by its shape; nothing is looked at across keys yet."""
    return STUDY_FILE.read(document.data, At(document))


def read(
    document: Document,
    *,
    working_directory: str,
    files: bool = True,
    notes: tuple[str, ...] = (),
    default_name: str = "",
) -> Settings:
    """The settings that a document in our dialect says.

    Args:
        document: In our dialect, with `extends`, overrides and `matrix` behind it.
        working_directory: The study file's folder, or its `cwd`: relative files are looked for there.
        files: Whether files that are named must be there (not when a study's own record is read).
        notes: What was noted on the way.
        default_name: Used where the document gives no name.

    Raises:
        StudyFileError: See the module.
    """
    at = At(document)
    values = read_values(document)
    for key in ("extends", "matrix"):
        if key in values:
            raise at.child(key).error("is not allowed here: this file is one study already")
    masked = {key: value for key, value in values.get("env", {}).items() if MASK in value}
    if masked:
        notes = (*notes, f"{', '.join(masked)}: secret, not kept in the study's records; taken from your environment")
    settings = Settings(
        name=values.get("name") or clean_name(default_name),
        command=_command(values, at),
        function=values.get("function"),
        metrics=_metrics(values, at),
        parameters=values.get("parameters", ()),
        nested=values.get("nested"),
        budget=BudgetSettings(**values.get("budget", {})),
        sampler=SamplerSettings(**_options(values.get("sampler", {}), ("name", "seed"))),
        pruner=PrunerSettings(**_options(values.get("pruner", {}), ("name",))),
        constraints=_tuple(values.get("constraints", ())),
        enqueue=tuple(dict(entry) for entry in values.get("enqueue", ())),
        cwd=values.get("cwd"),
        config=values.get("config"),
        derive=values.get("derive"),
        env={key: value for key, value in values.get("env", {}).items() if MASK not in value},
        trial=TrialSettings(**values.get("trial", {})),
        parallel=values.get("parallel", "auto"),
        resources=ResourceSettings(**values.get("resources", {})),
        executor=ExecutorSettings(**_options(values.get("executor", {}), ("name",))),
        slurm=values.get("slurm"),
        code=values.get("code"),
        checkpoints=CheckpointSettings(**values.get("checkpoints", {})),
        faults=FaultSettings(**values.get("faults", {})),
        check=CheckSettings(**values.get("check", {})),
        isolation=IsolationSettings(**values.get("isolation", {})),
        later={key: values[key] for key in LATER_KEYS if key in values},
        working_directory=working_directory,
    )
    if files:  # a record of before some secret was known still opens; `check` says what it lacks
        checks.refuse_secrets(at)
    settings = checks.enqueued(settings, at)
    notes = (*notes, *checks.check(settings, at, files=files), *command_checks.check_command(settings, at, files=files))
    return replace(settings, resolved=resolve(settings, masked), notes=tuple(dict.fromkeys(notes)))


def clean_name(text: str) -> str:
    """A legal study name that is as near to the text as can be."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:100]
    return name or "study"


def _command(values: Mapping[str, Any], at: At) -> tuple[str, ...] | None:
    if ("command" in values) == ("function" in values):
        both = "command" in values
        fact = "gives both `command` and `function`" if both else "says nothing to run: needs `command` or `function`"
        cure = "keep one of them" if both else "such as `command: python train.py ${args}`"
        raise (at.child("function") if both else at).error(fact, cure)
    given = values.get("command")
    if not isinstance(given, str):
        return given
    here = at.child("command")
    try:
        words = shlex.split(given)
    except ValueError as error:
        raise here.error(f"cannot be split into words: {error}", "close the quote, or write a list") from None
    if not words:
        raise here.error("is empty")
    return tuple(words)


def _metrics(values: Mapping[str, Any], at: At) -> tuple[MetricSettings, ...]:
    given, here = values.get("metric"), at.child("metric")
    if given is None:
        raise at.error(
            "says no metric",
            "add `metric: {name: val_accuracy, goal: maximize}`, or give --maximize NAME or --minimize NAME",
        )
    if "goal" in values and not isinstance(given, str):
        raise at.child("goal").error("belongs inside `metric`", "metric: {name: …, goal: …}")
    if isinstance(given, str):
        match = re.search(_METRIC_TEXT, given)
        goal = values.get("goal") or (match[1] if match else None)
        if goal is None or (match and "goal" in values):
            raise here.error(f"needs a goal for `{given}`", f"metric: {{name: {given}, goal: maximize}}  (or minimize)")
        given = {"name": match[2] if match else given, "goal": goal}
    several = (given,) if isinstance(given, dict) else given
    metrics = tuple(MetricSettings(**one) for one in several)
    for index, metric in enumerate(metrics):
        place = here.child(index) if len(metrics) > 1 else here
        if metric.name in [m.name for m in metrics[:index]]:
            raise place.error(f"`{metric.name}` is there twice")
        _check_pattern(metric, place)
    return metrics


def _check_pattern(metric: MetricSettings, at: At) -> None:
    if metric.pattern is None:
        return
    try:
        groups = re.compile(metric.pattern).groups
    except re.error as error:
        raise at.child("pattern").error(f"is not a regular expression: {error}") from None
    if groups != 1:
        raise at.child("pattern").error(f"has {groups} groups, not one", r"such as val_acc=([0-9.]+)")


def _options(given: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    if not given:
        return {}
    out = {key: given[key] for key in known if key in given}
    return {**out, "options": {key: value for key, value in given.items() if key not in known}}


def _tuple(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
