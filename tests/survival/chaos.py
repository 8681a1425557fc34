"""Kill -9 coordinators, runners and trainings at random, run the same command again, and count what was lost.

    python tests/survival/chaos.py [--kills 1000] [--seed N]

The exit code is 0 if nothing was.
"""

from __future__ import annotations

import argparse
import contextlib
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

from harness import Command, Lab, Verdict, Zygote, reference_of, verify

from outlast._system import Identity, identity_of, is_running, read_json

TRIALS, EPOCHS, EPOCH_SECONDS, PARALLEL = 24, 4, 0.03, 2
_MEAN_PAUSE_S = 0.15
_VICTIMS = ("coordinator", "runner", "script")


@dataclass
class Tally:
    """What a campaign did, and what came of it."""

    kills: Counter[str] = field(default_factory=Counter)
    studies: int = 0
    trials: int = 0
    epochs: int = 0
    bound: int = 0  # epochs that the kills may have cost
    found: Verdict = field(default_factory=Verdict)

    def take(self, verdict: Verdict, lab: Lab, kills: Counter[str]) -> None:
        self.kills += kills
        self.studies += 1
        self.trials += TRIALS
        self.epochs += len(lab.audit)
        self.bound += kills["runner"] + kills["script"]
        for count in ("lost", "twice", "overshoot", "orphans", "repeated"):
            setattr(self.found, count, getattr(self.found, count) + getattr(verdict, count))
        self.found.faults += [f"study {self.studies}: {fault}" for fault in verdict.faults]

    def table(self) -> str:
        found = self.found
        by = ", ".join(f"{self.kills[who]} {who}s" for who in _VICTIMS)
        rows = [
            ("kills", f"{sum(self.kills.values())}  ({by})"),
            ("studies, trials", f"{self.studies}, {self.trials}"),
            ("trials lost", found.lost),
            ("run twice", found.twice),
            ("overshoot", found.overshoot),
            ("orphans", found.orphans),
            ("epochs repeated", f"{found.repeated} of {self.epochs}  (bound: {self.bound}, one a kill of what trains)"),
            ("other faults", len(found.faults)),
        ]
        return "\n".join(f"  {name:16} {value}" for name, value in rows)


class Campaign:
    """One study after the other, killed until there were enough kills, each brought to its end and compared."""

    def __init__(self, place: Path, zygote: Zygote, *, kills: int, seed: int) -> None:
        self._place, self._zygote, self._wanted = place, zygote, kills
        self._chance = random.Random(seed)
        self._reference = reference_of(place / "reference", zygote, TRIALS)
        self.tally = Tally()

    def run(self) -> Tally:
        while sum(self.tally.kills.values()) < self._wanted:
            lab = Lab.make(
                self._place / f"study-{self.tally.studies}",
                self._zygote,
                trials=TRIALS,
                epochs=EPOCHS,
                seconds=EPOCH_SECONDS,
                parallel=PARALLEL,
                trial={"retries": 1000},
                checkpoints={"keep": 5},
            )
            try:
                kills = self._torment(lab, self._wanted - sum(self.tally.kills.values()))
                verdict = verify(
                    lab, self._reference, trials=TRIALS, interruptions=kills["runner"] + kills["script"],
                    set_aside=True, checkpoints=5,
                )  # fmt: skip
                self.tally.take(verdict, lab, kills)
            finally:
                lab.end()
        return self.tally

    def _torment(self, lab: Lab, most: int) -> Counter[str]:
        """Kill until the study is done, or there were enough kills; then let it finish."""
        kills: Counter[str] = Counter()
        run = lab.start()
        while True:
            over = time.monotonic() + self._chance.expovariate(1 / _MEAN_PAUSE_S)
            while run.poll() is None and time.monotonic() < over:
                time.sleep(0.002)
            if run.poll() == 0:
                return kills
            if run.poll() is None and sum(kills.values()) < most:
                kills[self._strike(lab, run)] += 1
                del kills[""]
            if run.poll() not in (None, 0, -signal.SIGKILL):
                raise AssertionError(f"exit code {run.code}: {run.said}")
            if run.poll() == -signal.SIGKILL:
                run = lab.start()

    def _strike(self, lab: Lab, run: Command) -> str:
        """Kill somebody. Returns who it was; empty if there was nobody to kill."""
        victim = self._chance.choice(_VICTIMS)
        if victim == "coordinator":
            run.kill()
            return victim if run.code == -signal.SIGKILL else ""
        while run.poll() is None:
            attempts = self._training(lab)
            if victim == "runner":  # three losses in a row without a step are a failed trial, and rightly so
                attempts = [attempt for attempt in attempts if attempt[2]]
            if attempts:
                runner, script, _ = self._chance.choice(attempts)
                time.sleep(self._chance.random() * EPOCH_SECONDS)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(runner.pid if victim == "runner" else script, signal.SIGKILL)
                    return victim
            time.sleep(0.005)
        return ""

    @staticmethod
    def _training(lab: Lab) -> list[tuple[Identity, int, bool]]:
        """Runner, training, and whether it has saved a checkpoint, of every attempt that trains just now."""
        found = []
        audit = lab.audit
        for trial, attempt in lab.paths.open_attempts():
            claim = read_json(lab.paths.attempt(trial, attempt).started)
            lines = [line for line in audit if line["trial"] == trial and line["attempt"] == attempt]
            if isinstance(claim, dict) and not claim.get("void") and lines:
                runner, script = Identity.from_json(claim), int(lines[-1]["pid"])
                if is_running(runner) and identity_of(script) is not None:
                    found.append((runner, script, len(lines) > 1))
        return found


def chosen_seed() -> int:
    """``OUTLAST_CHAOS_SEED``, or a new one."""
    return int(os.environ.get("OUTLAST_CHAOS_SEED") or secrets.randbelow(2**31))


def main() -> int:
    """Run a campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=chosen_seed())
    args = parser.parse_args()
    print(f"seed {args.seed}: again with OUTLAST_CHAOS_SEED={args.seed}", flush=True)
    zygote = Zygote()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="outlast-chaos-") as place:
        campaign = Campaign(Path(place), zygote, kills=args.kills, seed=args.seed)
        try:
            tally = campaign.run()
        finally:
            zygote.close()
    print(tally.table())
    print(f"  in {time.monotonic() - began:.0f} s")
    for fault in tally.found.faults:
        print(f"  ! {fault}")
    return 1 if tally.found.faults else 0


if __name__ == "__main__":
    sys.exit(main())
