"""A first study file, drafted from a script's ``--help``.

Reads what argparse and click print. What looks like a hyperparameter gets a range around its default; lengths of the
training stay at their default; files, devices and seeds are left to the person.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from outlast.config import native, yaml, yaml_writer
from outlast.config.inline import script_stem
from outlast.errors import StudyFileError

__all__ = ["Option", "draft_from_help", "parse_options"]

_LENGTHS = re.compile(r"epoch|steps?$|iter|patience|rounds?$|max[-_]|num[-_]samples", re.IGNORECASE)
_NOT_SEARCHED = re.compile(
    r"path|dir|file|folder|data|output|^out$|save|load|seed|device|gpu|cuda|cpu|worker|thread|log[-_]|^log|verbose|debug"
    r"|resume|checkpoint|ckpt|port|host|url|name|project|entity|wandb|mlflow|rank|world|backend|version|help|config|fold"
    r"|interval|every|freq|fp16|bf16|amp|token|key|quiet|threads|jobs",
    re.IGNORECASE,
)
_LOGARITHMIC = re.compile(
    r"(^|[-_.])(lr|learning[-_]?rate|weight[-_]?decay|wd|eps|epsilon|alpha|reg|l1|l2|lambda)([-_.]|$)"
)
_SHARES = re.compile(r"drop|momentum|ratio|prob|fraction|beta|smoothing|subsample|colsample", re.IGNORECASE)
_SIZES = re.compile(r"batch|hidden|dim|units|width|size|channels|filters|neurons", re.IGNORECASE)

_OPTION = re.compile(r"^\s{0,10}(-{1,2}[A-Za-z][^\n]*)$")
_FLAG = re.compile(r"(?<![\w-])--([A-Za-z][\w.-]*)")
_CHOICES = re.compile(r"\{([^{}]+)\}|\[([^\[\]|]+(?:\|[^\[\]|]+)+)\]")
_DEFAULT = re.compile(r"default(?:s to|\s+is|:|=)?\s*[:=]?\s*[\"'`]?([^\s,;)\]\"'`]+)", re.IGNORECASE)
_TYPE = re.compile(r"\b(FLOAT|INTEGER|INT|NUMBER)\b")


@dataclass(frozen=True)
class Option:
    """One option of a script, as its help says it."""

    name: str
    choices: tuple[Any, ...] = ()
    default: Any = None
    takes_value: bool = True


def draft_from_help(help_text: str, command: Sequence[str]) -> str:
    """The text of a study file for a script.

    Args:
        help_text: What the script prints for ``--help``.
        command: How it is started, such as ``["python", "train.py"]``.

    Returns:
        YAML that `load_study_file` accepts once the metric's name is filled in.
    """
    lines, left_out = _parameters(parse_options(help_text))
    head = {"name": native.clean_name(script_stem(command) if command else "study")}
    template = " ".join([*(shlex.quote(word.replace("${", "$${")) for word in command), "${args}"])
    out = ["# A first study file. Look at the ranges, fill in the metric's name, then: outlast check FILE"]
    out.append(yaml_writer.dump(head, compact=True).rstrip())
    out.append(yaml_writer.dump({"command": template}, compact=True).rstrip())
    out += [
        "metric:",
        "  name:            # what the script prints, logs or writes, such as val_accuracy",
        "  goal: maximize",
    ]
    if lines:
        out += ["parameters:", *lines]
    else:
        out += ["parameters: {}     # nothing was recognised; such as  lr: log(1e-5, 1e-1)"]
    out += ["budget:", "  trials: 50"]
    if left_out:
        out.append(f"# Not searched: {', '.join(left_out)}")
    return "\n".join(out) + "\n"


def parse_options(help_text: str) -> list[Option]:
    """The options that a help text of argparse or click lists, each once."""
    options: dict[str, Option] = {}
    for block in _blocks(help_text):
        option = _option(block)
        if option is not None and option.name not in ("help", "version"):
            options.setdefault(option.name, option)
    return list(options.values())


def _blocks(help_text: str) -> list[str]:
    """One text for each option, wrapped lines joined."""
    blocks: list[str] = []
    inside = False
    for line in help_text.splitlines():
        if match := _OPTION.match(line):
            blocks.append(match[1])
            inside = True
        elif not line.strip() or not line.startswith(" "):
            inside = False
        elif inside:
            blocks[-1] += f"  {line.strip()}"
    return blocks


def _option(block: str) -> Option | None:
    head, _, description = block.partition("  ")
    flags = _FLAG.findall(head)
    if not flags:
        return None
    name = next((flag for flag in flags if not flag.startswith("no-")), flags[0])
    default = _DEFAULT.search(description)
    value = _value(default[1].rstrip(".")) if default else None
    choices = _CHOICES.search(head) or (_CHOICES.search(description) if "default" not in description[:9] else None)
    if choices:
        words = re.split(r"[,|]", choices[1] or choices[2])
        return Option(name, tuple(_choice(word.strip()) for word in words if word.strip()), value)
    bare = re.sub(r"--?[A-Za-z][\w.-]*", "", head).strip(" ,/")
    takes_value = bool(bare) or bool(_TYPE.search(description[:12]))
    return Option(name, (), value, takes_value)


def _choice(word: str) -> Any:
    """A choice as the script compares it: typed only where it comes back as the same word (``1e-3`` would not)."""
    value = _value(word)
    return value if str(value) == word else word


def _value(text: str) -> Any:
    try:
        value = yaml.parse_value(text, "--help")
    except StudyFileError:
        return text
    return value if isinstance(value, (bool, int, float, str)) or value is None else text


def _parameters(options: Sequence[Option]) -> tuple[list[str], list[str]]:
    lines: list[str] = []
    left_out: list[str] = []
    for option in options:
        definition = _definition(option)
        if definition is None:
            left_out.append(f"--{option.name}")
        else:
            value, comment = definition
            entry = yaml_writer.dump({option.name: value}, compact=True).rstrip()
            lines += [f"  {line}" for line in entry.splitlines()]
            lines[-1] += f"    # default {option.default}" if comment and option.default is not None else ""
    return lines, left_out


def _definition(option: Option) -> tuple[Any, bool] | None:
    """The value of a parameter's key, and whether its default is worth a comment."""
    name, default = option.name, option.default
    if not re.search(r"^[A-Za-z_][\w.-]*$", name) or not option.takes_value:
        return None
    number = isinstance(default, (int, float)) and not isinstance(default, bool)
    if _LENGTHS.search(name):
        return (default, False) if number else None
    if _NOT_SEARCHED.search(name):
        return None
    if option.choices:
        kept = list(dict.fromkeys(option.choices))
        return (kept, True) if len(kept) > 1 else None
    if not number:
        return None
    return _around(name, default), True


def _around(name: str, default: float) -> Any:
    """A range around a default."""
    if isinstance(default, float) or _LOGARITHMIC.search(name) or _SHARES.search(name):
        if _SHARES.search(name) and 0 <= default <= 1:
            return f"float(0.0, {0.5 if default <= 0.5 else 0.99})"
        if default > 0:
            return f"log({default / 10:g}, {default * 10:g})"
        return f"float({default - 1:g}, {default + 1:g})" if default < 0 else "float(0.0, 1.0)"
    if _SIZES.search(name) and default >= 4:
        return [default // 2, default, default * 2]
    if default <= 0:
        return f"int({default}, {default + 3})"
    return f"int({max(1, default // 2)}, {default * 2})"
