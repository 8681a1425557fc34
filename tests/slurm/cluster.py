"""A real SLURM on this machine: four nodes with two GPUs each, as root, without systemd.

Everything it starts is of its own, in a folder of its own, and is stopped by process id. What it needs from Debian
(``slurm-wlm``, ``munge``) is installed by the make target that runs the tests.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["NODES", "Cluster", "running_cluster"]

NODES = ("n1", "n2", "n3", "n4")

_CONF = """
ClusterName=outlast{port}
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={munge}
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=100000
SlurmctldPort={port}
SlurmdTimeout=30
SlurmctldTimeout=30
InactiveLimit=0
ReturnToService=2
MpiDefault=none
KillWait=5
MinJobAge=300
MaxArraySize={max_array}
{extra}
SlurmdParameters=config_overrides
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
NodeName=n[1-4] NodeHostname=localhost NodeAddr=127.0.0.1 Port=[{node_port}-{last_port}] CPUs=4 RealMemory=4000 Gres=gpu:2
PartitionName=gpu Nodes=n[1-4] Default=YES MaxTime=INFINITE State=UP PriorityTier=1 {partition}
PartitionName=high Nodes=n[1-4] MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=off
"""
_GRES = "NodeName=n[1-4] Name=gpu File={folder}/nvidia[0-1] Flags=nvidia_gpu_env\n"


@dataclass
class Cluster:
    """A running cluster. ``env`` is what its clients need."""

    folder: Path
    port: int
    env: dict[str, str] = field(default_factory=dict)
    _started: list[int] = field(default_factory=list)  # munged
    _nodes: tuple[str, ...] = NODES

    def run(self, *argv: str, check: bool = True) -> str:
        """A SLURM command's output."""
        env = {**os.environ, **self.env}
        done = subprocess.run(
            argv, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout

    def start_controller(self) -> None:
        """slurmctld; it puts itself into the background."""
        self.run("slurmctld", "-f", str(self.folder / "slurm.conf"))

    def start_node(self, node: str) -> None:
        """One slurmd."""
        self.run("slurmd", "-N", node, "-f", str(self.folder / "slurm.conf"))

    def pid(self, daemon: str) -> int | None:
        """Process id of ``slurmctld`` or ``slurmd.n1`` by its own pid file."""
        try:
            return int((self.folder / f"{daemon}.pid").read_text())
        except (OSError, ValueError):
            return None

    def stop(self, daemon: str, number: int = signal.SIGTERM) -> None:
        """End one daemon and wait until it is gone."""
        pid = self.pid(daemon)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        _until(lambda: not _alive(pid), f"{daemon} does not end")
        (self.folder / f"{daemon}.pid").unlink(missing_ok=True)

    def wait_for(self, condition: str, seconds: float = 60.0) -> None:
        """Wait until ``sinfo`` shows all nodes in a state."""
        _until(
            lambda: set(self.run("sinfo", "-h", "-N", "-o", "%T", check=False).split()) == {condition},
            f"the nodes do not become {condition}: {self.run('sinfo', check=False)}", seconds,
        )  # fmt: skip

    def shut_down(self) -> None:
        """End everything that was started here."""
        self.run("scancel", "--state=PENDING,RUNNING,SUSPENDED", "--user=root", check=False)
        for node in self._nodes:
            self.stop(f"slurmd.{node}")
        self.stop("slurmctld")
        for pid in self._started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def _until(condition: object, complaint: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        if time.monotonic() > deadline:
            raise RuntimeError(complaint)
        time.sleep(0.1)


def _free_ports(count: int) -> int:
    """The first of `count` consecutive free ports on loopback."""
    for start in range(21000, 60000, 37):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(start, start + count):
                    probe = stack.enter_context(socket.socket())
                    probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return start
    raise RuntimeError("no free ports")


def _start_munge(folder: Path) -> tuple[Path, int]:
    """An authentication daemon of our own, with a key of its own."""
    user = pwd.getpwnam("munge")
    place = folder / "munge"
    place.mkdir()
    (place / "key").write_bytes(os.urandom(128))
    for path in (place, place / "key"):
        os.chown(path, user.pw_uid, user.pw_gid)
    os.chmod(place / "key", 0o400)
    os.chmod(place, 0o755)
    sock = place / "socket"
    argv = [
        shutil.which("munged") or "/usr/sbin/munged", "--force", "--foreground", f"--key-file={place}/key", f"--socket={sock}",
        f"--pid-file={place}/pid", f"--log-file={place}/log", f"--seed-file={place}/seed",
    ]  # fmt: skip
    process = subprocess.Popen(
        argv, user=user.pw_uid, group=user.pw_gid, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )  # fmt: skip
    _until(sock.exists, f"munged did not start: {(place / 'log').read_text() if (place / 'log').exists() else ''}")
    return sock, process.pid


@contextlib.contextmanager
def running_cluster(folder: Path, *, max_array: int = 1001, extra: str = "", partition: str = "") -> Iterator[Cluster]:
    """Start a cluster, stop it at the end.

    Args:
        folder: Short and readable by everyone; holds configuration, state and logs.
        max_array: ``MaxArraySize``.
        extra: Further lines of slurm.conf.
        partition: Further options of the ``gpu`` partition.
    """
    os.chmod(folder, 0o755)
    (folder / "state").mkdir()
    port = _free_ports(5)
    munge, pid = _start_munge(folder)
    for at, minor in enumerate((3, 5)):
        os.mknod(folder / f"nvidia{at}", 0o666 | stat.S_IFCHR, os.makedev(1, minor))
    values = {
        "folder": folder, "port": port, "node_port": port + 1, "last_port": port + 4, "munge": munge, "max_array": max_array,
        "extra": extra, "partition": partition,
    }  # fmt: skip
    (folder / "slurm.conf").write_text(_CONF.format(**values))
    (folder / "gres.conf").write_text(_GRES.format(**values))
    cluster = Cluster(folder, port, {"SLURM_CONF": str(folder / "slurm.conf")}, [pid])
    try:
        cluster.start_controller()
        for node in NODES:
            cluster.start_node(node)
        cluster.wait_for("idle")
        yield cluster
    finally:
        cluster.shut_down()


def jobs(cluster: Cluster) -> Sequence[str]:
    """Ids of all our jobs that are not over."""
    return cluster.run("squeue", "-h", "-o", "%i").split()
