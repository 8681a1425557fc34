"""A real PostgreSQL server on loopback, in a folder of its own, as a user without rights. It can be stopped and started again."""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from lab.ports import free_port

#: What the server's superuser is called, and its password: tests look for it where it must not be.
USER, PASSWORD = "searcher", "hush-9f3KqW7x"
_SETTINGS = {
    "fsync": "off",  # nothing here outlives the test
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",  # PostgreSQL's own default
    "shared_buffers": "16MB",
}


def binaries() -> Path | None:
    """Where Debian puts ``initdb`` and ``postgres``, which are on nobody's path; ``None`` if they are not installed."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    there = found[-1] if found else shutil.which("initdb")
    return None if there is None else Path(os.path.realpath(there)).parent


def why_not() -> str | None:
    """Why there is no server here, or ``None``: what `.ci/system-packages` could not install, in its words."""
    if binaries() is not None:
        return None
    note = Path(sys.prefix) / ".without-system-packages"
    if not note.exists():
        raise RuntimeError("no PostgreSQL found: `make test` installs it")
    return note.read_text().strip()


class Postgres:
    """The server. Each test has a schema of its own there."""

    def __init__(self) -> None:
        there = binaries()
        assert there is not None, why_not()
        self._bin = there
        self._folder = Path(tempfile.mkdtemp(prefix="outlast-pg-"))
        self._data = self._folder / "data"
        # The server refuses to run as root; the user nobody is there on every machine.
        self._as_user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        if self._as_user:
            os.chown(self._folder, 65534, 65534)
        secret = self._folder / "secret"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        arguments = ["-D", str(self._data), "-U", USER, f"--pwfile={secret}", "-A", "scram-sha-256", "-E", "UTF8"]
        self._call("initdb", *arguments, "--locale=C", "--no-sync", "--no-instructions")
        self.port = free_port()

    def _call(self, program: str, *arguments: str) -> None:
        command = [*self._as_user, str(self._bin / program), *arguments]
        log = self._folder / f"{program}.out"
        with open(log, "ab") as output:  # the server inherits it: a pipe would never end
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self._folder, timeout=60
            )
        assert done.returncode == 0, log.read_text()

    def start(self) -> None:
        """Start it; it answers when this returns."""
        options = " ".join(f"-c {key}={value}" for key, value in _SETTINGS.items())
        options += f" -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder} -p {self.port}"
        self._call("pg_ctl", "-D", str(self._data), "-l", str(self._folder / "log"), "-o", options, "-w", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `immediate` is what a crash is."""
        self._call("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    def remove(self) -> None:
        """Stop it for good."""
        self.stop()
        shutil.rmtree(self._folder)

    def url(self, place: str = "public", password: str = PASSWORD) -> str:
        """The address of a schema, as good as a database of one's own and made in no time; whoever uses it is called so."""
        where = f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/postgres"
        return f"{where}?options=-csearch_path%3D{place}&application_name={place}"

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """The rows that a statement gives back."""
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            cursor = connection.execute(sql)  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []
