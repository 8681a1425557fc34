"""Our dialect: every key of the study file, and what it may hold.

`read` turns a document into `Settings`; the other dialects are translated into such a document first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from msgspec import structs
from msgspec.structs import replace

from outlast.config import checks, command_checks, key_hints
from outlast.config.chosen import ChosenSettings
from outlast.config.notation import ParametersShape
from outlast.config.resolved import resolve
from outlast.config.scalars import Anything, Deadline, Number, Text, Word
from outlast.config.secrets import MASK
from outlast.config.sections import COMMAND, section
from outlast.config.settings import (
    LATER_KEYS,
    BudgetSettings,
    CheckpointSettings,
    CheckSettings,
    ConfirmSettings,
    EvaluateSettings,
    ExecutorSettings,
    FaultSettings,
    Goal,
    IndexSettings,
    IsolationSettings,
    MetricSettings,
    NotifySettings,
    PrunerSettings,
    RefitSettings,
    ResourceSettings,
    SamplerSettings,
    Settings,
    TrialSettings,
)
from outlast.config.shapes import At, ByType, Checked, Fields, ListOf, MapOf, Shape
from outlast.config.slurm_section import SLURM
from outlast.config.tracking_section import TRACKERS, TrackingSettings
from outlast.config.yaml import Document

SAMPLERS = ("auto", "tpe", "gaussian", "gp", "cmaes", "random", "qmc", "grid", "nsga2")
PRUNERS = ("none", "asha", "hyperband", "median", "percentile", "patient", "wilcoxon", "bandit", "wandb_hyperband")
#: A study's name is a folder's: it cannot be hidden and cannot lead out of `studies/`.
NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$(?!\n)"
NAME_SAYS = "a name of at most 100 letters, digits, . _ and -, not beginning with . or -"
_FUNCTION = r"^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*$(?!\n)"
_METRIC_TEXT = r"^\s*(maximize|minimize)\s+(\S+)\s*$"


_METRIC = section(MetricSettings, required=("name", "goal"))


def _option_text(value: Any, at: At) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def _named(cls: type[ChosenSettings], name: Shape, description: str, **own: Shape) -> Checked:
    """A name, or a mapping with ``name`` and options, read as a settings class with these."""
    mapping = Fields({"name": name, **own}, required=("name",), open=True)
    return Checked(ByType(text=name, mapping=mapping, description=description), lambda given, at: cls.of(given))


def _class_of_optuna(words: tuple[str, ...]) -> Word:
    return Word(words, dotted=True, description="one of these, or the dotted path of any class of Optuna's kind")


_EXECUTOR_NAME = Text(
    r"^[A-Za-z_][A-Za-z0-9_.:-]*$(?!\n)",
    "local, psij, a name that a package registers, or package.module.Class",
    description="local, psij, a name that an installed package registers, or package.module.Class",
)

_INDEX = Checked(
    ByType(
        text=Text(),
        mapping=section(IndexSettings),
        description="how the study is kept and resumed; as a word, a store that it is written to as well",
    ),
    lambda given, at: IndexSettings.of(given),
)


class _OneOf(Fields, frozen=True):
    """A mapping with one of its keys, and nothing else."""

    def read(self, value: Any, at: At) -> dict[str, Any]:
        """That key, read by its shape."""
        if isinstance(value, Mapping) and (len(value) != 1 or None in value.values()):
            raise at.error(f"needs one of {', '.join(self.shapes)}", f"write `{next(iter(self.shapes))}: …`")
        return super().read(value, at)

    def _schema(self) -> dict[str, Any]:
        properties = {key: shape.schema() for key, shape in self.shapes.items()}
        one = {"minProperties": 1, "maxProperties": 1}
        return {"type": "object", "properties": properties, "additionalProperties": False, **one}


_ISOLATION = Checked(
    ByType(
        text=Word(("process", "worker", "kept")),
        mapping=_OneOf(
            {
                "worker": Number(
                    whole=True, least=1, description="forked; the worker is replaced after so many trials"
                ),
                "kept": Number(whole=True, least=1, description="kept; one is replaced after so many trials"),
            }
        ),
        description="of a function's trials: a process each, forked from a worker that has its imports, or in one that is kept",
    ),
    lambda given, at: IsolationSettings.of(given),
)

#: Of a study file and of a campaign's.
NOTIFY = Checked(
    ByType(
        text=Text(),
        items=ListOf(Text()),
        mapping=section(NotifySettings),
        description="who is told when something is wrong, and at the end: an Apprise URL, several, or a mapping",
    ),
    lambda given, at: given if isinstance(given, NotifySettings) else NotifySettings.of(given),
)


_TRACKER = Word(tuple(TRACKERS), dotted=True)
_TRACKING = Checked(
    ByType(
        text=_TRACKER,
        items=ListOf(_TRACKER, least=1),
        mapping=section(TrackingSettings),
        description="where the search is sent: mlflow, azure_ml, wandb, tensorboard, a class of your own, or several",
    ),
    lambda given, at: TrackingSettings.of(given),
)

STUDY_FILE = Fields(
    {
        "name": Text(NAME_PATTERN, NAME_SAYS, description="the study and its folder; the file's name by default"),
        "command": replace(
            COMMAND, description="how to train once; ${args} is where the parameters go; never run by a shell"
        ),
        "function": Text(_FUNCTION, "package.module:name", description="a Python function instead of a command"),
        "metric": ByType(text=Text(), mapping=_METRIC, items=ListOf(_METRIC, least=1), description="what to optimise"),
        "goal": Word(get_args(Goal), description="with `metric` as a word"),
        "parameters": ParametersShape(),
        "nested": ListOf(Text(), description="parameters that hold others; by default, every dot in a name is a level"),
        "budget": section(BudgetSettings, "when the search ends: whatever is reached first"),
        "deadline": Deadline(
            description="when the session ends: it stops cleanly before; a duration since it began, or a clock time"
        ),
        "sampler": _named(
            SamplerSettings,
            _class_of_optuna(SAMPLERS),
            "what draws the configurations; a mapping also takes its options. auto: a Gaussian process and TPE by turns; TPE "
            "alone after 150 trials (earlier ones count that it knows of), for several metrics, more than 30 parameters, an "
            "objective that asks for its parameters, or with options of TPE's",
            seed=Number(whole=True, least=0, description="of all that is drawn; by default the study has its own"),
        ),
        "pruner": _named(
            PrunerSettings,
            _class_of_optuna(PRUNERS),
            "what ends hopeless trials early; a mapping also takes its options",
        ),
        "constraints": ByType(
            text=Checked(Text(), lambda one, at: (one,)),
            items=ListOf(Text()),
            description="such as hidden % heads == 0",
        ),
        "enqueue": ListOf(MapOf(Anything()), description="configurations to try first"),
        "cwd": Text(
            description="where the command runs and the paths in this file start; by default, this file's folder"
        ),
        "config": Text(description="base configuration file; parameters override its dotted keys"),
        "derive": Text(_FUNCTION, "package.module:name", description="computes dependent values, or says infeasible"),
        "env": MapOf(
            Checked(ByType(text=Anything(), scalar=Anything()), _option_text),
            keys=r"^[A-Za-z_][A-Za-z0-9_]*$(?!\n)",
            says="an environment variable's name",
            description="what the command finds in its environment; secrets are not recorded",
        ),
        "trial": section(TrialSettings, "how one trial is run, resumed and given up", hints=key_hints.TRIAL),
        "parallel": ByType(
            text=Word(("auto",)), scalar=Number(whole=True, least=1), description="how many trials run at once"
        ),
        "resources": section(ResourceSettings, "what one trial needs", hints=key_hints.RESOURCES),
        "executor": _named(
            ExecutorSettings,
            _EXECUTOR_NAME,
            "what starts trials for `outlast run`: psij (PBS, LSF, …) or any class; a mapping also takes options",
        ),
        "slurm": SLURM,
        "code": Word(
            ("snapshot", "live"),
            description="run from one copy of the git-tracked files, or from the files as they are",
        ),
        "checkpoints": section(CheckpointSettings, "which checkpoints there are, where, and how many are kept"),
        "faults": section(FaultSettings, "what becomes of trials that were cut off"),
        "check": section(CheckSettings, "how `outlast check --smoke` and `--rehearse` try a trial"),
        "isolation": _ISOLATION,
        "index": _INDEX,
        "confirm": section(ConfirmSettings, "how `outlast confirm` runs the best again"),
        "refit": section(RefitSettings, "how `outlast refit` trains the best once more, for the model to keep"),
        "evaluate": section(EvaluateSettings, "how `outlast evaluate` scores that model on the test set"),
        "notify": NOTIFY,
        "tracking": _TRACKING,
        **{key: Anything(description=description) for key, description in LATER_KEYS.items()},
        "extends": Text(description="a study file that this one changes"),
        "matrix": MapOf(ListOf(Anything(), least=1), least=1, description="one study for each value"),
    },
    hints=key_hints.STUDY,
    description="A study file of Outlast",
)

#: Keys that become settings as their shape reads them.
_AS_READ = {*Settings.__struct_fields__} & {*STUDY_FILE.shapes} - {"name", "env"}


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
    values = STUDY_FILE.read(document.data, at)
    for key in ("extends", "matrix"):
        if key in values:
            raise at.child(key).error("is not allowed here: this file is one study already")
    _check_runnable(values, at)
    env = values.get("env", {})
    masked = {key: value for key, value in env.items() if MASK in value}
    if masked:
        notes = (*notes, f"{', '.join(masked)}: secret, not kept in the study's records; taken from your environment")
    settings = Settings(
        **{key: value for key, value in values.items() if key in _AS_READ},
        name=values.get("name") or clean_name(default_name),
        metrics=_metrics(values, at),
        env={key: value for key, value in env.items() if key not in masked},
        later={key: values[key] for key in LATER_KEYS if key in values},
        working_directory=working_directory,
    )
    if files:  # a record of before some secret was known still opens; `check` says what it lacks
        checks.refuse_secrets(at)
    settings = checks.enqueued(settings, at)
    notes = (*notes, *checks.check(settings, at, files=files), *command_checks.check_command(settings, at, files=files))
    return structs.replace(settings, resolved=resolve(settings, masked), notes=tuple(dict.fromkeys(notes)))


def clean_name(text: str) -> str:
    """A legal study name that is as near to the text as can be."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:100]
    return name or "study"


def _check_runnable(values: Mapping[str, Any], at: At) -> None:
    if ("command" in values) == ("function" in values):
        both = "command" in values
        fact = "gives both `command` and `function`" if both else "says nothing to run: needs `command` or `function`"
        cure = "keep one of them" if both else "such as `command: python train.py ${args}`"
        raise (at.child("function") if both else at).error(fact, cure)


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
        goal: Any = values.get("goal") or (match[1] if match else None)
        if goal is None or (match and "goal" in values):
            raise here.error(f"needs a goal for `{given}`", f"metric: {{name: {given}, goal: maximize}}  (or minimize)")
        given = MetricSettings(name=match[2] if match else given, goal=goal)
    metrics: tuple[MetricSettings, ...] = (given,) if isinstance(given, MetricSettings) else given
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
