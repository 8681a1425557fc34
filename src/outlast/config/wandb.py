"""W&B's dialect: a sweep's YAML, translated into ours key by key, with W&B's defaults and meaning.

Source: W&B's reference "Sweep configuration options".
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from outlast.config import yaml_writer
from outlast.config.checks import missing_file
from outlast.config.command import ARGS_MACROS, GROUPED, MACRO_ITSELF
from outlast.config.native import NAME_PATTERN, clean_name
from outlast.config.notation import definitions, holds_others
from outlast.config.scalars import Anything, Number, Text, Word
from outlast.config.sections import ARGUMENT, hyperband
from outlast.config.shapes import At, ByType, Fields, ListOf, MapOf, show
from outlast.config.yaml import Document, Path, dotted

#: W&B's own, which come before a parameter of that name.
_MACROS = (*ARGS_MACROS, "env", "interpreter", "args_json_file")
DEFAULT_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")
_METHODS = {"bayes": "tpe", "random": "random", "grid": "grid"}
_REFUSED = {
    "scheduler": "a scheduler of W&B's own",
    "job": "W&B Launch",
    "image_uri": "W&B Launch",
    "metrics": "several metrics need W&B's own scheduler",
}
#: Keys that say the same here, and where.
_MOVED: Mapping[str, Path] = {
    **{key: (key,) for key in ("extends", "matrix", "description", "cwd")},
    "project": ("env", "WANDB_PROJECT"),
    "entity": ("env", "WANDB_ENTITY"),
    "run_cap": ("budget", "trials"),
}
_IGNORED = ("controller", "apiVersion", "kind")
#: Keys that hold text, whatever it looks like.
_TEXT = ("program", "method", "name", "description", "project", "entity", "extends")

SWEEP_FILE = Fields(
    {
        "program": Text(),
        "command": ListOf(ARGUMENT, least=1),
        "method": Word(tuple(_METHODS)),
        "metric": Fields(
            {
                "name": Text(),
                "goal": Word(("minimize", "maximize")),
                "target": Number(),
                "impute": Anything(),
                "impute_while_running": Anything(),
            },
            required=("name",),
        ),
        "parameters": MapOf(Anything(), least=1),
        "early_terminate": Fields({"type": Word(("hyperband",)), **hyperband(whole=True).shapes}, required=("type",)),
        "run_cap": Number(whole=True, least=1),
        "name": Text(),
        "description": ByType(text=Anything()),
        "project": Text(),
        "entity": Text(),
        **{key: Anything() for key in _IGNORED},
        "extends": Text(),
        "matrix": Anything(),
        # Ours: W&B runs the program where `wandb agent` was typed.
        "cwd": Text(description="where the program is and runs; by default, this file's folder"),
    }
)
#: Keys that only a sweep file has.
ONLY_KEYS = (
    *(
        key
        for key in SWEEP_FILE.shapes
        if key not in ("command", "metric", "parameters", "name", "description", "extends", "matrix", "cwd")
    ),
    *_REFUSED,
)


def translate(document: Document, *, folder: str, files: bool = True) -> tuple[Document, tuple[str, ...]]:
    """The same study in our dialect, and what was noted on the way.

    Args:
        document: A sweep file.
        folder: Its folder: the program is looked for there.
        files: Whether the program must be there.

    Raises:
        StudyFileError: Not a sweep that can be run here.
    """
    at = At(document)
    for key, what in _REFUSED.items():
        if key in document.data:
            raise at.child(key).error(f"cannot be run here: {what}")
    _refuse_a_line(document.data.get("command"), at)
    values = SWEEP_FILE.read(document.data, at)
    out = Document({}, document.file, {(): document.place(())})
    notes = _identity(values, document, out)
    if "method" not in values:
        raise at.error("needs `method`", "add `method: bayes` (or random, grid)")
    out.put(("sampler",), _METHODS[values["method"]], ("method",), document)
    notes += _metric(values, document, out)
    if "parameters" in values:
        parameters, more = _parameters(values["parameters"], ("parameters",))
        notes += more
        out.put(("parameters",), parameters, ("parameters",), document)
        if any("." in keys[-1] for keys, _ in definitions(parameters)):  # a dot is no level there
            groups = [".".join(keys) for keys, each in definitions(parameters) if holds_others(each)]
            out.put(("nested",), groups, ("parameters",), document)
    _command(values, at, out, folder, files)
    if "early_terminate" in values:
        options = {key: value for key, value in values["early_terminate"].items() if key != "type"}
        out.put(("pruner",), {"name": "wandb_hyperband", **options}, ("early_terminate",), document)
    notes += [f"`{key}` means nothing outside W&B's servers" for key in _IGNORED if key in values]
    return out, tuple(notes)


def _refuse_a_line(command: Any, at: At) -> None:
    """W&B takes a command as a list only."""
    if isinstance(command, str) and command.strip():
        words = yaml_writer.dump({"command": command.split()}, compact=True).strip()
        raise at.child("command").error("must be a list of words, not one line of text", f"write `{words}`")


def as_wandb_reads(document: Document) -> list[str]:
    """Give a sweep file's unquoted words the meaning that they have to W&B, which reads YAML 1.1; what was changed.

    A number such as ``1e-5``, which is text there, can only be meant as a number and stays one. A date, which W&B
    cannot take, stays text; so do names.
    """
    taken, numbers = [], []
    for path, word in document.written.items():
        if path[0] in _TEXT or path == ("metric", "name"):
            continue
        if word.number:
            numbers.append(str(word))
        elif word.pyyaml != str(word) or word.tag.endswith("int"):
            document.put(path, word.pyyaml)
            taken.append(f"{dotted(path)} {word} is {show(word.pyyaml)}")
    notes = []
    if taken:
        notes.append(f"taken as W&B takes it (YAML 1.1): {_some(taken)}  (in quotes it is text)")
    if numbers:
        notes.append(f"{_some(list(dict.fromkeys(numbers)))}: text to W&B (YAML 1.1), a number here")
    return notes


def _some(texts: Sequence[str], most: int = 4) -> str:
    more = f", and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _identity(values: Mapping[str, Any], document: Document, out: Document) -> list[str]:
    notes: list[str] = []
    if "name" in values:
        name = values["name"]
        legal = name if re.search(NAME_PATTERN, name) else clean_name(name)
        if legal != name:
            notes.append(f"the sweep's name {name!r} becomes `{legal}`: it is a folder's name here")
        out.put(("name",), legal, ("name",), document)
    for key, path in _MOVED.items():
        if key in values:
            out.put(path, values[key], (key,), document)
    return notes


def _metric(values: Mapping[str, Any], document: Document, out: Document) -> list[str]:
    metric = values.get("metric")
    if metric is None:
        return []
    kept = {"name": metric["name"], "goal": metric.get("goal", "minimize")}
    kept |= {"target": metric["target"]} if "target" in metric else {}
    out.put(("metric",), kept, ("metric",), document)
    imputed = [key for key in ("impute", "impute_while_running") if key in metric]
    return [f"`metric.{key}` is not used: what a failed trial teaches depends on its cause" for key in imputed]


def _parameters(group: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], list[str]]:
    """The parameters as they are, values that are there twice left out once."""
    out: dict[str, Any] = {}
    notes: list[str] = []
    for name, definition in group.items():
        out[name] = definition
        if not isinstance(definition, Mapping):
            continue
        if isinstance(definition.get("parameters"), Mapping):
            inner, more = _parameters(definition["parameters"], (*path, name, "parameters"))
            out[name] = {**definition, "parameters": inner}
            notes += more
        elif isinstance(definition.get("values"), list) and "probabilities" not in definition:
            values = definition["values"]
            kept = [v for i, v in enumerate(values) if not any(type(v) is type(w) and v == w for w in values[:i])]
            out[name] = {**definition, "values": kept}
            if len(kept) < len(values):
                notes.append(f"`{name}` has values that are there twice: each counts once")
    return out, notes


def _command(values: Mapping[str, Any], at: At, out: Document, folder: str, files: bool) -> None:
    given = values.get("command")
    command = list(given or DEFAULT_COMMAND)
    source: Path = ("command",) if given else ("program",)
    if any("${program}" in item for item in command):
        if "program" not in values:
            raise at.error("needs `program`: the training script", "add `program: train.py`")
        program = values["program"]
        if files and not os.path.exists(os.path.join(folder, program)):
            raise missing_file(at.child("program"), program, folder)
        command = [item.replace("${program}", program) for item in command]
    if any(
        isinstance(definition, Mapping) and "parameters" in definition
        for definition in values.get("parameters", {}).values()
    ):
        grouped = {f"${{{macro}}}": f"${{{macro}{GROUPED}}}" for macro in ARGS_MACROS if macro != "args_json"}
        command = [grouped.get(item, item) for item in command]
    for macro in _MACROS:
        if macro in values.get("parameters", {}):
            command = [re.sub(rf"(?<!\$)\$\{{(?={macro}[:}}])", f"${{{MACRO_ITSELF}", item) for item in command]
    out.put(("command",), command, source, at.document)
