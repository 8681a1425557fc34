"""Whether a study's trackers can be sent to from here, as far as that is known without asking them; Azure ML is asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from outlast.config.chosen import ChosenSettings
from outlast.config.secrets import MASK, mask_text
from outlast.config.settings import Settings
from outlast.config.tracking_section import AzureSettings, filled_settings, lacking_in, variables_of
from outlast.core.finding import Finding
from outlast.tracking.choosing import EXTRAS, PACKAGES, make_sink
from outlast.tracking.sink import SinkError


def tracking_findings(settings: Settings) -> Iterator[Finding]:
    """Each tracker that cannot be used, with what helps; a search goes on without it, so that none is an error."""
    environment, cwd = {**os.environ, **settings.env}, os.path.abspath(settings.working_directory)
    usable = []
    for name, its in settings.tracking.chosen.items():
        lacking, cure = lacking_in(its, environment), ""
        if not lacking and isinstance(its, ChosenSettings):
            lacking, cure = _of_a_class(name, its, cwd, environment)
        elif not lacking and not _is_there(PACKAGES[name]):
            lacking, cure = f"needs {PACKAGES[name].partition('.')[0]}, which is not installed here", EXTRAS[name]
        elif not lacking and isinstance(its, AzureSettings):
            lacking, cure = _of_a_workspace(filled_settings(its, environment), environment)
        if lacking:
            yield Finding("tracking", "note", f"{name} {lacking}: the search would not be sent there", cure or None)
        else:
            usable.append(name)
    if usable:
        yield Finding("tracking", "ok", f"sent to {', '.join(usable)}")


def _of_a_workspace(its: AzureSettings, environment: Mapping[str, str]) -> tuple[str, str]:
    """Azure is asked: what it refuses later, credential, workspace or permission, it refuses now."""
    from outlast.tracking.azure_workspace import Workspace

    try:
        Workspace(its, environment).tracking_uri(patience=5.0)
    except SinkError as error:
        return f"cannot be used ({error.reason})", error.cure
    return "", ""


def _of_a_class(name: str, its: ChosenSettings, cwd: str, environment: Mapping[str, str]) -> tuple[str, str]:
    added = cwd not in sys.path
    if added:
        sys.path.append(cwd)
    try:
        make_sink(name, its, environment)
    except SinkError as error:
        return f"cannot be used ({_masked(error.reason, its, environment)})", error.cure
    except Exception as error:  # a person's own module may fail in any way
        return f"cannot be used ({type(error).__name__}: {_masked(str(error), its, environment)})", ""
    finally:
        if added and cwd in sys.path:
            sys.path.remove(cwd)
    return "", ""


def _masked(text: str, its: ChosenSettings, environment: Mapping[str, str]) -> str:
    """Without what is secret in it, also where only the environment says so."""
    for name in variables_of(its):
        text = text.replace(environment[name], MASK) if environment.get(name) else text
    return mask_text(text)


def _is_there(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # what it lies in is not there
        return False
