"""What several benchmarks need: commands run quietly, and system calls counted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

OUTLAST = [sys.executable, "-m", "outlast"]
_CALL = re.compile(r"^(\d+)\s+(\w+)\(")
_FORK = re.compile(r"^(\d+)\s+(?:<\.\.\. )?(?:clone3?|v?fork)\b.*= (\d+)$")
_EXEC = re.compile(r'^(\d+)\s+execve\("([^"]*)".*(= 0|<unfinished \.\.\.>)$')
_EXECUTED = re.compile(r"^(\d+)\s+<\.\.\. execve resumed>.*= 0$")


def environment(**more: str) -> dict[str, str]:
    """Of a command that is timed: what is compiled once stays compiled, as it does for people.

    No pages are drawn behind it unless that is asked for: they would be drawn during what is measured next.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "OUTLAST_PLOTS": "0", **more}


def call(argv: Sequence[str], *, cwd: Path | None = None, **more: str) -> str:
    """Run a command to its end, quietly; a failure shows its output and ends the benchmark. `more` is of its environment."""
    done = subprocess.run(
        argv, cwd=cwd, capture_output=True, text=True, env=environment(**more), stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return done.stdout


def strace(argv: Sequence[str], *, cwd: Path, training: Sequence[str], only: str = "") -> Counter[str]:
    """System calls of a command and all that it starts, by name, and under ``all`` their sum.

    What a process does from the moment on at which it executes a program whose path ends with one of `training` is not counted,
    nor is what descends from it. With `only` these calls are counted, and nothing else is slowed down by it.
    """
    log = cwd / "strace.log"
    filtered = ["--seccomp-bpf", "-e", f"trace={only},execve,clone,clone3,fork,vfork"] if only else []
    call(["strace", "-f", *filtered, "-qq", "-e", "signal=none", "-s", "64", "-o", str(log), *argv], cwd=cwd)
    return ours_in(log.read_text(errors="replace").splitlines(), training=training)


def ours_in(lines: Sequence[str], *, training: Sequence[str]) -> Counter[str]:
    """What `strace` counts, in what the program of that name wrote with ``-f``."""
    parents = {forked[2]: forked[1] for line in lines if (forked := _FORK.match(line))}
    counts: Counter[str] = Counter()
    theirs: set[str] = set()
    begun: dict[str, str] = {}  # process → the program that it was about to execute
    for line in lines:
        if (resumed := _EXECUTED.match(line)) and begun.get(resumed[1], "").endswith(tuple(training)):
            theirs.add(resumed[1])
        found = _CALL.match(line)
        if found is None:
            continue
        pid, name = found.groups()
        if parents.get(pid) in theirs:  # a child's calls may come before the line that says whose child it is
            theirs.add(pid)
        if pid in theirs:
            continue
        executed = _EXEC.match(line)
        if executed and executed[3] != "= 0":
            begun[pid] = executed[2]
        elif executed and executed[2].endswith(tuple(training)):
            theirs.add(pid)
        counts[name] += 1
        counts["all"] += 1
    return counts


def beyond(short: float, long: float) -> float:
    """By how much the longer of two runs took more.

    Raises:
        SystemExit: It did not: what disturbed them was larger than what is measured.
    """
    if long <= short:
        sys.exit(f"the longer run took {long:.3g}, the shorter one {short:.3g}: too much else is going on here to tell")
    return long - short
