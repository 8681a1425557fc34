"""What options a script has, with types and defaults, written down when it is asked for its help.

The help of argparse says neither type nor default; its parser knows both. Whoever drafts a study file names a file in
OUTLAST_OPTIONS_FILE; the parser that prints its help then describes itself there. argparse is the parser of
HfArgumentParser, jsonargparse, tyro and simple-parsing too; Typer carries a click of its own.
"""

from __future__ import annotations

import json
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

#: Where classes of click lie.
CLICK = ("click.core", "typer._click.core")
_KIND = re.compile(r"(?:^|[^a-z])(int|float|bool|path|str)(?:[^a-z]|$)")


def install(name: str) -> None:
    """Let a parser describe itself when it is asked for help: of argparse, or of a module in `CLICK` just loaded."""
    if name in CLICK:
        _before(sys.modules[name].Command, "get_help", lambda command, *_: _click(command))
    else:
        import argparse

        _before(argparse._HelpAction, "__call__", lambda _, parser, *__: _argparse(parser))
        _before(argparse.ArgumentParser, "print_help", lambda parser, *_: _argparse(parser))


def _before(owner: Any, method: str, act: Callable[..., Any]) -> None:
    real = getattr(owner, method)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        try:
            _write(act(*args))
        except Exception as error:  # the help is read instead; a script's own help never fails because of us
            print("outlast: {} does not describe itself ({!r})".format(owner, error), file=sys.stderr)
        return real(*args, **kwargs)

    setattr(owner, method, wrapped)


def _write(options: list[dict[str, Any]]) -> None:
    with open(os.environ["OUTLAST_OPTIONS_FILE"], "w") as file:
        json.dump(options, file, default=str)


def _argparse(parser: Any) -> list[dict[str, Any]]:
    return [
        {
            "flags": list(action.option_strings),
            "kind": _kind(getattr(action, "_typehint", None) or action.type, action.default),
            "default": _plain(None if action.default == "==SUPPRESS==" else action.default),
            "choices": [_plain(choice) for choice in action.choices or _literals(getattr(action, "_typehint", None))],
            "takes_value": action.nargs != 0,
            "many": action.nargs in ("*", "+") or (isinstance(action.nargs, int) and action.nargs > 0),
            "help": str(action.help or ""),
        }
        for action in parser._actions
        if action.option_strings and not hasattr(action, "_name_parser_map")
    ]


def _literals(annotation: Any) -> tuple[Any, ...]:
    import typing

    return typing.get_args(annotation) if typing.get_origin(annotation) is typing.Literal else ()


def _click(command: Any) -> list[dict[str, Any]]:
    options = []
    for option in command.params:
        if option.param_type_name != "option":
            continue
        declared, choices = _declared(option)
        options.append(
            {
                "flags": [*option.opts, *option.secondary_opts],
                "kind": _kind(declared, option.default),
                "default": _plain(option.default),
                "choices": [_plain(choice) for choice in choices],
                "takes_value": not getattr(option, "is_flag", False) and not getattr(option, "count", False),
                "many": getattr(option, "multiple", False) or option.nargs != 1,
                "help": str(option.help or ""),
                "low": _plain(getattr(getattr(option, "type", option), "min", None)),
                "high": _plain(getattr(getattr(option, "type", option), "max", None)),
            }
        )
    return options


def _declared(option: Any) -> tuple[Any, list[Any]]:
    """The type of an option, and its choices: in click's own way, or as an annotation, as Typer has it."""
    kind = getattr(option, "type", None)
    if kind is not None:
        return str(kind.name).replace("integer", "int"), list(getattr(kind, "choices", ()))
    kind = getattr(getattr(option, "type_descriptor", None), "annotation", None)
    return kind, list(getattr(kind, "__members__", {}).values())


def _kind(declared: Any, default: Any) -> str:
    """`int`, `float`, `bool`, `path`, `str`, or nothing: what is declared, else what the default is."""
    if declared is None:
        return type(default).__name__ if isinstance(default, (bool, int, float, str)) else ""
    text = declared if isinstance(declared, str) else getattr(declared, "__name__", "") or repr(declared)
    if text in ("Optional", "Union"):
        text = repr(declared)
    found = _KIND.search(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", text).lower())
    return found.group(1) if found else ""


def _plain(value: Any) -> Any:
    """A value as the command line would have it; ``None`` for what cannot be said there."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "value") and hasattr(value, "name") and type(value).__name__ != "Sentinel":  # click's UNSET
        return value.value if isinstance(value.value, (int, float, str)) else value.name
    return os.fspath(value) if hasattr(value, "__fspath__") else None
