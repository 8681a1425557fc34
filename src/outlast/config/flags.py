"""What the training script's own parser will refuse, as far as its source says it. The script is read, not run."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator

from msgspec import Struct

from outlast.config.command import GROUPED, MACRO_ITSELF, macros
from outlast.config.settings import Settings

_LARGEST = 1024 * 1024
_HYDRA = (
    "{script} is a Hydra application, which takes lr=0.1 and not --lr=0.1 as ${{{macro}}} writes it: "
    "${{args_override_hydra}} in the command, or ${{args_no_hyphens}} where a config group is searched"
)
_NO_VALUE = ("store_true", "store_false", "store_const", "count")


class _Flag(Struct, frozen=True):
    line: int
    what: str
    both: bool  # there is a --no- beside it


def flag_notes(settings: Settings) -> list[str]:
    """What the script's parser will refuse: ``--amp=True`` for a flag that takes no value, ``--lr=0.1`` in Hydra."""
    command = settings.command or ()
    script = next((word for word in command if word.endswith(".py") and not macros(word)), None)
    tree = (
        None if script is None or not settings.parameters else _parsed(os.path.join(settings.working_directory, script))
    )
    if tree is None or script is None:
        return []
    name = os.path.basename(script)
    used = {_bare(macro) for item in command for macro in macros(item)}
    dashed = sorted(used & {"args", "args_no_equals", "args_no_boolean_flags"})
    if _is_hydra(tree):
        return [_HYDRA.format(script=name, macro=dashed[0])] if dashed else []
    given = [p.name for p in settings.parameters if any(isinstance(v, bool) for v in _values(p.choices))]
    flags = dict(_flags(tree)) if given else {}
    notes = []
    for parameter in given:
        flag = next((f"--{n}" for n in (parameter, parameter.replace("_", "-")) if f"--{n}" in flags), None)
        if flag is not None and _gets_a_value(command, parameter, whole=bool(used & {"args", "args_no_equals"})):
            notes.append(_note(flag, flags[flag], name, parameter))
    return notes


def _parsed(path: str) -> ast.Module | None:
    try:
        with open(path, "rb") as stream:
            return ast.parse(stream.read(_LARGEST))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _is_hydra(tree: ast.Module) -> bool:
    """Whether a function in it is decorated by ``hydra.main``."""
    decorators = (d for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) for d in node.decorator_list)
    return any(ast.unparse(d).startswith("hydra.main") for d in decorators)


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


def _flags(tree: ast.Module) -> Iterator[tuple[str, _Flag]]:
    """The flags without a value that argparse, click or Typer is told of in a file."""
    typer = any(isinstance(node, ast.Import) and any(n.name == "typer" for n in node.names) for node in ast.walk(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node.func) in ("add_argument", "option"):
            texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            what = _no_value(node)
            for text in texts:
                both = what == "BooleanOptionalAction" or "/" in text
                if text.startswith("--") and (what or both):
                    yield text.partition("/")[0].strip(), _Flag(node.lineno, what or "a flag with its opposite", both)
        elif typer and isinstance(node, ast.FunctionDef):
            for argument in (*node.args.args, *node.args.kwonlyargs):
                if argument.annotation and ast.unparse(argument.annotation).startswith(("bool", "Annotated[bool")):
                    yield (
                        f"--{argument.arg.replace('_', '-')}",
                        _Flag(argument.lineno, "a flag with its opposite", True),
                    )


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
