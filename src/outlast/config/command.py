"""The command template: macros in, the argv of one attempt out. Never a shell: values stay whole arguments.

A macro that is a whole list item may become several arguments, or none: one that has no value now
(``${last_checkpoint}`` without a checkpoint, a parameter that is not active) is left out together with the bare flag
before it, or the ``--flag=`` around it. A value that would be taken for an option is joined to that flag (``--x=-a``).
``$${`` is a literal ``${``.
The ``args`` macros are W&B's; ``:grouped`` after one hands nested parameters over as W&B does, one mapping for each
top-level name, where ours are dotted (``--optimizer.lr=0.1``). A parameter comes before a macro of its name, which is
then written ``${macro:env}``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from msgspec import Struct

from outlast.config.settings import Settings
from outlast.config.words import alone, behind, hydra
from outlast.errors import UsageError

#: The command of a study that was imported without a study file; refused until a person says how to train.
NO_COMMAND = "(the training command)"
GROUPED = ":grouped"
#: Before a macro's name: the macro, and not the parameter of that name.
MACRO_ITSELF = "macro:"

MACRO = re.compile(r"\$?\$\{([^{}]*)\}")
_ASSIGNED = r"[^\s=]+=\$\{[^{}]*\}"  # --resume=${last_checkpoint}, ckpt_path=${last_checkpoint}
ENVVAR = r"^envvar:([A-Za-z_][A-Za-z0-9_]*)$"


class CommandContext(Struct, frozen=True):
    """What a command may be told about its attempt. Paths are absolute, or relative to the working directory."""

    trial: int
    attempt: int
    seed: int
    trial_dir: str
    checkpoint_dir: str
    last_checkpoint: str | None = None
    config_file: str | None = None  # the resolved configuration of this trial
    fold: int | None = None
    splits: str | None = None  # the file with the folds
    interpreter: str = "python"
    resume: bool = False  # there is a checkpoint to resume from: `trial.resume_args` are appended
    args_json_file: str | None = None  # the parameters as a JSON file
    epochs: int | None = None  # of a refit: for how long it trains
    best_step: int | None = None  # of a refit: the same as the step that the training reported then
    model: str | None = None  # of an evaluation: the checkpoint that is scored


def _each(form: Callable[[str, Any], list[str]]) -> Callable[[Mapping[str, Any]], list[str]]:
    """What gives each parameter's words in turn."""
    return lambda values: [word for name, value in values.items() for word in form(name, value)]


def _no_boolean_flags(name: str, value: Any) -> list[str]:
    if isinstance(value, bool):
        return [f"--{name}"] if value else []
    return [f"--{name}={value}"]


#: What each args macro becomes.
ARGUMENTS: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
    "args": _each(lambda name, value: [f"--{name}={value}"]),
    "args_no_hyphens": _each(lambda name, value: [f"{name}={value}"]),
    "args_no_equals": _each(lambda name, value: behind(f"--{name}", alone(value))),
    "args_no_boolean_flags": _each(_no_boolean_flags),
    "args_json": lambda values: [json.dumps(values)],
    "args_append_hydra": _each(lambda name, value: [f"+{name}={hydra(value)}"]),
    "args_override_hydra": _each(lambda name, value: [f"++{name}={hydra(value)}"]),
}
#: Become one argument for each parameter: whole list items only.
ARGS_MACROS = tuple(ARGUMENTS)
#: What only the commands of these sections may say. There they come before a parameter of the same name.
FOLLOWUP_MACROS: Mapping[str, tuple[str, ...]] = {"refit": ("epochs", "best_step"), "evaluate": ("model",)}
#: Become one text, inside an argument too.
VALUE_MACROS = (
    "env",
    "config",
    *(name for name in CommandContext.__struct_fields__ if name not in ("config_file", "resume")),
)


def render_command(settings: Settings, params: Mapping[str, Any], context: CommandContext) -> list[str]:
    """The argv of one attempt.

    Args:
        settings: The study; it must have a `command`.
        params: The trial's configuration, without constants (they are added).
        context: What the macros stand for.

    Raises:
        UsageError: There is no command, or an environment variable that it names is not set.
    """
    if settings.command is None:
        raise UsageError(f"study `{settings.name}` has no command: it runs the function {settings.function}")
    template = (*settings.command, *(settings.trial.resume_args if context.resume else ()))
    values = settings.space.complete(params)
    renderer = _Renderer(settings, values, context, template)
    argv: list[str] = []
    for before, item in zip(("", *template), template, strict=False):
        words = renderer.item(item)
        if _is_bare_flag(before):
            if words is None and MACRO.fullmatch(item):
                argv.pop()
            elif words and renderer.names & set(macros(item)):
                words = behind(argv.pop(), words[0])
        argv += words or []
    return argv


def sweep_parameters(settings: Settings, params: Mapping[str, Any]) -> dict[str, Any]:
    """What the file at ``WANDB_SWEEP_PARAM_PATH`` holds: W&B's configuration form of all parameters, nested."""
    nested = settings.nest(settings.space.complete(params))
    return {"wandb_version": 1, **{name: {"desc": None, "value": value} for name, value in nested.items()}}


def find_interpreter(path: str | None = None) -> str:
    """The Python that trainings run in: ``python`` on PATH, else ``python3``.

    Args:
        path: Search here instead of this process's PATH.
    """
    return _found_on(path) if path is not None else _found_here(os.environ.get("PATH"))


def _found_on(path: str | None) -> str:
    return shutil.which("python", path=path) or shutil.which("python3", path=path) or "python3"


@lru_cache(maxsize=1)
def _found_here(path: str | None) -> str:  # asked for each attempt
    return _found_on(path)


class _Renderer:
    def __init__(
        self, settings: Settings, values: Mapping[str, Any], context: CommandContext, template: tuple[str, ...]
    ) -> None:
        self.settings, self.values, self.context = settings, values, context
        names = {parameter.name for parameter in settings.parameters}
        told = (name for section in FOLLOWUP_MACROS.values() for name in section)
        self.told = {name: getattr(context, name) for name in told if getattr(context, name) is not None}
        self.names = names - self.told.keys()
        # A number of epochs stands in for the parameter that says how many; a model's path for no kind of model.
        replaced = names - {*FOLLOWUP_MACROS["evaluate"]} if self.told else names
        mentioned = {macro for item in template for macro in macros(item) if macro in replaced}
        self.rest = {name: value for name, value in values.items() if name not in mentioned}

    def item(self, item: str) -> list[str] | None:
        """The arguments of one item of the template; ``None`` if its macro has no value now."""
        whole = MACRO.fullmatch(item)
        if whole and not item.startswith("$$") and whole[1] not in self.names:
            name = whole[1].removeprefix(MACRO_ITSELF).removesuffix(GROUPED)
            if name in ARGS_MACROS:
                values = self.rest
                if whole[1].endswith(GROUPED) or name == "args_json":
                    values = self.settings.nest(values)
                return ARGUMENTS[name](values)
        if whole and whole[1] in self.names and not item.startswith("$$"):
            return [alone(self.values[whole[1]])] if whole[1] in self.values else None
        parts: list[str] = []
        end = 0
        for match in MACRO.finditer(item):
            parts.append(item[end : match.start()])
            value = match[0][1:] if match[0].startswith("$$") else self.value(match[1])
            if value is None:
                if match[1] in self.names or whole or re.fullmatch(_ASSIGNED, item):
                    return None
                value = ""
            parts.append(value)
            end = match.end()
        return ["".join(parts) + item[end:]]

    def value(self, macro: str) -> str | None:
        if macro in self.names:
            return str(self.values[macro]) if macro in self.values else None
        if variable := re.match(ENVVAR, macro):
            value = self.settings.env.get(variable[1], os.environ.get(variable[1]))
            if value is None:
                raise UsageError(
                    f"the command needs the environment variable {variable[1]}, which is not set",
                    cure=f"export {variable[1]}=…, or put it under `env:` in the study file",
                )
            return value
        macro = macro.removeprefix(MACRO_ITSELF)
        known = {"env": "/usr/bin/env", "config": self.context.config_file}
        value = known[macro] if macro in known else getattr(self.context, macro)
        return None if value is None else str(value)


def macros(item: str) -> list[str]:
    """The macros in one item, without braces; literals (``$${x}``) left out."""
    return [match[1] for match in MACRO.finditer(item) if not match[0].startswith("$$")]


def _is_bare_flag(word: str) -> bool:
    """Whether a word of the template is a flag whose value comes next. What a macro became (``--amp``) is not ours."""
    return word.startswith("-") and word not in ("-", "--") and "=" not in word and not macros(word)
