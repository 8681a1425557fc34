"""Where this process runs, and where what it makes is kept there: Colab with and without Drive, Kaggle, anywhere else.

Only the environment and a few folders are looked at. ``OUTLAST_LOOK_BELOW`` names the folder that stands for ``/``, so that
all of it can be tried out elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from glob import glob
from pathlib import Path
from typing import Literal, NamedTuple

#: Names the folder that studies lie in by default, wherever this is: ``$OUTLAST_STUDIES/NAME``.
STUDIES_VARIABLE = "OUTLAST_STUDIES"
#: Names the one folder of MyDrive that everything goes below; ``outlast`` by default.
DRIVE_VARIABLE = "OUTLAST_DRIVE_FOLDER"
#: Says when the session began, in seconds of the epoch, where we know better than what we look at.
SESSION_VARIABLE = "OUTLAST_SESSION_BEGAN"
_LOOK_BELOW = "OUTLAST_LOOK_BELOW"
_STUDIES = "studies"
#: What Colab sets in its sessions: with a GPU, with a TPU, in any.
_COLAB = ("COLAB_GPU", "COLAB_TPU", "COLAB_RELEASE_TAG")
_KAGGLE = "KAGGLE_KERNEL_RUN_TYPE"
#: Where Colab's own package lies in a session, whatever interpreter we run in.
_COLAB_PACKAGE = ("usr/local/lib/python3*/*-packages/google/colab", "usr/lib/python3/*-packages/google/colab")


class Platform(NamedTuple):
    """Where this process runs.

    Attributes:
        kind: ``colab``, ``kaggle`` or ``local``.
        root: The folder that what is kept goes below.
        durable: Whether that is still there after the session.
        note: What a person should know about it; empty where there is nothing to say.
    """

    kind: Literal["colab", "kaggle", "local"]
    root: Path
    durable: bool
    note: str = ""


def current_platform(environ: Mapping[str, str] | None = None) -> Platform:
    """The platform of this process.

    Args:
        environ: Its environment; that of this process by default.
    """
    known = os.environ if environ is None else environ
    below = Path(known.get(_LOOK_BELOW) or "/")
    if known.get(_KAGGLE) and (below / "kaggle" / "working").is_dir():
        return _kaggle(known[_KAGGLE], below)
    if any(name.startswith(_COLAB) for name in known) or _is_colab(below):
        return _colab(known.get(DRIVE_VARIABLE) or "outlast", below)
    return Platform("local", Path.cwd(), durable=True)


def is_on_drive(folder: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> bool:
    """Whether a folder lies on this platform's mounted drive: where that fails for a moment, no try can tell."""
    known = os.environ if environ is None else environ
    mount = Path(known.get(_LOOK_BELOW) or "/") / "content" / "drive"
    return current_platform(known).kind == "colab" and Path(os.path.abspath(folder)).is_relative_to(mount)


def is_kept(folder: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> bool:
    """Whether a folder lies where this platform keeps things, if it keeps any."""
    platform = current_platform(environ)
    if platform.kind == "colab":
        return is_on_drive(folder, environ)
    return platform.kind == "local" or Path(os.path.abspath(folder)).is_relative_to(platform.root)


def session_began(environ: Mapping[str, str] | None = None) -> float | None:
    """When this session began, in seconds of the epoch: with the first process of the container on Colab and Kaggle.

    ``OUTLAST_SESSION_BEGAN`` says it anywhere. ``None`` where nobody knows; nothing ends by itself there.
    """
    known = os.environ if environ is None else environ
    try:
        return float(known[SESSION_VARIABLE])
    except (KeyError, ValueError):
        pass
    if current_platform(known).kind == "local":
        return None
    import psutil

    try:
        return psutil.Process(1).create_time()
    except psutil.Error:
        return None


def studies_folder(environ: Mapping[str, str] | None = None) -> str:
    """The folder in which studies lie where nobody says another: ``studies`` here, or below the platform's root."""
    known = os.environ if environ is None else environ
    if named := known.get(STUDIES_VARIABLE):
        return os.path.expanduser(named).rstrip("/") or "/"
    platform = current_platform(known)
    return _STUDIES if platform.kind == "local" else str(platform.root / _STUDIES)


def earlier_studies_folder(environ: Mapping[str, str] | None = None) -> str | None:
    """Where a study may lie that was begun before the platform had its place, such as before a drive was mounted: ``studies``
    here. ``None`` where that is the place itself, or a person named one."""
    known = os.environ if environ is None else environ
    return None if known.get(STUDIES_VARIABLE) or studies_folder(known) == _STUDIES else _STUDIES


def _colab(folder: str, below: Path) -> Platform:
    drive = below / "content" / "drive" / "MyDrive"
    if drive.is_dir():
        return Platform("colab", drive / folder.strip("/"), durable=True, note="Colab; kept on Google Drive")
    note = "Colab without Drive: this session only; drive.mount('/content/drive') before the search keeps it"
    return Platform("colab", below / "content", durable=False, note=note)


def _kaggle(run_type: str, below: Path) -> Platform:
    """What a version that is saved and run leaves in its working folder is its output (Kaggle's documentation of notebooks); an
    interactive session keeps it if its persistence says files."""
    root = below / "kaggle" / "working"
    if run_type.lower() == "interactive":
        note = "Kaggle, interactive: kept if the session's persistence includes files; otherwise this session only"
        return Platform("kaggle", root, durable=False, note=note)
    return Platform("kaggle", root, durable=True, note="Kaggle; kept as this version's output")


def _is_colab(below: Path) -> bool:
    return (below / "content").is_dir() and any(glob(str(below / pattern)) for pattern in _COLAB_PACKAGE)
