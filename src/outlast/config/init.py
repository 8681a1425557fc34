"""A first study file, drafted from a script's options.

What looks like a hyperparameter gets a range around its default; lengths of the training stay at their default; files,
devices, seeds and whatever else is not searched stand below as comments, with their defaults. An option that resumes,
and the folder of the checkpoints, are handed over as a trial needs them.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Any

from outlast.config import native, yaml_writer
from outlast.config.inline import script_stem
from outlast.config.script_options import Option

_LENGTHS = re.compile(r"epoch|steps?$|iter|patience|rounds?$|max[-_]|num[-_]samples", re.IGNORECASE)
_NOT_SEARCHED = re.compile(
    r"path|dir|file|folder|data|output|^out$|save|load|seed|device|gpu|cuda|cpu|worker|thread|log[-_]|^log|verbose|debug"
    r"|resume|checkpoint|ckpt|port|host|url|name|project|entity|wandb|mlflow|rank|world|backend|version|help|config|fold"
    r"|interval|every|freq|fp16|bf16|amp|token|key|quiet|threads|jobs|eval|test|logging|hub|push|deepspeed|fsdp|ddp|tpu",
    re.IGNORECASE,
)
_LOGARITHMIC = re.compile(
    r"(^|[-_.])(lr|learning[-_]?rate|weight[-_]?decay|wd|eps|epsilon|alpha|reg|l1|l2|lambda|c|gamma)([-_.]|$)"
)
_SHARES = re.compile(r"drop|momentum|ratio|prob|fraction|share|beta|smoothing|subsample|colsample", re.IGNORECASE)
_MAY_BE_NONE = re.compile(r"drop|momentum|smoothing|prob", re.IGNORECASE)
_SIZES = re.compile(r"batch|hidden|dim|units|width|size|channels|filters|neurons", re.IGNORECASE)
#: Ranges of numbers that have no default, where the name says enough.
_USUAL = (
    (re.compile(r"(^|[-_.])(lr|learning[-_]?rate)$"), "log(1e-5, 1e-1)"),
    (re.compile(r"(^|[-_.])(weight[-_]?decay|wd|l1|l2|reg|lambda)$"), "log(1e-6, 1e-2)"),
    (re.compile(r"drop"), "float(0.0, 0.5)"),
    (re.compile(r"momentum"), "float(0.5, 0.99)"),
)
#: With more numbers than this, only those whose names are known are searched.
_MANY = 16
#: Columns of a value in a comment.
_SHOWN = 60
_RESUME = re.compile(r"^(auto[-_])?resume([-_]from([-_]checkpoint)?|[-_]training)?$|^(ckpt|checkpoint)[-_]path$")
_CHECKPOINTS = re.compile(r"(^|[-_.])(checkpoint|ckpt)s?[-_]?(dir|folder|path)$|^checkpoints?$")
_OUTPUT = re.compile(r"^(out|output|save|work|model|exp)[-_]?dir$")


def draft(options: Sequence[Option], command: Sequence[str], *, hydra: bool = False) -> str:
    """The text of a study file for a script.

    Args:
        options: What can be set.
        command: How it is started, such as ``["python", "train.py"]``; what is set in it is not searched.
        hydra: Options are set as ``name=value``.

    Returns:
        YAML that `load_study_file` accepts once the metric's name is filled in.
    """
    given = {word.lstrip("-+").split("=")[0] for word in command if "=" in word or word.startswith("-")}
    options = [option for option in options if option.name not in given]
    resume, folder = _resuming(options)
    handed = {option.name for option in (resume, folder) if option is not None}
    template = [shlex.quote(word.replace("${", "$${")) for word in command]
    template.append("${args_no_hyphens}" if hydra else "${args}")
    if folder is not None:
        template += [f"--{folder.name}", "${checkpoint_dir}"]
    searched, left_out = _parameters([option for option in options if option.name not in handed])
    out = ["# A first study file. Look at the ranges, fill in the metric's name, then: outlast check FILE"]
    name = native.clean_name(script_stem(command) if command else "study")
    out += _lines({"name": name, "command": " ".join(template)})
    out += [
        "metric:",
        "  name:            # what the script prints, logs or writes, such as val_accuracy",
        "  goal: maximize",
    ]
    out += ["parameters:", *searched] if searched else ["parameters: {}     # such as  lr: log(1e-5, 1e-1)"]
    if left_out:
        out += ["  # Not searched. Take the # away, and give what should be searched its range or values:", *left_out]
    out += ["budget:", "  trials: 50"]
    if resume is not None:
        words = [f"--{resume.name}", *(["${last_checkpoint}"] if resume.takes_value else [])]
        out += ["# What is added when an interrupted trial goes on:", *_lines({"trial": {"resume_args": words}})]
    return "\n".join(out) + "\n"


def _resuming(options: Sequence[Option]) -> tuple[Option | None, Option | None]:
    """The option that resumes a training, and the one that names the folder of its checkpoints."""
    folder = next((option for option in options if _CHECKPOINTS.search(option.name) and option.takes_value), None)
    resume = next((option for option in options if _RESUME.search(option.name) and option is not folder), None)
    if resume is not None and folder is None:
        folder = next((option for option in options if _OUTPUT.search(option.name) and option.takes_value), None)
    return resume, folder


def _parameters(options: Sequence[Option]) -> tuple[list[str], list[str]]:
    """The lines of what is searched, and the comments for the rest."""
    found = [(option, _definition(option)) for option in options]
    numbers = [option for option, definition in found if isinstance(definition, str)]
    many = len(numbers) > _MANY
    lines: list[str] = []
    left_out: list[str] = []
    for option, definition in found:
        if definition is None or (many and option in numbers and not _is_known(option.name)):
            left_out.append(_as_comment(option, definition))
        else:
            lines += _as_lines(option, definition)
    return lines, left_out


def _as_lines(option: Option, definition: Any) -> list[str]:
    if isinstance(definition, str):  # a range: plain, as people write it
        lines = [f"  {_lines({option.name: 0})[0].rpartition(':')[0]}: {definition}"]
    else:
        lines = [f"  {line}" for line in _lines({option.name: definition})]
    if option.default is not None and definition != option.default:
        lines[-1] += f"    # default {_one_line(option.default)}"
    return lines


def _as_comment(option: Option, definition: Any) -> str:
    value = definition if definition is not None else list(option.choices) or option.default
    if value is None and option.kind in ("int", "float"):
        value = f"{option.kind}(LOW, HIGH)"
    why = "" if option.takes_value else "    # a flag: [true, false], with ${args_no_boolean_flags} in the command"
    return f"  # {option.name}:{'' if value is None else ' ' + _one_line(value)}{why}"


def _one_line(value: Any) -> str:
    if isinstance(value, list):
        text = f"[{', '.join(map(_one_line, value))}]"
    else:
        text = " ".join(" ".join(_lines({"x": value})).partition(":")[2].split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _lines(data: dict[str, Any]) -> list[str]:
    return yaml_writer.dump(data, compact=True).splitlines()


def _is_known(name: str) -> bool:
    return any(words.search(name) for words in (_LOGARITHMIC, _SHARES, _SIZES))


def _definition(option: Option) -> Any:
    """The value of a parameter's key: a range as text, choices, a constant; ``None``: not searched."""
    name, default = option.name, option.default
    if not re.search(r"^[A-Za-z_][\w.-]*$", name) or not option.takes_value or option.many:
        return None
    number = isinstance(default, (int, float)) and not isinstance(default, bool)
    if _LENGTHS.search(name) and not _NOT_SEARCHED.search(name):
        return default if number else None
    if _NOT_SEARCHED.search(name):
        return None
    if option.choices:
        kept = list(dict.fromkeys(option.choices))
        return kept if len(kept) > 1 else None
    if number and option.kind != "bool":
        return _around(option, default)
    known = option.kind == "float" and default is None
    return next((usual for words, usual in _USUAL if words.search(name)), None) if known else None


def _around(option: Option, default: float) -> Any:
    """A range around a default, within what the script takes."""
    name, low, high = option.name, option.low, option.high
    whole = option.kind == "int" or (option.kind != "float" and isinstance(default, int))
    share = _SHARES.search(name) or _SHARES.search(option.help)
    if not whole or _LOGARITHMIC.search(name) or (share and 0 < default < 1):
        if share and 0 <= default <= 1:
            least = 0.0 if _MAY_BE_NONE.search(name) or default == 0 else default / 5
            return _range("float", least, 0.5 if default <= 0.5 else 0.99, low, high)
        if default > 0:
            return _range("log", default / 10, default * 10, low, high)
        return _range("float", default - 1, default + 1, low, high) if default < 0 else "float(0.0, 1.0)"
    default = int(default)
    if _SIZES.search(name) and default >= 4 and low is None and high is None:
        return [default // 2, default, default * 2]
    if default <= 0:
        return _range("int", default, default + 3, low, high)
    return _range("int", max(1, default // 2), max(3, default * 2), low, high)


def _range(form: str, low: float, high: float, least: float | None, most: float | None) -> str:
    low, high = max(low, low if least is None else least), min(high, high if most is None else most)
    return f"{form}({low:d}, {high:d})" if form == "int" else f"{form}({float(low):g}, {float(high):g})"
