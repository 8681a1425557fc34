"""Kill -9 coordinators, runners, trainings and what forks them at random, run the same command again, and count what was lost.

    python -m lab.chaos [--kills 1000] [--seed N] [--isolation kept]

The kills are shared by all isolations, or by those that are named. The exit code is 0 if nothing was lost: no trial, no number,
and no attempt or epoch of a trial whose own training was left alone. Trainings must also have been adopted by the next
coordinator, or the campaign has shown nothing about that; but those of kept workers, which die with theirs. Whether it notices a
product that is broken is shown by `mutants.py`.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.survival import Command, Lab, Verdict, Zygote, reference_of, verify
from lab.waiting import line_of, wait_gone
from outlast._system.processes import Identity, identity_of, is_running, parent_of
from outlast._system.reading import read_json

#: A training outlives the start of the next coordinator, which can therefore adopt it.
TRIALS, EPOCHS, EPOCH_SECONDS, PARALLEL = 8, 20, 0.08, 3
_MEAN_PAUSE_S = 0.15
#: Isolation → who is killed. A server is what runners are forked from; it costs nothing. A kept worker is the training.
VICTIMS = {
    "command": ("coordinator", "runner", "script", "server"),
    "process": ("coordinator", "runner", "script", "server"),
    "worker": ("coordinator", "runner", "script", "server"),
    "kept": ("coordinator", "script"),
}
_ENOUGH = 5  # coordinators killed, after which one training at least must have been adopted


@dataclass(frozen=True)
class Training:
    """An attempt that trains: its processes, and whether it has saved a checkpoint."""

    trial: int
    attempt: int
    runner: Identity | None  # None: in a kept worker
    script: int
    saved: bool

    @property
    def server(self) -> int | None:
        """What its runner was forked from; `None` for a runner that outlived it."""
        parent = None if self.runner is None else parent_of(self.runner.pid)
        return parent if parent and b"outlast.runner" in line_of(parent) else None


@dataclass
class Kills:
    """Who was killed in one study, and whom it concerned."""

    victims: Counter[str] = field(default_factory=Counter)
    hits: Counter[int] = field(default_factory=Counter)  # trial → kills of its runner or training
    #: Attempts that trained when their coordinator died, when that was, and which command came next.
    left_alone: list[tuple[Training, float, int]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.victims.values())


@dataclass
class Tally:
    """What a campaign did, and what came of it."""

    isolation: str
    kills: Counter[str] = field(default_factory=Counter)
    studies: int = 0
    trials: int = 0
    epochs: int = 0
    bound: int = 0  # epochs that the kills may have cost
    adopted: int = 0  # attempts that outlived a coordinator, were taken over by the next one, and trained on
    found: Verdict = field(default_factory=Verdict)

    def take(self, verdict: Verdict, lab: Lab, kills: Kills) -> None:
        self.kills += kills.victims
        self.studies += 1
        self.trials += TRIALS
        self.epochs += len(lab.audit)
        self.bound += sum(kills.hits.values())
        self.adopted += sum(_trained_on(lab, *left) for left in kills.left_alone)
        for count in ("lost", "twice", "overshoot", "orphans", "repeated"):
            setattr(self.found, count, getattr(self.found, count) + getattr(verdict, count))
        self.found.faults += [f"study {self.studies}: {fault}" for fault in verdict.faults]

    @property
    def faults(self) -> list[str]:
        """What was wrong; also that nothing was shown about adopting although coordinators died."""
        shown = self.adopted or self.kills["coordinator"] < _ENOUGH or self.isolation == "kept"
        return self.found.faults + ([] if shown else ["no live training was ever adopted"])

    def table(self) -> str:
        found = self.found
        by = ", ".join(f"{self.kills[who]} {who}s" for who in VICTIMS[self.isolation])
        rows = [
            ("kills", f"{sum(self.kills.values())}  ({by})"),
            ("studies, trials", f"{self.studies}, {self.trials}"),
            ("trials lost", found.lost),
            ("run twice", found.twice),
            ("overshoot", found.overshoot),
            ("orphans", found.orphans),
            ("epochs repeated", f"{found.repeated} of {self.epochs}  (bound: {self.bound}, one a kill of what trains)"),
            ("adopted", f"{self.adopted} live trainings, by the next coordinator"),
            ("faults", len(self.faults)),
        ]
        return "\n".join(f"  {name:16} {value}" for name, value in rows)


class Campaign:
    """One study after the other, killed until there were enough kills, each brought to its end and compared."""

    def __init__(
        self, place: Path, zygote: Zygote, *, kills: int, seed: int, patience: float = 600.0, isolation: str = "command"
    ) -> None:
        self._isolation = isolation
        self._place, self._zygote, self._wanted, self._patience = place, zygote, kills, patience
        self._chance = random.Random(seed)
        self._reference = reference_of(place / "reference", zygote, TRIALS)
        self.tally = Tally(isolation)

    def run(self) -> Tally:
        """Returns early with the first study that has a fault: what comes after one shows little."""
        while not self.tally.found.faults and self.tally.kills.total() < self._wanted:
            lab = Lab.make(
                self._place / f"study-{self.tally.studies}",
                self._zygote,
                trials=TRIALS,
                epochs=EPOCHS,
                seconds=EPOCH_SECONDS,
                parallel=PARALLEL,
                isolation=self._isolation,
                trial={"retries": 1000},
                checkpoints={"keep": 5},
            )
            try:
                kills = self._torment(lab, self._wanted - self.tally.kills.total())
                verdict = verify(
                    lab, self._reference, trials=TRIALS, interruptions=sum(kills.hits.values()), hits=kills.hits,
                    set_aside=True, checkpoints=5,
                )  # fmt: skip
                self.tally.take(verdict, lab, kills)
            finally:
                lab.end()
        return self.tally

    def _torment(self, lab: Lab, most: int) -> Kills:
        """Kill until the study is done, or there were enough kills; then let it finish."""
        kills = Kills()
        run = lab.start()
        deadline = time.monotonic() + self._patience
        while True:
            if time.monotonic() > deadline:
                raise AssertionError(f"the study has no end within {self._patience:g} s: {run.said[-2000:]}")
            over = time.monotonic() + self._chance.expovariate(1 / _MEAN_PAUSE_S)
            while run.poll() is None and time.monotonic() < over:
                time.sleep(0.002)
            if run.poll() == 0:
                return kills
            if run.poll() is None and kills.total < most:
                self._strike(lab, run, kills, deadline)
            if run.poll() not in (None, 0, -signal.SIGKILL):
                raise AssertionError(f"exit code {run.code}: {run.said}")
            if run.poll() == -signal.SIGKILL:
                run = lab.start()

    def _strike(self, lab: Lab, run: Command, kills: Kills, deadline: float) -> None:
        """Kill somebody, if there is somebody to kill."""
        victim = self._chance.choice(VICTIMS[self._isolation])
        if victim == "coordinator":
            training = self._training(lab)
            run.kill()
            if run.code == -signal.SIGKILL:
                kills.victims[victim] += 1
                if self._isolation == "kept":
                    kills.hits.update(trial.number for trial in lab.study().trials.values() if trial.open_attempt)
                else:
                    kills.left_alone += [(each, time.monotonic(), len(lab.commands)) for each in training]
            return
        while run.poll() is None and time.monotonic() < deadline:
            found = self._training(lab)
            if victim == "runner":  # three losses in a row without a step are a failed trial, and rightly so
                found = [each for each in found if each.saved]
            elif victim == "server":
                found = [each for each in found if each.server]
            if found:
                chosen = self._chance.choice(found)
                time.sleep(self._chance.random() * EPOCH_SECONDS)
                self._kill(lab, victim, chosen, kills)
                return
            time.sleep(0.005)

    @staticmethod
    def _kill(lab: Lab, victim: str, chosen: Training, kills: Kills) -> None:
        """Kill a process of a training, if it is there still."""
        pid = {"runner": chosen.runner and chosen.runner.pid, "script": chosen.script, "server": chosen.server}[victim]
        if pid is None:
            return
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        kills.victims[victim] += 1
        if chosen.runner is None:  # a kept worker may be at its next trial by now
            wait_gone(pid)
            kills.hits[[line["trial"] for line in lab.audit if line["pid"] == pid][-1]] += 1
        elif victim != "server":
            kills.hits[chosen.trial] += 1

    def _training(self, lab: Lab) -> list[Training]:
        """Every attempt that trains just now."""
        lines: dict[tuple[int, int], list[dict[str, Any]]] = {}
        for line in lab.audit:
            lines.setdefault((line["trial"], line["attempt"]), []).append(line)
        if self._isolation == "kept":
            latest = {int(each[-1]["pid"]): at for at, each in lines.items()}
            left = {at: pid for pid, at in latest.items() if identity_of(pid) is not None}
            return [Training(*at, None, pid, saved=len(lines[at]) > 1) for at, pid in left.items()]
        found = []
        for at in lab.paths.open_attempts():
            claim = read_json(lab.paths.attempt(*at).started)
            if isinstance(claim, dict) and not claim.get("void") and at in lines:
                runner, script = Identity.from_json(claim), int(lines[at][-1]["pid"])
                if is_running(runner) and identity_of(script) is not None:
                    found.append(Training(*at, runner, script, saved=len(lines[at]) > 1))
        return found


def _trained_on(lab: Lab, left: Training, since: float, command: int) -> bool:
    """Whether a training was taken over by a command and began another epoch."""
    taken = (
        command < len(lab.commands) and f"trial {left.trial} is still running: taken over" in lab.commands[command].said
    )
    later = (line for line in lab.audit if (line["trial"], line["attempt"]) == (left.trial, left.attempt))
    return taken and any(line["at"] > since for line in later)


def chosen_seed() -> int:
    """``OUTLAST_CHAOS_SEED``, or a new one."""
    return int(os.environ.get("OUTLAST_CHAOS_SEED") or secrets.randbelow(2**31))


def main() -> int:
    """Run a campaign an isolation and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=chosen_seed())
    parser.add_argument("--isolation", nargs="+", choices=VICTIMS, default=list(VICTIMS))
    args = parser.parse_args()
    print(f"seed {args.seed}: again with OUTLAST_CHAOS_SEED={args.seed}", flush=True)
    zygote, faults = Zygote(), 0
    try:
        for isolation in args.isolation:
            began = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="outlast-chaos-") as place:
                kills = -(-args.kills // len(args.isolation))
                tally = Campaign(Path(place), zygote, kills=kills, seed=args.seed, isolation=isolation).run()
            print(f"{isolation}, in {time.monotonic() - began:.0f} s\n{tally.table()}", flush=True)
            for fault in tally.faults:
                print(f"  ! {fault}", flush=True)
            faults += len(tally.faults)
    finally:
        zygote.close()
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
