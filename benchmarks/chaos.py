"""Trainings killed at random: what is lost, and what is done twice, with Outlast and with plain Optuna.

    python benchmarks/chaos.py [--kills 100] [--trials 20] [--epochs 20] [--every 2] [--seed N] [--json FILE]

Both sides run the same training (`_chaos_training.py`), four at a time, with a checkpoint every few epochs, under the same
plan of kills: after a random number of further epochs, at a random moment within the epoch, the process that trains is
killed with signal 9. With Outlast that is the script (`trial.retries` lets it try again). With Optuna it is the process
that optimises: four of them share an SQLite storage with heartbeats and a callback that queues dead trials again, and each
is started again as soon as it is dead. Every epoch that begins is on record; the table counts from that.

The exit code is 0 if on our side every trial is complete, every number was given once, and nothing ran twice except the
epochs after the last checkpoint before a kill.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import _chaos_optuna
from optuna.trial import TrialState as Row

from outlast.core.states import TrialState

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
PARALLEL = 4


@dataclass(frozen=True)
class Campaign:
    """What both sides go through."""

    kills: int
    trials: int
    epochs: int
    every: int  # epochs from one checkpoint to the next
    seconds: float  # an epoch
    seed: int


@dataclass
class Outcome:
    """What one side made of it."""

    struck: int = 0  # kills
    finished: int = 0  # of the trials that were asked for
    left: int = 0  # configurations that were begun and never finished
    numbers: int = 0  # trial numbers given
    hanging: int = 0  # rows that still say "running"
    epochs: int = 0  # begun
    repeated: int = 0  # begun more than once
    needless: int = 0  # of those, behind a checkpoint that was there
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class Killer(threading.Thread):
    """Follows the record of epochs and kills, by a plan that the seed decides, the process that began the latest one."""

    def __init__(self, audit: Path, campaign: Campaign) -> None:
        super().__init__(daemon=True)
        self._audit, self._campaign = audit, campaign
        self._chance = random.Random(campaign.seed)
        self._over = threading.Event()
        self.struck = 0

    def run(self) -> None:
        """Until the plan is done, or `stop`."""
        mean = self._campaign.trials * self._campaign.epochs / max(1, self._campaign.kills)
        seen, due = 0, self._gap(mean)
        while self.struck < self._campaign.kills and not self._over.wait(0.002):
            lines = read_audit(self._audit)
            if len(lines) - seen < due:
                continue
            seen, due = len(lines), self._gap(mean)
            self._over.wait(self._chance.random() * self._campaign.seconds)
            try:
                os.kill(lines[-1]["pid"], signal.SIGKILL)
            except ProcessLookupError:
                continue  # it had just finished: no kill
            self.struck += 1

    def _gap(self, mean: float) -> int:
        return self._chance.randint(1, max(1, round(2 * mean) - 1))

    def stop(self) -> int:
        """End it. Returns how many kills there were."""
        self._over.set()
        self.join()
        return self.struck


def read_audit(path: Path) -> list[dict[str, Any]]:
    """Every epoch that began, in order."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def ours(folder: Path, campaign: Campaign) -> Outcome:
    """The campaign over Outlast, checked as the tests of survival check a study."""
    sys.path.insert(0, str(TESTS))
    from lab.survival import Lab, Zygote, reference_of, verify

    zygote = Zygote()
    program = [
        sys.executable,
        "-S",
        "-E",
        str(HERE / "_chaos_training.py"),
        "${args}",
        "--epochs",
        str(campaign.epochs),
    ]
    program += ["--seconds", str(campaign.seconds), "--every", str(campaign.every), "--audit", "audit.jsonl"]
    try:
        reference = reference_of(folder / "reference", zygote, campaign.trials)
        lab = Lab.make(
            folder / "ours",
            zygote,
            trials=campaign.trials,
            epochs=campaign.epochs,
            parallel=PARALLEL,
            command=[*program, "--checkpoint-dir", "${checkpoint_dir}"],
            trial={"retries": 10 * campaign.kills + 1},
        )
        killer = Killer(lab.place / "audit.jsonl", campaign)
        killer.start()
        began = time.monotonic()
        command = lab.start()
        code = command.wait(timeout=3600)
        seconds, struck = time.monotonic() - began, killer.stop()
        found = verify(lab, reference, trials=campaign.trials, interruptions=struck * campaign.every)
        study = lab.study()
        lab.end()
    finally:
        zygote.close()
    finished = {n for n, t in study.trials.items() if t.state is TrialState.COMPLETE}
    hanging = sum(not trial.state.finished for trial in study.trials.values())
    outcome = counted(
        lab.audit, finished, campaign, struck, numbers=len(study.trials), hanging=hanging, seconds=seconds
    )
    outcome.faults = [*([] if code == 0 else [f"exit code {code}"]), *found.faults, *outcome.faults]
    return outcome


def theirs(folder: Path, campaign: Campaign) -> Outcome:
    """The campaign over plain Optuna; whoever dies is started again."""
    place = folder / "theirs"
    place.mkdir(parents=True)
    _chaos_optuna.open_study(str(place), campaign.seed)
    numbers = (campaign.trials, campaign.epochs, campaign.seconds, campaign.every)
    argv = [sys.executable, str(HERE / "_chaos_optuna.py"), str(place), *map(str, numbers)]
    killer = Killer(place / "audit.jsonl", campaign)
    killer.start()
    began = time.monotonic()
    starts = 0

    def start() -> subprocess.Popen[bytes]:
        nonlocal starts
        starts += 1
        return subprocess.Popen([*argv, str(campaign.seed + starts)], stdout=subprocess.DEVNULL)

    workers = [start() for _ in range(PARALLEL)]
    faults: Counter[str] = Counter()
    while any(worker.returncode != 0 for worker in workers):
        time.sleep(0.01)
        for at, worker in enumerate(workers):
            code = worker.poll()
            if code not in (None, 0):
                if code != -signal.SIGKILL:
                    faults[f"a process ended with {code}"] += 1
                    if faults.total() > campaign.kills + PARALLEL:
                        sys.exit(f"plain Optuna does not run: {dict(faults)}")
                workers[at] = start()
    seconds, struck = time.monotonic() - began, killer.stop()
    rows = _chaos_optuna.open_study(str(place), campaign.seed).get_trials(deepcopy=False)
    finished = {_chaos_optuna.original(row) for row in rows if row.state is Row.COMPLETE}
    hanging = sum(row.state is Row.RUNNING for row in rows)
    audit = read_audit(place / "audit.jsonl")
    outcome = counted(audit, finished, campaign, struck, numbers=len(rows), hanging=hanging, seconds=seconds)
    outcome.faults = [*(f"{text}, {times} times" for text, times in faults.items()), *outcome.faults]
    return outcome


def counted(
    audit: Sequence[Mapping[str, Any]], finished: set[int], campaign: Campaign, struck: int, **more: Any
) -> Outcome:
    """What the record of epochs says."""
    begun: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for line in audit:
        begun[line["trial"]].append(line)
    outcome = Outcome(
        struck=struck, finished=len(finished), left=len(begun.keys() - finished), epochs=len(audit), **more
    )
    for number, lines in begun.items():
        times = Counter(line["epoch"] for line in lines)
        outcome.repeated += sum(each - 1 for each in times.values())
        outcome.needless += needless(lines, campaign.every)
        missing = set(range(campaign.epochs)) - times.keys()
        if number in finished and missing:
            outcome.faults.append(f"trial {number} is complete without the epochs {sorted(missing)}")
    return outcome


def needless(lines: Sequence[Mapping[str, Any]], every: int) -> int:
    """How many epochs of one configuration ran again although a checkpoint behind them was there.

    When an epoch begins, the checkpoints before it are there: the next attempt has no need to begin earlier.
    """
    wasted, furthest, attempt = 0, 0, None
    for line in lines:
        if line["attempt"] != attempt:
            attempt = line["attempt"]
            wasted += max(0, furthest // every * every - line["epoch"])
        furthest = max(furthest, line["epoch"])
    return wasted


ROWS: tuple[tuple[str, Callable[[Outcome], Any]], ...] = (
    ("kills that struck", lambda o: o.struck),
    ("trials asked for, and finished", lambda o: o.finished),
    ("configurations begun and never finished", lambda o: o.left),
    ("trial numbers given", lambda o: o.numbers),
    ("rows that still say running", lambda o: o.hanging),
    ("epochs begun", lambda o: o.epochs),
    ("epochs begun more than once", lambda o: o.repeated),
    ("of those, behind a checkpoint that was there", lambda o: o.needless),
    ("seconds", lambda o: f"{o.seconds:.0f}"),
)


def table(campaign: Campaign, sides: Mapping[str, Outcome]) -> str:
    """One row a quantity, one column a side."""
    needed = {
        "kills that struck": campaign.kills,
        "trials asked for, and finished": campaign.trials,
        "epochs begun": campaign.trials * campaign.epochs,
        "trial numbers given": campaign.trials,
        "epochs begun more than once": f"<= {campaign.kills * campaign.every}",
    }
    rows = [("", "asked for", *sides)]
    rows += [(name, str(needed.get(name, "")), *(str(value(o)) for o in sides.values())) for name, value in ROWS]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]).rstrip()
        for row in rows
    )


def main() -> None:
    """Run both campaigns, print the table; fail on a fault of ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--every", type=int, default=2, help="epochs from one checkpoint to the next")
    parser.add_argument("--seconds", type=float, default=0.1, help="how long an epoch takes")
    parser.add_argument("--seed", type=int, help="of the kills; drawn and printed by default")
    parser.add_argument("--only", choices=["ours", "theirs"], help="one side alone")
    parser.add_argument("--json", type=Path, help="keep the figures here")
    args = parser.parse_args()
    seed = secrets.randbelow(10**6) if args.seed is None else args.seed
    campaign = Campaign(args.kills, args.trials, args.epochs, args.every, args.seconds, seed)
    print(f"{args.kills} kills over {args.trials} trials of {args.epochs} epochs; seed {seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="outlast-chaos-") as name:
        runs = {"ours": ours, "theirs": theirs}
        sides = {side: run(Path(name), campaign) for side, run in runs.items() if args.only in (None, side)}
    print(table(campaign, sides))
    for side, outcome in sides.items():
        for fault in outcome.faults:
            print(f"{side}: {fault}")
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        figures = {"campaign": asdict(campaign), **{side: asdict(outcome) for side, outcome in sides.items()}}
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    mine = sides.get("ours")
    sys.exit(1 if mine is not None and (mine.faults or mine.needless or mine.finished != args.trials) else 0)


if __name__ == "__main__":
    main()
