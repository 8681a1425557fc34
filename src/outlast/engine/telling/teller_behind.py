"""People are told behind a run, by a process of its own: nobody waits for a server, and it outlives who began it."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from outlast._system.process_behind import Behind, started
from outlast.config.settings import NotifySettings
from outlast.engine.telling.addresses import addresses_of

_LAST_WORDS = 5.0  # seconds for what is told at the end, before whoever ran the search leaves


class TellerBehind:
    """Has people told of the study, or of the campaign, in a folder, as long as somebody runs it; of its end, too.

    Where nobody is to be told, all of this does nothing.

    Args:
        root: The folder.
        notify: Who is told what.
        cwd: Where the command runs.
        env: What is in the environment beside our own.
        say: Told, once, what cannot be used.
    """

    def __init__(
        self, root: Path, notify: NotifySettings, cwd: str, *, env: Mapping[str, str], say: Callable[[str], object]
    ) -> None:
        self._notify, self._cwd, self._say = notify, os.path.abspath(cwd), say
        self._env = {**os.environ, **env}
        given = {"urls": notify.urls, "command": notify.command, "what": notify.what, "cwd": self._cwd}
        self._behind = Behind(root, ["tell", os.curdir], given, self._env)

    def start(self) -> None:
        """Begin, and say what cannot be used."""
        if not self._notify:
            return
        usable, lacking = addresses_of(self._notify, self._env, self._cwd)
        for what, why in lacking:
            self._say(f"notify: {what} {why}")
        if usable:
            self._behind.start()

    def looked(self) -> None:
        """Begin again where the process has died, or could not be begun."""
        self._behind.looked()

    def close(self, *, wait: float = _LAST_WORDS) -> None:
        """It is over: the last things are told, for which a few seconds are waited; what takes longer is told without us."""
        self._behind.close(wait=wait)


def tell_once(root: Path, env: Mapping[str, str] | None = None, *, wait: float = 0.0) -> None:
    """Have told what there is to tell of the study or campaign in a folder, to whom its record says. Where somebody tells of it
    still, nothing happens: it is for whoever finds that the one who did may be gone.

    Args:
        root: The folder.
        env: What is in the environment beside our own.
        wait: Seconds for it to be delivered before whoever asks has to leave, with a job that ends.
    """
    process = started(root, ["tell", os.curdir, "--once"], {**os.environ, **(env or {})}, stdin=subprocess.DEVNULL)
    if process is not None and wait:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)
