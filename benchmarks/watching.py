"""What it costs four searches of 1,000 trials each to be watched: by nobody, by `status -w`, by 20 open pages.

    python benchmarks/watching.py [--trials 1000] [--seconds 10] [--rounds 3] [--json FILE]

The studies are fabricated (as in looking.py) and then gone on with by one command, over two slots. Who watches changes every few
seconds, in turn, so that whatever the machine does hits all alike; what counts is trials that ended a second, as ratio to those
while nobody watched just before and after. A page is a client that asks as the page does: for all studies every two seconds, and
for one of them every four. Everything runs on this machine, the clients as well.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import http.client
import json
import os
import pty
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from _long_study import make_study

OUTLAST = [sys.executable, "-m", "outlast"]
NAMES = ("criteria", "evidence", "share", "joint")
PAGES = 20
STUDY_FILE = """\
name: {name}
command: [sh, -c, "sleep 0.05; echo accuracy=0.5", "${{args}}"]
metric: {{name: accuracy, goal: maximize}}
sampler: random
parameters:
  lr: {{min: 1.0e-5, max: 1.0e-1, distribution: log_uniform_values}}
  layers: {{min: 1, max: 8}}
  optimizer: {{values: [adam, sgd, lamb]}}
budget: {{trials: 100000, max_failures: 100000}}
"""


@contextlib.contextmanager
def live_view(place: Path) -> Iterator[int]:
    """`status -w` on a terminal of 120 × 40, whose output is read."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = subprocess.Popen(
        [*OUTLAST, "status", "-w", folder_of(place)], cwd=place, stdin=theirs, stdout=theirs, stderr=theirs,
        start_new_session=True, env={**os.environ, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(theirs)

    def read() -> None:
        with contextlib.suppress(OSError):
            while os.read(ours, 1 << 16):
                continue

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield process.pid
        if process.poll() is not None:
            sys.exit(f"status -w ended with {process.returncode}")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        os.close(ours)


@contextlib.contextmanager
def pages(place: Path) -> Iterator[int]:
    """`outlast serve`, and clients that ask as its page does."""
    process = subprocess.Popen(
        [*OUTLAST, "serve", folder_of(place)], cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    over, answers = threading.Event(), [0] * PAGES
    threads: list[threading.Thread] = []
    try:
        assert process.stdout is not None
        address = next(
            found for line in process.stdout if (found := re.search(r"http://[^:]+:(\d+)/\S*token=(\S+)", line))
        )
        threads = [
            threading.Thread(target=_page, args=(int(address[1]), address[2], at, over, answers), daemon=True)
            for at in range(PAGES)
        ]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while not all(answers) and time.monotonic() < deadline:
            time.sleep(0.1)  # the first look is the longest, and no part of what watching costs from then on
        yield process.pid
        if not all(answers):
            sys.exit(f"pages without any answer: {answers.count(0)} of {PAGES}")
    finally:
        over.set()
        process.send_signal(signal.SIGINT)
        process.wait(30)
        for thread in threads:
            thread.join(30)


def _page(port: int, token: str, at: int, over: threading.Event, answers: list[int]) -> None:
    """One open page: it asks for what is new, as `live/asking.js` does."""
    have, study = {"": "", "study": ""}, ""
    headers = {"Authorization": f"Bearer {token}"}
    over.wait(2.0 * at / PAGES)
    look = 0
    while not over.is_set():
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            asked = [("", "/api/board")] if look % 2 == 0 or not study else [("", "/api/board"), ("study", study)]
            for what, path in asked:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                connection.request("GET", f"{path}?have={have[what]}", headers=headers)
                said = json.loads(connection.getresponse().read())
                connection.close()
                answers[at] += 1
                have[what] = said.get("version", "")
                if not what and said.get("data"):
                    known = said["data"]["studies"]
                    study = study or f"/api/studies/{known[at % len(known)]['key']}"
        look += 1
        over.wait(2.0)


WATCHED: dict[str, Callable[[Path], contextlib.AbstractContextManager[int]]] = {
    "status -w": live_view,
    f"{PAGES} pages": pages,
}


def folder_of(place: Path) -> str:
    """The campaign's."""
    return str(place / "studies" / "+".join(NAMES))


def ended(place: Path) -> int:
    """Attempts that have ended in all studies."""
    ledgers = (place / "studies" / name / "ledger" for name in NAMES)
    return sum(
        segment.read_bytes().count(b'"attempt_ended"') for ledger in ledgers for segment in ledger.glob("*.jsonl")
    )


def processor(pid: int) -> float:
    """Seconds of a processor that a process has used (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rate(place: Path, seconds: float) -> float:
    """Trials a second, from now on for so long."""
    before, began = ended(place), time.monotonic()
    time.sleep(seconds)
    return (ended(place) - before) / (time.monotonic() - began)


def main() -> None:
    """Measure, print the table, keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000, help="of each study before it is measured")
    parser.add_argument("--seconds", type=float, default=10.0, help="that one way of watching is measured for")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as where:
        place = Path(where)
        (place / "studies").mkdir()
        for name in NAMES:
            make_study(place / "studies" / name, asked.trials, 20, STUDY_FILE.format(name=name))
        files = [f"studies/{name}.yaml" for name in NAMES]
        with open(place / "said", "wb") as said:
            command = [*OUTLAST, "run", *files, "--parallel", "2"]
            run = subprocess.Popen(command, cwd=place, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            figures = measured(place, run, asked.seconds, asked.rounds)
        finally:
            run.send_signal(signal.SIGINT)
            run.wait(60)
            if run.returncode not in (0, 4, 130):
                print((place / "said").read_text()[-2000:], file=sys.stderr)
    print(f"{'':12} {'trials/s':>9} {'nobody':>8} {'ratio':>6} {'range':>9} {'processors':>11}")
    for name, pairs in figures.items():
        ratios = sorted(watched / alone for watched, alone, _ in pairs)
        middle = [statistics.median(side) for side in zip(*pairs, strict=True)]
        span = f"{ratios[0]:.2f}-{ratios[-1]:.2f}"
        print(
            f"{name:12} {middle[0]:>9.2f} {middle[1]:>8.2f} {statistics.median(ratios):>6.2f} {span:>9} {middle[2]:>11.3f}"
        )
    if asked.json is not None:
        asked.json.write_text(json.dumps(figures))


def measured(
    place: Path, run: subprocess.Popen[bytes], seconds: float, rounds: int
) -> dict[str, list[tuple[float, float, float]]]:
    """For each way of watching: trials a second with it, and without, just before and after; processors that it keeps busy."""
    deadline, first = time.monotonic() + 120, ended(place)
    while ended(place) < first + 10:
        if run.poll() is not None or time.monotonic() > deadline:
            sys.exit((place / "said").read_text()[-2000:])
        time.sleep(0.2)
    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in WATCHED}
    before = rate(place, seconds)
    for _ in range(rounds):
        for name, watching in WATCHED.items():
            with watching(place) as pid:
                time.sleep(3.0)  # it has begun by then
                used = processor(pid)
                with_it = rate(place, seconds)
                used = (processor(pid) - used) / seconds
            after = rate(place, seconds)
            figures[name].append((with_it, (before + after) / 2, used))
            before = after
    return figures


if __name__ == "__main__":
    main()
