"""The ``slurm:`` section: sbatch's own options under their own names, and a few keys of ours.

Lives here: which keys are whose, and why some of sbatch's are not to be given; a person's defaults for all studies. What
becomes of them is the executors' affair.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

from outlast.config import yaml
from outlast.config.scalars import SHELL_WORDS, Anything, Duration, Flag, Number, Text, Word
from outlast.config.shapes import At, ByType, Checked, Fields, ListOf, Shape

#: Options of sbatch that Outlast sets, and why.
MANAGED: Mapping[str, str] = {
    "array": "it is what the budget lacks",
    "clusters": "jobs are seen, and cancelled, on the cluster that answers here; submit from a login node of the other one",
    "comment": "Outlast finds its own jobs by it",
    "job_name": "it is the study's name, so that jobs are found again",
    "output": "logs lie in the study folder",
    "error": "logs lie in the study folder",
    "requeue": "Outlast requeues what may be requeued",
    "no_requeue": "Outlast requeues what may be requeued",
    "wrap": "the script is Outlast's",
    "chdir": "it is the study file's folder, or its `cwd:`",
    "export": "trials get what `env:` says",
    "open_mode": "logs are appended to",
    "parsable": "Outlast reads the answer",
    "wait": "submitting is over at once; `outlast status -w` waits",
    "hold": "a held job is never started; leave the study file unsubmitted instead",
}

#: Options of the trials' jobs that the small ones have no use for, and why.
_TRIALS_ONLY: Mapping[str, str] = {
    "dependency": "the finisher waits for the array, and what the search itself waits for stands in slurm.dependency",
    "signal": "it looks at its own walltime",
}

_OPTION = ByType(
    text=Text(r"^[^\n]+$(?!\n)", "what sbatch takes for it, on one line"),
    scalar=Anything(),
    description="an option of sbatch",
)
_NEVER = tuple(dict.fromkeys([*MANAGED, *(name.replace("_", "-") for name in MANAGED)]))


def _sbatch_options(given: dict[str, Any], at: At) -> dict[str, Any]:
    """Every key with underscores; what Outlast manages is refused, with the reason."""
    read: dict[str, Any] = {}
    for key, value in given.items():
        name = key.replace("-", "_")
        if name in OWN_KEYS and name != key:
            raise at.child(key).error("is no option of sbatch", f"did you mean `{name}`?")
        if name in MANAGED:
            raise at.child(key).error(f"is managed by Outlast: {MANAGED[name]}", "leave it out")
        read[name] = value
    return read


def _small_options(given: dict[str, Any], at: At) -> dict[str, Any]:
    for key in given:
        if key in _TRIALS_ONLY:
            raise at.child(key).error(f"is managed by Outlast: {_TRIALS_ONLY[key]}", "leave it out")
    return _sbatch_options(given, at)


def srun_arguments(value: Any) -> tuple[str, ...]:
    """What ``slurm.srun`` gives srun beyond what Outlast does: nothing where it is only switched on."""
    if isinstance(value, str):
        return tuple(shlex.split(value))
    return tuple(str(word) for word in value) if isinstance(value, (list, tuple)) else ()


_CONTROLLER = Checked(
    Fields(
        {},
        open=True,
        rest=_OPTION,
        never=(*_NEVER, *_TRIALS_ONLY),
        description="options of sbatch for the controller and the finisher, which need no GPU",
    ),
    _small_options,
)

_OWN: dict[str, Shape] = {
    "mode": Word(
        ("array", "controller"), description="array: tasks coordinate themselves; controller: a small job does"
    ),
    "setup": ByType(
        text=Text(), items=ListOf(Text()), description="lines of shell before the command, such as module load"
    ),
    "trials_per_task": Number(whole=True, least=1, description="trials that one task runs after each other"),
    "trials_at_once": Number(whole=True, least=1, description="trials that one task runs side by side"),
    "poll": Duration(description="between two looks at the queue"),
    "barrier": Flag(description="controller: a whole batch ends before the next one begins"),
    "srun": ByType(
        text=Text(SHELL_WORDS, "arguments as on a command line, every quote closed"),
        items=ListOf(Text()),
        scalar=Flag(),
        description="the training command is started by srun; text or a list are arguments of srun's own",
    ),
    "scratch": Text(description="folder that the study lives in while it runs; records go home after each trial"),
    "purge_days": Number(above=0, description="after how many days the scratch filesystem deletes files"),
    "controller": _CONTROLLER,
}
#: Keys of the section that are not sbatch's.
OWN_KEYS = frozenset(_OWN)

_HYPHENS = tuple(key.replace("_", "-") for key in sorted(_OWN) if "_" in key)
SLURM = Checked(
    Fields(
        _OWN, open=True, rest=_OPTION, never=(*_NEVER, *_HYPHENS), description="where `outlast submit` runs the trials"
    ),
    _sbatch_options,
)
#: A person's defaults for every study: ``~/.config/outlast.yaml``.
_SITE = Fields({"slurm": SLURM}, description="Defaults for every study")


def site_file() -> str:
    """Where it lies (XDG base directories)."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(home, "outlast.yaml")


def read_site(path: str | None = None) -> Mapping[str, Any]:
    """The defaults by section; nothing where there is no such file.

    Raises:
        StudyFileError: The file is wrong, with line and key.
    """
    path = path or site_file()
    if not os.path.exists(path):
        return {}
    document = yaml.read(path)
    return _SITE.read(document.data or {}, At(document))
