"""What an exported folder must not tell: the values of secrets, wherever in its texts they are repeated.

A script that prints its token has it in the log's end on the report's page, and a study file that is part of the code has it in
its `env`. Records have no secret's value: it is known from the environment, and from study files that lie with the code.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path

from outlast._system.files import write_atomic
from outlast.config import yaml
from outlast.config.command import ENVVAR, macros
from outlast.config.secrets import MASK, is_secret_name, mask_address, variables_in
from outlast.config.settings import NotifySettings, Settings
from outlast.errors import OutlastError

_LEAST = 4  # characters: anything shorter stands in every text by chance
_LARGEST = 20_000_000  # bytes of a text that is looked through

_IN_ADDRESS = r"://[^/\s:@\"]*:([^/\s@\"$]+)@"  # the password of a URL, where it is no variable


def secret_values(studies: Iterable[Settings], code: Iterable[Path]) -> set[str]:
    """The values of secrets as far as they are known here.

    Args:
        studies: Whose `env` and commands name variables.
        code: Folders in which study files are looked for, not below them; a missing one has none.
    """
    studies = list(studies)
    words = [word for each in studies for word in each.command or ()]
    named = {found[1] for word in words for macro in macros(word) if (found := re.match(ENVVAR, macro))}
    named |= {name for each in studies for name in each.masked_env}
    named |= {name for each in studies for url in each.notify.urls for name in variables_in(url)}
    named |= {
        name
        for each in studies
        for name in variables_in(json.dumps([each.tracking.plain, each.index.url], default=str))
    }
    values = {os.environ.get(name, "") for name in named}
    for path in (path for folder in code if folder.is_dir() for path in folder.iterdir()):
        if path.suffix in (".yaml", ".yml", ".json") and path.is_file():
            values |= _secrets_in(path)
    return {value for value in values if len(value) >= _LEAST and value != MASK}


def take_out(paths: Iterable[Path], values: set[str]) -> None:
    """Replace the values in texts, also as JSON has them; a file that is no text is left."""
    forms = sorted({form for value in values for form in (value, json.dumps(value)[1:-1])}, key=len, reverse=True)
    if not forms:
        return
    for path in paths:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            continue
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            continue
        clean = text
        for form in forms:
            clean = clean.replace(form, MASK)
        if clean != text:
            mode = path.stat().st_mode & 0o777
            write_atomic(path, clean, durable=False)
            path.chmod(mode)


def _secrets_in(path: Path) -> set[str]:
    """What a study file gives variables that are called like secrets, and what its addresses for `notify` and `tracking` keep to
    themselves."""
    try:
        document = yaml.read_any(str(path))
    except (OSError, ValueError, OutlastError):
        return set()
    if not isinstance(document, dict):
        return set()
    env, told = document.get("env"), NotifySettings.of(document.get("notify")).urls
    named = {str(value) for name, value in env.items() if is_secret_name(str(name))} if isinstance(env, dict) else set()
    named |= set(re.findall(_IN_ADDRESS, json.dumps(document.get("tracking"), default=str)))
    return named | {str(url).partition("://")[2] or url for url in told if mask_address(str(url)) != url}
