"""Defaults of a site, for every study of this person: ``~/.config/outlast.yaml``, today its ``slurm:`` section."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from outlast.config import yaml
from outlast.config.shapes import At, Fields
from outlast.config.slurm_section import SLURM

_SITE = Fields({"slurm": SLURM}, description="Defaults for every study")


def site_file() -> str:
    """Where it lies (XDG base directories)."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(home, "outlast.yaml")


def read_site(path: str | None = None) -> Mapping[str, Any]:
    """The defaults by section; nothing where there is no such file.

    Raises:
        StudyFileError: The file is wrong, with line and key.
    """
    path = path or site_file()
    if not os.path.exists(path):
        return {}
    document = yaml.read(path)
    return _SITE.read(document.data or {}, At(document))
