"""The options of a training script: as its parser describes them, as its ``--help`` prints them, as Hydra composes them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from outlast.config import yaml
from outlast.errors import StudyFileError
from outlast.space.space import flat

_OPTION = re.compile(r"^\s{0,10}(-{1,2}[A-Za-z][^\n]*)$")
_FLAG = re.compile(r"(?<![\w-])--([A-Za-z][\w.-]*)")
_CHOICES = re.compile(r"\{([^{}]+)\}|\[([^\[\]|]+(?:\|[^\[\]|]+)+)\]")
_DEFAULT = re.compile(r"\bdefault(?:s to|\s+is|:|=)?\s*[:=]?\s*[\"'`]?([^\s,;()\]\"'`]+)", re.IGNORECASE)
_TYPE = re.compile(r"\b(FLOAT|INTEGER|INT|NUMBER)\b")
_KINDS = {"FLOAT": "float", "NUMBER": "float", "INTEGER": "int", "INT": "int"}
_HYDRA_GROUPS = re.compile(r"^== Configuration groups ==\n(.*?)(?=^== |\Z)", re.DOTALL | re.MULTILINE)
_HYDRA_CONFIG = re.compile(r"^== Config ==\n[^\n]*\n(.*?)(?=^Powered by Hydra|^== |\Z)", re.DOTALL | re.MULTILINE)
_HYDRA_GROUP = re.compile(r"^([\w/]+): (\S.*)$", re.MULTILINE)


class Option(Struct, frozen=True):
    """One option of a script."""

    name: str
    choices: tuple[Any, ...] = ()
    default: Any = None
    takes_value: bool = True
    kind: str = ""  # int, float, bool, path, str, or nothing: not known
    help: str = ""
    low: float | None = None
    high: float | None = None
    many: bool = False  # takes several values


def described_options(found: Sequence[Mapping[str, Any]]) -> list[Option]:
    """The options as a script's own parser wrote them down (``runner/hooks/outlast_options.py``)."""
    options = []
    for each in found:
        flags = [flag[2:] for flag in each["flags"] if flag.startswith("--")]
        if not flags or flags[0] in ("help", "version") or each.get("help") == "==SUPPRESS==":
            continue
        choices = tuple(choice for choice in each["choices"] if choice is not None)
        same: dict[str, Any] = {
            key: each.get(key) for key in ("default", "takes_value", "kind", "help", "low", "high", "many")
        }
        options.append(Option(flags[0], choices, **same))
    return options


def hydra_options(help_text: str) -> list[Option]:
    """The configuration that Hydra's help shows, by dotted name, and its groups; nothing if it is not Hydra's."""
    config = _HYDRA_CONFIG.search(help_text)
    if config is None:
        return []
    try:
        data = yaml.parse(config[1], "--help").data
    except StudyFileError:
        return []
    groups = _HYDRA_GROUPS.search(help_text)
    choices = {name: tuple(words.split(", ")) for name, words in _HYDRA_GROUP.findall(groups[1] if groups else "")}
    options = [Option(name, words) for name, words in choices.items()]
    return options + [
        Option(name, (), value, kind=type(value).__name__, many=isinstance(value, list))
        for name, value in flat(data).items()
        if value != {} and name.split(".")[0] not in choices  # which of these there are depends on the group's choice
    ]


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
    defaults = _DEFAULT.findall(description)  # the last: the word may stand in what is said of the option
    value = _value(defaults[-1].rstrip(".")) if defaults and defaults[-1] != "None" else None
    choices = _CHOICES.search(head) or (_CHOICES.search(description) if "default" not in description[:9] else None)
    if choices:
        words = re.split(r"[,|]", choices[1] or choices[2])
        return Option(name, tuple(_choice(word.strip()) for word in words if word.strip()), value)
    bare = re.sub(r"--?[A-Za-z][\w.-]*", "", head).strip(" ,/")
    kind = _TYPE.search(bare) or _TYPE.search(description[:12])
    return Option(name, (), value, bool(bare or kind), _KINDS[kind[1]] if kind else "", description.strip())


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
