"""The configuration of one trial: the base file with the parameters laid over it, and values derived by a hook."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from outlast.config import yaml
from outlast.config.command import find_interpreter
from outlast.config.settings import Settings
from outlast.errors import StudyFileError

_DERIVE_TIMEOUT = 120.0
_SUFFIXES = (".yaml", ".yml", ".json", ".toml")

#: Runs in the training's Python. Whatever the hook prints goes to stderr: the answer has the pipe to itself.
_BOOTSTRAP = """\
import importlib, json, os, sys
answer = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
sys.path.insert(0, os.getcwd())
module, _, name = sys.argv[1].partition(":")
result = getattr(importlib.import_module(module), name)(json.load(sys.stdin))
answer.write(json.dumps({"result": result}))
answer.close()
"""


class Infeasible(Struct, frozen=True):
    """The hook says that this configuration cannot run."""

    reason: str = "infeasible"


def resolve_trial_config(settings: Settings, params: Mapping[str, Any]) -> dict[str, Any] | None:
    """The full configuration of a trial: the base file, read anew, with every parameter at its dotted key.

    Args:
        settings: The study.
        params: The trial's configuration, without constants (they are added).

    Returns:
        Plain data, or ``None`` where the study names no base configuration.

    Raises:
        StudyFileError: The base file is gone, is not what its suffix says, or a parameter's key leads into a value.
    """
    if settings.config is None:
        return None
    path = _base_file(settings.config, settings.working_directory)
    config = _read(path)
    for name, value in settings.space.complete(params).items():
        _override(config, name.lstrip("+"), value, path)
    return config


def derive(settings: Settings, params: Mapping[str, Any]) -> dict[str, Any] | Infeasible:
    """What the study's ``derive`` hook makes of a configuration: further or other values, or that it cannot run.

    The hook runs in the training's Python (``python`` on PATH), in the study file's folder. It gets one dict with all
    parameters by dotted name, constants included, and returns a dict, ``None``, or text that begins with "infeasible".

    Raises:
        StudyFileError: The hook failed, took more than two minutes, or returned something else.
    """
    if settings.derive is None:
        return {}
    interpreter = find_interpreter(settings.env.get("PATH"))
    values = settings.space.complete(params)
    try:
        done = subprocess.run(
            [interpreter, "-c", _BOOTSTRAP, settings.derive],
            input=json.dumps(values),
            capture_output=True,
            text=True,
            errors="replace",
            cwd=settings.working_directory,
            env={**os.environ, **settings.env},
            timeout=_DERIVE_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _hook_error(settings.derive, f"took longer than {_DERIVE_TIMEOUT:g} seconds") from None
    except OSError as error:
        raise _hook_error(settings.derive, f"could not be started with {interpreter}: {error.strerror}") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise _hook_error(settings.derive, f"failed: {lines[-1].strip() if lines else f'exit code {done.returncode}'}")
    try:
        result = json.loads(done.stdout)["result"]
    except (ValueError, KeyError, TypeError):
        raise _hook_error(settings.derive, "ended without an answer") from None
    if isinstance(result, str) and result.lower().startswith("infeasible"):
        return Infeasible(result.partition(":")[2].strip() or "infeasible")
    if result is not None and not isinstance(result, dict):
        raise _hook_error(settings.derive, f"returned {result!r}: it must be a dict, None, or 'infeasible'")
    return result or {}


def _hook_error(hook: str, what: str) -> StudyFileError:
    return StudyFileError(f"`{hook}` {what}", key="derive", cure="try it by hand: it takes a dict and returns one")


def _base_file(config: str, folder: str) -> str:
    path = os.path.join(folder, config)
    if not os.path.isdir(path):
        if not path.endswith(_SUFFIXES):
            raise StudyFileError(f"`{config}` is not {', '.join(_SUFFIXES)}", key="config")
        return path
    found = sorted(n for n in os.listdir(path) if n.startswith("config") and n.endswith((".yaml", ".yml")))
    if len(found) != 1:
        what = f"holds {len(found)} of them: {', '.join(found)}" if found else "holds none"
        raise StudyFileError(
            f"a folder must hold exactly one config*.yaml; `{config}` {what}", key="config", cure="name the file"
        )
    return os.path.join(path, found[0])


def _read(path: str) -> dict[str, Any]:
    data = _parsed(path) if path.endswith((".json", ".toml")) else yaml.read_any(path)
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise StudyFileError("must hold keys and values", file=path, key="config")
    return data


def _parsed(path: str) -> Any:
    """What a JSON or TOML file holds."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text) if path.endswith(".json") else tomllib.loads(text)
    except json.JSONDecodeError as error:
        raise StudyFileError(f"is not JSON: {error.msg}", file=path, line=error.lineno) from None
    except tomllib.TOMLDecodeError as error:
        raise StudyFileError(f"is not TOML: {error}", file=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StudyFileError(f"cannot be read: {error}", file=path) from None


def _override(config: dict[str, Any], name: str, value: Any, path: str) -> None:
    here: Any = config
    parts = name.split(".")
    for depth, part in enumerate(parts, start=1):
        rest = ".".join(parts[depth - 1 :])
        if isinstance(here, dict) and (depth == len(parts) or rest in here):  # the file itself may have the dotted key
            here[rest] = value
            return
        if isinstance(here, dict):
            if here.get(part) is None:
                here[part] = {}
            here = here[part]
        elif isinstance(here, list) and part.isdigit() and int(part) < len(here):
            if depth == len(parts):
                here[int(part)] = value
            here = here[int(part)]
        else:
            fact = f"parameter `{name}`: `{part}` has no place in the base configuration"
            raise StudyFileError(fact, file=path, key="config")
