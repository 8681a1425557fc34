"""Small studies on a shared folder, run by hosts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.hosts import Host, Share
from lab.survival import ZYGOTE, Command, Lab, Zygote
from lab.waiting import wait_gone

__all__ = ["SILENT_S", "Cluster", "HostLab", "claims"]

#: About one fifteenth of what they are in earnest.
SILENT_S = 6.0
_PACE = {"OUTLAST_LEASE_SECONDS": "2", "OUTLAST_SILENT_SECONDS": str(SILENT_S)}


class _ZygoteOn(Zygote):
    def __init__(self, host: Host) -> None:
        argv = host.command(sys.executable, str(ZYGOTE))
        env = {**os.environ, **_PACE}
        self._process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)


@dataclass
class Cluster:
    """One study on a shared folder, and hosts that run commands about it."""

    share: Share
    lab: Lab  # as the server sees it
    zygotes: list[Zygote] = field(default_factory=list)

    @classmethod
    def make(cls, share: Share, **settings: Any) -> Cluster:
        place = share.folder
        lab = Lab.make(place, _NoZygote(), **settings)
        # the record of what was trained when is the test's, and no part of what is late
        audit = str(share.place / "audit.jsonl")
        lab.settings["command"] = [audit if word == "audit.jsonl" else word for word in lab.settings["command"]]
        lab.write()
        os.symlink(audit, place / "audit.jsonl")
        return cls(share, lab)

    def on(self, host: Host) -> HostLab:
        self.zygotes.append(_ZygoteOn(host))
        return HostLab(self, host, self.zygotes[-1])

    def close(self) -> None:
        self.lab.end()
        for zygote in self.zygotes:
            zygote.close()


class _NoZygote(Zygote):
    def __init__(self) -> None:
        pass

    def ask(self, request: Mapping[str, Any]) -> Any:
        raise AssertionError("commands of a cluster run on a host")


@dataclass
class HostLab:
    """The study as one host has it."""

    cluster: Cluster
    host: Host
    zygote: Zygote

    def start(self, *arguments: str, **env: str) -> Command:
        lab = self.cluster.lab
        log = self.cluster.share.place / f"command.{len(lab.commands)}.out"
        request = {
            "run": list(arguments or ("run", "study.yaml")),
            "cwd": str(self.cluster.share.folder),
            "env": {"LAB_MARK": lab.mark, "OUTLAST_BACKOFF_SECONDS": "0.05", "OUTLAST_FAULTS": "", **env},
            "log": str(log),
        }
        command = Command(self.zygote.ask(request), log, self.zygote)
        lab.commands.append(command)
        return command

    def processes(self) -> list[int]:
        """Whatever runs of the study on this host: also what was forked and never executed, whose environment shows no mark."""
        zygote = self.zygote._process.pid
        mine = os.readlink(f"/proc/{zygote}/ns/uts")
        pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
        return [pid for pid in pids if pid != zygote and _namespace(pid) == mine]

    def lose_everything(self) -> None:
        """The whole host at one blow: what is begun meanwhile goes as well, and what ends by itself is gone."""
        while found := self.processes():
            for number in (signal.SIGSTOP, signal.SIGKILL):  # nobody sees another one die
                for pid in found:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, number)
            for pid in found:
                wait_gone(pid)


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/uts")
    except OSError:
        return ""


def claims(cluster: Cluster) -> list[dict[str, Any]]:
    """The headers of all segments."""
    folder: Path = cluster.lab.paths.ledger
    return [json.loads(path.read_text().splitlines()[0]) for path in sorted(folder.glob("*.jsonl"))]
