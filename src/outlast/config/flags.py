"""Flags of the training script that take no value, where the command would give them one. Read from its source; not run."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass

from outlast.config.command import GROUPED, MACRO_ITSELF, macros
from outlast.config.settings import Settings

__all__ = ["flag_notes"]

_LARGEST = 1024 * 1024
_NO_VALUE = ("store_true", "store_false", "store_const", "count")


@dataclass(frozen=True)
class _Flag:
    line: int
    what: str
    both: bool  # there is a --no- beside it


def flag_notes(settings: Settings) -> list[str]:
    """What the script's parser will refuse: a boolean handed over as ``--amp=True`` to a flag that takes no value."""
    command = settings.command or ()
    given = [p.name for p in settings.parameters if any(isinstance(v, bool) for v in _values(p.choices))]
    script = next((word for word in command if word.endswith(".py") and not macros(word)), None)
    if not given or script is None:
        return []
    flags = dict(_flags(os.path.join(settings.working_directory, script)))
    whole = any(_bare(macro) in ("args", "args_no_equals") for item in command for macro in macros(item))
    notes = []
    for name in given:
        flag = next((f"--{n}" for n in (name, name.replace("_", "-")) if f"--{n}" in flags), None)
        if flag is not None and _gets_a_value(command, name, whole=whole):
            notes.append(_note(flag, flags[flag], os.path.basename(script), name))
    return notes


def _note(flag: str, found: _Flag, script: str, name: str) -> str:
    fact = f"`{flag}` of {script} takes no value ({found.what}, line {found.line})"
    if found.both:
        return (
            f"{fact}: search the flag, `{name}: {{values: [{flag}, --no-{flag[2:]}]}}`, with ${{{name}}} in the command"
        )
    return f"{fact}, and ${{args}} gives it one: ${{args_no_boolean_flags}} in the command writes {flag} or nothing"


def _values(choices: object) -> list[object]:
    return list(choices) if isinstance(choices, (list, tuple)) else []


def _gets_a_value(command: tuple[str, ...], name: str, *, whole: bool) -> bool:
    own = [item for item in command if name in macros(item)]
    if own:
        return any(item != f"${{{name}}}" for item in own) or _behind_flag(command, name)
    return whole


def _bare(macro: str) -> str:
    return macro.removeprefix(MACRO_ITSELF).removesuffix(GROUPED)


def _behind_flag(command: tuple[str, ...], name: str) -> bool:
    at = command.index(f"${{{name}}}")
    return at > 0 and command[at - 1].lstrip("-").replace("-", "_") == name.replace("-", "_")


def _flags(path: str) -> Iterator[tuple[str, _Flag]]:
    """The flags without a value that argparse or click is told of in a file."""
    try:
        with open(path, "rb") as stream:
            tree = ast.parse(stream.read(_LARGEST))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node.func) in ("add_argument", "option"):
            texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            what = _no_value(node)
            for text in texts:
                both = what == "BooleanOptionalAction" or "/" in text
                if text.startswith("--") and (what or both):
                    yield text.partition("/")[0].strip(), _Flag(node.lineno, what or "a flag with its opposite", both)


def _called(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _no_value(call: ast.Call) -> str:
    for keyword in call.keywords:
        value = keyword.value
        if keyword.arg == "action":
            word = value.value if isinstance(value, ast.Constant) else _called(value)
            if word in (*_NO_VALUE, "BooleanOptionalAction"):
                return str(word)
        if keyword.arg == "is_flag" and isinstance(value, ast.Constant) and value.value is True:
            return "is_flag"
    return ""
