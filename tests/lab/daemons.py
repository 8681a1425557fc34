"""Daemons on loopback that end with the test process, whatever ends it: munge, MariaDB, and SLURM's own."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lab.waiting import until

__all__ = ["Daemon", "munge", "reserved_ports", "slurm_accounting"]

_SLURMDBD = """
AuthType=auth/munge
AuthInfo=socket={munge}
DbdHost=localhost
DbdPort={port}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm
LogFile={folder}/slurmdbd.log
PidFile={folder}/slurmdbd.pid
"""


class Daemon:
    """One process in the foreground of its own; its output goes to a file.

    Args:
        argv: The command.
        output: Where it writes.
        env: Further variables.
        user: Whom it runs as.
    """

    def __init__(
        self, *argv: str, output: Path, env: Mapping[str, str] | None = None, user: pwd.struct_passwd | None = None
    ) -> None:
        program = shutil.which(argv[0], path="/usr/sbin:/usr/bin:/sbin:/bin") or argv[0]
        identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"] if user else []
        self.name, self._output = Path(argv[0]).name, output
        with output.open("ab") as file:
            self._process = subprocess.Popen(
                ["setpriv", *identity, "--pdeathsig=KILL", program, *argv[1:]], env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL, stdout=file, stderr=file, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def stop(self, number: int = signal.SIGTERM, seconds: float = 20.0) -> None:
        """End it and wait until it is gone; whoever does not go is killed."""
        self._process.send_signal(number)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ready(self, fact: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until it does its work; if it ends before, its own words are the complaint."""
        until(
            lambda: fact() or not self.alive,
            lambda: f"{self.name} does not get ready: {self.last_words()}", seconds,
        )  # fmt: skip
        if not self.alive:
            raise RuntimeError(f"{self.name} ended at once: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its output."""
        return self._output.read_text(errors="replace")[-1000:]


@contextlib.contextmanager
def reserved_ports(count: int) -> Iterator[int]:
    """The first of `count` consecutive ports of loopback that nobody uses, kept for us while their daemons restart.

    Clusters that start at the same moment see each other by a name in the abstract socket namespace, which needs no file and
    disappears with its process; everybody else is seen by binding. At most 10.
    """
    for start in range(21000, 32000, 10):
        with contextlib.ExitStack() as stack:
            name = stack.enter_context(socket.socket(socket.AF_UNIX))
            try:
                name.bind(f"\0outlast-slurm-{start}")
                for port in range(start, start + count):
                    with socket.socket() as probe:
                        probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            yield start
            return
    raise RuntimeError("no free ports")


def munge(folder: Path) -> tuple[Daemon, Path]:
    """An authentication daemon of our own with a key of its own, and its socket."""
    user = pwd.getpwnam("munge")
    place = folder / "munge"
    place.mkdir()
    (place / "key").write_bytes(os.urandom(128))
    os.chmod(place / "key", 0o400)
    os.chmod(place, 0o755)
    for path in (place, place / "key"):
        os.chown(path, user.pw_uid, user.pw_gid)
    sock = place / "socket"
    daemon = Daemon(
        "munged", "--foreground", "--force", f"--key-file={place}/key", f"--socket={sock}", f"--pid-file={place}/pid",
        f"--log-file={place}/log", f"--seed-file={place}/seed", output=folder / "munged.out", user=user,
    )  # fmt: skip
    daemon.ready(sock.exists)
    return daemon, sock


def slurm_accounting(folder: Path, munge_socket: Path, port: int) -> tuple[Daemon, Daemon]:
    """slurmdbd at `port` and the MariaDB that it needs at the next one."""
    database = _mariadb(folder, port + 1)
    conf = folder / "slurmdbd.conf"
    conf.write_text(_SLURMDBD.format(folder=folder, munge=munge_socket, port=port, database_port=port + 1))
    os.chmod(conf, 0o600)  # it refuses to start otherwise
    daemon = Daemon("slurmdbd", "-D", output=folder / "slurmdbd.out", env={"SLURM_CONF": str(folder / "slurm.conf")})
    daemon.ready(lambda: _listens(port))
    return daemon, database


def _mariadb(folder: Path, port: int) -> Daemon:
    data, sock = folder / "mariadb", folder / "mariadb.socket"
    options = [
        "--no-defaults", f"--datadir={data}", "--user=root", "--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0",
        "--innodb-doublewrite=0",
    ]  # fmt: skip
    made = subprocess.run(
        ["mariadb-install-db", *options, "--auth-root-authentication-method=normal", "--skip-test-db"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        raise RuntimeError(f"mariadb-install-db: {made.stdout}{made.stderr}")
    grant = folder / "grant.sql"
    grant.write_text(
        "CREATE USER slurm@'127.0.0.1' IDENTIFIED BY 'slurm';\nGRANT ALL ON slurm.* TO slurm@'127.0.0.1';\n"
    )
    daemon = Daemon(
        "mariadbd", *options, f"--port={port}", f"--socket={sock}", "--bind-address=127.0.0.1", "--skip-name-resolve",
        f"--pid-file={folder}/mariadb.pid", f"--init-file={grant}", output=folder / "mariadb.out",
    )  # fmt: skip
    daemon.ready(lambda: _listens(port))
    return daemon


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
