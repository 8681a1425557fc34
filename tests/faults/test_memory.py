"""Who ran out of memory: the kernel's own counters, of made-up machines and of a real cgroup where one is given."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.faults import FaultLab
from outlast._system.memory import MemoryCounters, MemoryKills, peak_memory, physical_memory
from outlast.core.states import Cause, TrialState


class Machine:
    """The files that a kernel would show."""

    def __init__(self, place: Path, membership: str) -> None:
        self.proc, self.cgroups = place / "proc", place / "cgroup"
        self.write(self.proc / "self" / "cgroup", membership)
        self.write(self.proc / "vmstat", "nr_free_pages 5\noom_kill 3\n")

    @staticmethod
    def write(path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def counters(self) -> MemoryCounters:
        return MemoryCounters(self.proc, self.cgroups)


def v2(place: Path, group: str = "job/task") -> Machine:
    """A job with a limit, its task in a group below."""
    machine = Machine(place, f"0::/{group}\n")
    for name, limit in (("job", "8589934592"), ("job/task", "max")):
        machine.write(machine.cgroups / name / "memory.max", limit + "\n")
        machine.write(machine.cgroups / name / "memory.events", "low 0\noom 1\noom_kill 1\n")
    return machine


def test_a_kill_at_our_own_limit_is_our_own_doing(tmp_path: Path) -> None:
    machine = v2(tmp_path)
    counters = machine.counters()
    assert counters.kills() == MemoryKills()
    machine.write(machine.cgroups / "job" / "memory.events", "low 0\noom 2\noom_kill 2\n")
    machine.write(machine.cgroups / "job" / "task" / "memory.events", "low 0\noom 1\noom_kill 2\n")
    machine.write(machine.proc / "vmstat", "oom_kill 4\n")
    assert counters.kills() == MemoryKills(own=True)


def test_a_kill_although_our_limit_was_not_reached_is_the_machines(tmp_path: Path) -> None:
    machine = v2(tmp_path)
    counters = machine.counters()
    machine.write(machine.cgroups / "job" / "task" / "memory.events", "low 0\noom 1\noom_kill 2\n")
    assert counters.kills() == MemoryKills(host=True)


def test_kills_in_other_groups_are_none_of_ours(tmp_path: Path) -> None:
    machine = v2(tmp_path)
    counters = machine.counters()
    machine.write(machine.proc / "vmstat", "oom_kill 9\n")
    assert counters.kills() == MemoryKills()


def test_the_first_version_of_control_groups_is_read_as_well(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "9:cpu:/\n4:memory:/slurm/job\n0::/\n")
    group = machine.cgroups / "memory" / "slurm" / "job"
    machine.write(group / "memory.limit_in_bytes", "1073741824\n")
    machine.write(group / "memory.failcnt", "7\n")
    machine.write(group / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    counters = machine.counters()
    machine.write(group / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert counters.kills() == MemoryKills(host=True)
    machine.write(group / "memory.failcnt", "9\n")
    assert counters.kills() == MemoryKills(own=True)


def test_in_a_container_the_group_is_found_although_its_path_is_the_hosts(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "0::/docker/0123abc\n")
    machine.write(machine.cgroups / "memory.max", "1048576\n")
    machine.write(machine.cgroups / "memory.events", "oom 0\noom_kill 0\n")
    counters = machine.counters()
    machine.write(machine.cgroups / "memory.events", "oom 1\noom_kill 1\n")
    assert counters.kills() == MemoryKills(own=True)


def test_without_groups_the_machines_count_is_what_there_is(tmp_path: Path) -> None:
    machine = Machine(tmp_path, "")
    counters = machine.counters()
    machine.write(machine.proc / "vmstat", "oom_kill 4\n")
    assert counters.kills() == MemoryKills(host=True)
    assert MemoryCounters(tmp_path / "nothing", tmp_path / "nothing").kills() == MemoryKills()


def test_memory_is_counted_in_bytes() -> None:
    code = "b = bytearray(300 * 2**20); b[::4096] = b'x' * 76800"
    pid = os.posix_spawn(sys.executable, [sys.executable, "-S", "-E", "-c", code], os.environ)
    _, ended, used = os.wait4(pid, 0)
    assert ended == 0
    assert 300 * 2**20 < peak_memory(used) < (physical_memory() or 0)


@pytest.fixture
def control_group() -> Iterator[Path]:
    """A memory group of our own, by either version; skipped only where the machine lets nobody make one."""
    for parent in (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")):
        made = parent / f"outlast-test-{os.getpid()}"
        try:
            made.mkdir()
        except OSError:
            continue
        if _limit_of(made).exists():
            break
        made.rmdir()
    else:
        pytest.skip("no control group can be made here")
    yield made
    deadline = time.monotonic() + 60
    while made.exists():
        try:
            made.rmdir()
        except OSError:  # its last process is about to end
            assert time.monotonic() < deadline
            time.sleep(0.05)


def _limit_of(group: Path) -> Path:
    return next(
        (p for p in (group / "memory.max", group / "memory.limit_in_bytes") if p.exists()), group / "memory.max"
    )


@pytest.mark.slow
def test_a_training_at_the_limit_of_a_real_control_group_cannot_run(lab: FaultLab, control_group: Path) -> None:
    _limit_of(control_group).write_text(str(600 * 2**20))
    home = Path("/proc/self/cgroup").read_text()
    lab.write_study_file("eat_memory", [1, 4])
    done = subprocess.run(
        [sys.executable, "-m", "outlast", "run", "study.yaml"],
        preexec_fn=lambda: (control_group / "cgroup.procs").write_text(str(os.getpid())),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert Path("/proc/self/cgroup").read_text() == home
    lab.check(dict.fromkeys((1, 4), (TrialState.INFEASIBLE, Cause.HOST_OUT_OF_MEMORY)))
