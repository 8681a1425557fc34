"""People are told behind a run, by a process of its own: nobody waits for a server, and it outlives who began it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from outlast.config.settings import NotifySettings
from outlast.engine.telling.addresses import addresses_of

_LOOKED_AFTER = 30.0  # seconds
_AGAIN = 60.0  # seconds between two beginnings
_LAST_WORDS = 5.0  # seconds for what is told at the end, before whoever ran the search leaves


class TellerBehind:
    """Has people told of the study, or of the campaign, in a folder, as long as somebody runs it.

    The process learns by the end of its input that we are gone, however we went, and tells that, too. Where nobody is to be told,
    all of this does nothing.

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
        self._root, self._notify, self._cwd, self._say = root, notify, os.path.abspath(cwd), say
        self._env = {**os.environ, **env}
        self._process: subprocess.Popen[bytes] | None = None
        self._is_wanted = False  # somebody can be reached
        self._began = self._looked = 0.0

    def start(self) -> None:
        """Begin, and say what cannot be used."""
        if not self._notify:
            return
        usable, lacking = addresses_of(self._notify, self._env, self._cwd)
        for what, why in lacking:
            self._say(f"notify: {what} {why}")
        self._is_wanted = bool(usable)
        if usable:
            self._begin()

    def _begin(self) -> None:
        self._began = self._looked = time.monotonic()
        self._process = started(self._root, ["tell", os.curdir], self._env, stdin=subprocess.PIPE)
        if self._process is not None and self._process.stdin is not None:
            given = {
                "urls": self._notify.urls,
                "command": self._notify.command,
                "what": self._notify.what,
                "cwd": self._cwd,
            }
            with contextlib.suppress(OSError):
                self._process.stdin.write(json.dumps(given).encode() + b"\n")
                self._process.stdin.flush()

    def looked(self) -> None:
        """Begin again where the process has died, or could not be begun."""
        now = time.monotonic()
        if not self._is_wanted or now - self._looked < _LOOKED_AFTER:
            return
        self._looked = now
        if (self._process is None or self._process.poll() is not None) and now - self._began >= _AGAIN:
            self._let_go()
            self._begin()

    def close(self, *, wait: float = _LAST_WORDS) -> None:
        """It is over: the last things are told, for which a few seconds are waited; what takes longer is told without us."""
        process, self._is_wanted = self._process, False
        self._let_go()
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(wait)

    def _let_go(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()


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


def started(root: Path, words: list[str], env: Mapping[str, str], *, stdin: int) -> subprocess.Popen[bytes] | None:
    """A command of ours in a folder and a session of its own, heard by nobody; ``None`` where it cannot be started."""
    # Faults that a test injects are for the run that it is behind.
    ours = {name: value for name, value in env.items() if name != "OUTLAST_FAULTS"}
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "outlast", *words], cwd=root, env=ours, stdin=stdin,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    except OSError:
        return None
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, 10)  # behind the trainings
    return process
