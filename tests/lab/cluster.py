"""A real SLURM on this machine: four nodes with two GPUs each, as root, without systemd.

Everything it starts is its own, lies in a folder of its own, and ends with it. What it needs from Debian is installed by
``make test`` (`.ci/system-packages`).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import daemons
from lab.daemons import Daemon, reserved_ports
from lab.waiting import until

__all__ = ["NODES", "Cluster", "running_cluster", "why_not"]

NODES = ("n1", "n2", "n3", "n4")
_NEEDED = ("slurmctld", "slurmd", "slurmdbd", "sbatch", "munged", "mariadbd", "mariadb-install-db")

# cred_expire is also how long a requeued or preempted job waits before it starts again (slurm.conf(5); 120 s by default).
_CONF = """
ClusterName=outlast{port}
SlurmctldHost=localhost
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={munge},cred_expire={requeue_wait}
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0,sched_min_interval=100000
SlurmctldPort={port}
SlurmdTimeout=30
SlurmctldTimeout=30
InactiveLimit=0
ReturnToService=2
MpiDefault=none
{settings}
SlurmdParameters=config_overrides
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
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
_DEFAULTS = {
    "KillWait": "5", "MinJobAge": "300", "MaxArraySize": "1001", "AccountingStorageType": "accounting_storage/none",
}  # fmt: skip
_GRES = "NodeName=n[1-4] Name=gpu File={folder}/nvidia[0-1] Flags=nvidia_gpu_env\n"
_OVER = "BOOT_FAIL,CANCELLED,COMPLETED,DEADLINE,FAILED,NODE_FAIL,OUT_OF_MEMORY,PREEMPTED,REVOKED,SPECIAL_EXIT,TIMEOUT"


def why_not() -> str | None:
    """Why no cluster can be started here, or ``None``: what `.ci/system-packages` could not install, in its words."""
    missing = [name for name in _NEEDED if shutil.which(name, path="/usr/sbin:/usr/bin") is None]
    if missing:
        note = Path(sys.prefix) / ".without-system-packages"
        if not note.exists():
            raise RuntimeError(f"{', '.join(missing)} not found: `make test` installs what is missing")
        return note.read_text().strip()
    return None if os.geteuid() == 0 else "a SLURM cluster is started by root only"


@dataclass
class Cluster:
    """A running cluster.

    Attributes:
        folder: Configuration, state and logs.
        env: What its clients need.
    """

    folder: Path
    env: dict[str, str]
    controller: Daemon | None = None
    nodes: dict[str, Daemon] = field(default_factory=dict)
    accounting: Daemon | None = None

    # clients

    def run(self, *argv: str, check: bool = True) -> str:
        """What a SLURM command prints."""
        env = {**os.environ, **self.env}
        done = subprocess.run(
            argv, env=env, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False
        )
        if check and done.returncode != 0:
            raise RuntimeError(f"{' '.join(argv)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def sbatch(self, *options: str, command: str = "sleep 600") -> str:
        """Submit a one-line job; its id. Its output goes to the cluster's folder."""
        log = f"--output={self.folder}/job.%A_%a.out"
        return self.run("sbatch", "--parsable", log, *options, f"--wrap={command}").split(";")[0].strip()

    def show(self, job: str) -> dict[str, str]:
        """``scontrol show job`` by key; empty where SLURM does not know the job (any more)."""
        text = self.run("scontrol", "--oneliner", "show", "job", job, check=False)
        return dict(pair.split("=", 1) for pair in text.split() if "=" in pair)

    def jobs(self, *options: str) -> Sequence[str]:
        """Ids of the jobs that are not over; array tasks one by one."""
        return self.run("squeue", "--noheader", "--array", "--format=%i", *options).split()

    # waiting

    def wait_for_job(self, job: str, *states: str, seconds: float = 60.0) -> dict[str, str]:
        """Wait until a job is in one of the states; what `show` says then."""
        last: dict[str, str] = {}

        def there() -> bool:
            last.clear()
            last.update(self.show(job))
            return last.get("JobState") in states

        until(there, lambda: f"job {job} does not become {' or '.join(states)}: {last}", seconds)
        return last

    def wait_until_ready(self, seconds: float = 60.0) -> None:
        """Wait until all nodes are idle."""
        until(
            lambda: set(self.run("sinfo", "-h", "-N", "-o", "%T", check=False).split()) == {"idle"},
            lambda: f"the nodes do not become idle:\n{self.run('sinfo', '-N', '-l', check=False)}", seconds,
        )  # fmt: skip

    # what may happen to jobs

    def preempt(self, node: str, *options: str) -> str:
        """Take a whole node for a job of the partition ``high``; that job's id. Cancel it to give the node back."""
        return self.sbatch("--partition=high", "--nodes=1", "--exclusive", f"--nodelist={node}", *options)

    def suspend(self, job: str) -> None:
        """``scontrol suspend``: SIGSTOP to its processes."""
        self.run("scontrol", "suspend", job)

    def wake(self, job: str) -> None:
        """``scontrol resume``."""
        self.run("scontrol", "resume", job)

    def requeue(self, job: str) -> None:
        """``scontrol requeue``."""
        self.run("scontrol", "requeue", job)

    def release(self, job: str) -> None:
        """Let a job that was requeued or preempted start in two seconds instead of at its BeginTime.

        Not at once: its node takes no credential from the second in which it revoked the last one, and the job would fail.
        """
        self.run("scontrol", "update", f"JobId={job}", "StartTime=now+2")

    # what may happen to machines

    def set_down(self, node: str) -> None:
        """SLURM takes the node for dead and requeues its jobs."""
        self.run("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")

    def bring_back(self, node: str) -> None:
        """The node runs jobs again."""
        if not self.nodes[node].alive:
            self.start_node(node)
        self.run("scontrol", "update", f"NodeName={node}", "State=RESUME", check=False)  # refused if it is up already

    def kill_slurmd(self, node: str) -> None:
        """SIGKILL to a node's slurmd; the processes of its jobs, slurmstepd included, live on."""
        self.nodes[node].stop(signal.SIGKILL)

    def start_node(self, node: str) -> None:
        """One slurmd."""
        self.nodes[node] = self._daemon("slurmd", "-D", "-N", node, output=f"slurmd.{node}.out")

    def stop_controller(self) -> None:
        """No slurmctld: clients get no answer, jobs run on."""
        if self.controller is not None:
            self.controller.stop()

    def start_controller(self) -> None:
        """slurmctld, with what it knew before."""
        self.controller = self._daemon("slurmctld", "-D", output="slurmctld.out")
        self.controller.ready(lambda: self.run("scontrol", "ping", check=False).strip().endswith("UP"))

    def refusing_sbatch(self, *, everywhere: bool = False) -> Path:
        """A folder for the front of PATH whose sbatch refuses in jobs (or everywhere), as on sites whose nodes may not submit."""
        folder = self.folder / "refusing"
        folder.mkdir(exist_ok=True)
        words = "sbatch: error: Batch job submission failed: Access/permission denied"
        in_job = "tr '\\0' '\\n' </proc/$PPID/environ | grep -q ^SLURM_JOB_ID="  # of whoever calls it
        refuses = f"if {'true' if everywhere else in_job}; then echo '{words}' >&2; exit 1; fi"
        (folder / "sbatch").write_text(f'#!/bin/sh\n{refuses}\nexec {shutil.which("sbatch")} "$@"\n')
        os.chmod(folder / "sbatch", 0o755)
        return folder

    # limits, where there is accounting

    def limit_submissions(self, count: int | None) -> None:
        """MaxSubmitJobs of our own association; ``None``: no limit. Only with ``accounting``."""
        value = f"MaxSubmitJobs={-1 if count is None else count}"
        self.run("sacctmgr", "-i", "modify", "user", "root", "set", value)

    # between and after tests

    def reset(self) -> None:
        """Every daemon runs, no job is left, all nodes are idle."""
        if self.controller is None or not self.controller.alive:
            self.start_controller()
        self.run("scancel", "--state=PENDING", "--user=root", check=False)
        self.run("scancel", "--signal=KILL", "--full", "--user=root", check=False)
        self.run("scancel", "--user=root", check=False)
        for node in NODES:
            self.bring_back(node)
        until(lambda: not self.jobs(), lambda: f"jobs do not end: {self.run('squeue')}")
        until(lambda: not self._kill_leftovers(), "what jobs have left ends")
        self.wait_until_ready()

    def shut_down(self) -> None:
        """End everything that was started here."""
        if self.controller is not None and self.controller.alive:
            self.run("scancel", "--signal=KILL", "--full", "--user=root", check=False)
            self.run("scancel", "--user=root", check=False)
            self.controller.stop()
        for daemon in self.nodes.values():
            daemon.stop()
        self._kill_leftovers()

    def _kill_leftovers(self) -> list[int]:
        """Processes of jobs that a dead slurmd could not end, and slurmstepds that wait for one. Returns who was there."""
        found = []
        ours = f"SLURM_CONF={self.env['SLURM_CONF']}".encode()
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                variables = (place / "environ").read_bytes().split(b"\0")
                of_a_job = any(value.startswith(b"SLURM_JOB_ID=") for value in variables)
                if ours in variables and (of_a_job or (place / "comm").read_text() == "slurmstepd\n"):
                    os.kill(int(place.name), signal.SIGKILL)
                    found.append(int(place.name))
        return found

    def _daemon(self, *argv: str, output: str) -> Daemon:
        return Daemon(*argv, output=self.folder / output, env=self.env)


@contextlib.contextmanager
def running_cluster(
    *,
    accounting: bool = False,
    requeue_wait: int = 10,
    extra: str = "",
    partition: str = "",
) -> Iterator[Cluster]:
    """Start a cluster, stop it at the end.

    Args:
        accounting: With a slurmdbd and its MariaDB: ``sacct`` answers, and limits are enforced.
        requeue_wait: How long a requeued or preempted job waits before it starts again, in seconds.
        extra: Lines of slurm.conf, which win over those above: ``MaxArraySize=11``, ``MinJobAge=2``.
        partition: Further options of the partition ``gpu``: ``OverSubscribe=EXCLUSIVE``, ``MaxTime=5``.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slurm-")))
        port = stack.enter_context(reserved_ports(7))
        os.chmod(folder, 0o755)
        (folder / "state").mkdir()
        for at, minor in enumerate((3, 5)):
            os.mknod(folder / f"nvidia{at}", 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        authentication, sock = daemons.munge(folder)
        stack.callback(authentication.stop)
        values = {
            "folder": folder, "port": port, "node_port": port + 1, "last_port": port + 4, "munge": sock, "partition": partition,
            "requeue_wait": requeue_wait, "settings": _settings(extra, port + 5 if accounting else None, sock),
        }  # fmt: skip
        (folder / "slurm.conf").write_text(_CONF.format(**values))
        (folder / "gres.conf").write_text(_GRES.format(**values))
        cluster = Cluster(folder, {"SLURM_CONF": str(folder / "slurm.conf")})
        if accounting:
            database_daemon, database = daemons.slurm_accounting(folder, sock, port + 5)
            stack.callback(database.stop)
            stack.callback(database_daemon.stop)
            cluster.accounting = database_daemon
            for what in (f"cluster outlast{port}", "account tests", "user root account=tests"):
                cluster.run("sacctmgr", "-i", "add", *what.split())
        stack.callback(cluster.shut_down)
        cluster.start_controller()
        for node in NODES:
            cluster.start_node(node)
        cluster.wait_until_ready()
        yield cluster


def _settings(extra: str, accounting_port: int | None, sock: Path) -> str:
    given = dict(re.findall(r"^\s*(\w+)=(.*)$", extra, flags=re.MULTILINE))
    ours = dict(_DEFAULTS)
    if accounting_port is not None:
        ours |= {
            "AccountingStorageType": "accounting_storage/slurmdbd", "AccountingStorageHost": "localhost",
            "AccountingStoragePort": str(accounting_port), "AccountingStoragePass": str(sock),
            "AccountingStorageEnforce": "associations,limits,qos", "AccountingStoreFlags": "job_comment",
        }  # fmt: skip
    return "\n".join(f"{key}={value}" for key, value in {**ours, **given}.items())
