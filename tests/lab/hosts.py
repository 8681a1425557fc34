"""Hosts of a make-believe cluster: each has a name, a clock, and its own mount of the shared folder at one and the same path.

A host is a pair of kernel namespaces (uts for the name, mount for the folder); for the clock see `clock/sitecustomize.py`. This
process sees the shared folder as the server has it.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from lab.late_mount import CONTROL

__all__ = ["Host", "Share", "why_not"]

HERE = Path(__file__).parent


def why_not() -> str:
    """Why no such filesystem can be mounted here; empty if it can."""
    try:
        os.close(os.open("/dev/fuse", os.O_RDWR))
    except OSError as error:
        return f"/dev/fuse cannot be used: {error.strerror}"
    if subprocess.run(["unshare", "--uts", "--mount", "true"], capture_output=True, check=False).returncode:
        return "no namespace can be made for a second host"
    return ""


@dataclass
class Share:
    """The shared folder as the server has it, and how late its clients are."""

    folder: Path
    place: Path  # for what is nobody's but the tests'
    _hosts: list[Host] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.control = self.place / "control"
        self.control.write_bytes(CONTROL.pack(0.0, 0.0, 0.0))
        with open(self.control, "r+b") as file:
            self._control = mmap.mmap(file.fileno(), CONTROL.size)

    def be(self, *, late: float | None = None, estale: float | None = None) -> None:
        """How many seconds the clients are late, and which share of opens and reads answers ESTALE."""
        now_late, ahead, now_estale = CONTROL.unpack_from(self._control)
        late, estale = now_late if late is None else late, now_estale if estale is None else estale
        CONTROL.pack_into(self._control, 0, late, ahead, estale)

    def let_pass(self, seconds: float) -> None:
        """Let the caches grow older by this without waiting."""
        late, ahead, estale = CONTROL.unpack_from(self._control)
        CONTROL.pack_into(self._control, 0, late, ahead + seconds, estale)

    def host(self, name: str, *, clock: float = 0.0, links: bool = True) -> Host:
        """A host that mounts the folder; its clock is `clock` seconds ahead."""
        self._hosts.append(Host(name, self, clock, links))
        return self._hosts[-1]

    def close(self) -> None:
        for host in self._hosts:
            host.close()


@dataclass
class Host:
    """One client."""

    name: str
    share: Share
    clock: float
    links: bool = True  # otherwise the mount knows none, as a mounted drive

    def __post_init__(self) -> None:
        self.mountpoint = self.share.place / self.name
        self.mountpoint.mkdir()
        said = open(self.share.place / f"{self.name}.fuse.log", "wb")  # noqa: SIM115
        arguments = [str(self.share.folder), str(self.mountpoint), str(self.share.control)]
        arguments += [] if self.links else ["no-links"]
        self._daemon = subprocess.Popen(
            [sys.executable, str(HERE / "late_mount.py"), *arguments], stdout=said, stderr=said
        )
        said.close()
        deadline = time.monotonic() + 60
        while not os.path.ismount(self.mountpoint):
            assert self._daemon.poll() is None, Path(said.name).read_text()
            assert time.monotonic() < deadline, "not mounted within 60 s"
            time.sleep(0.01)

    def command(self, *argv: str) -> list[str]:
        """The command that runs another one on this host."""
        there = f"mount --bind {shlex.quote(str(self.mountpoint))} {shlex.quote(str(self.share.folder))}"
        path = os.pathsep.join([str(HERE / "clock"), *filter(None, [os.environ.get("PYTHONPATH")])])
        clock = f"PYTHONPATH={shlex.quote(path)} HOST_CLOCK_AHEAD={self.clock}" if self.clock else ""
        script = f"{there} && hostname {self.name} && exec env {clock} {shlex.join(argv)}"
        return ["unshare", "--uts", "--mount", "sh", "-c", script]

    def python(self, code: str, *arguments: str) -> str:
        """Run some Python on this host; what it printed."""
        done = subprocess.run(
            self.command(sys.executable, "-c", code, *arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start_python(self, code: str, *arguments: str) -> subprocess.Popen[str]:
        """Start some Python on this host; its stdin and stdout are pipes."""
        return subprocess.Popen(
            self.command(sys.executable, "-u", "-c", code, *arguments), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def cut_off(self) -> None:
        """Nothing of the share answers this host any more: whoever asks waits."""
        self._daemon.send_signal(signal.SIGSTOP)

    def reconnect(self) -> None:
        """The share answers again."""
        self._daemon.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.reconnect()
        subprocess.run(["umount", "--lazy", str(self.mountpoint)], check=False, capture_output=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._daemon.wait(timeout=2)
        if self._daemon.poll() is None:
            self._daemon.send_signal(signal.SIGKILL)
            self._daemon.wait()
