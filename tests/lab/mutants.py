"""Break the product in a dozen ways and see that a campaign of random kills (`chaos.py`) notices each.

    python -m lab.mutants [--only WORD] [--kills 40] [--seed N]

A mutant is the source with one place, or a few, changed so that something is no longer survived. Coordinators, runners and
trainings all run it; the comparison is the true product's. The exit code is 0 if every mutant was noticed and the true product
passed the same campaign.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import outlast
from lab.chaos import Campaign, chosen_seed
from lab.survival import Zygote

SOURCE = Path(outlast.__file__).parent
_PATIENCE = 120.0  # seconds for a study that a mutant may never end

#: Of a file: what is replaced there, and by what. What is replaced stands there once.
Changes = Mapping[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class Mutant:
    """One way in which the product could be broken."""

    name: str
    changes: Changes

    def write(self, place: Path) -> Path:
        """Write the broken source below `place`.

        Returns:
            The folder to import it from.

        Raises:
            ValueError: The source has moved on, and the mutant has to follow it.
        """
        broken = place / "outlast"
        shutil.copytree(SOURCE, broken, ignore=shutil.ignore_patterns("__pycache__"))
        for name, text in self.changed().items():
            (broken / name).write_text(text)
        return place

    def changed(self) -> dict[str, str]:
        """File → its text, broken.

        Raises:
            ValueError: As for `write`.
        """
        texts = {}
        for name, replacements in self.changes.items():
            text = (SOURCE / name).read_text()
            for old, new in replacements:
                if text.count(old) != 1:
                    raise ValueError(f"{self.name}: {name} holds {text.count(old)} times: {old}")
                text = text.replace(old, new)
            texts[name] = text
        return texts


_IS_RUNNING = "    if is_running(runner):\n        return Status(Life.RUNNING, runner=runner)\n"
_END_TREE = "    stuck = end_processes(token, fence=fence)\n    if not stuck and is_locked"
_NOT_ENDED = ((_END_TREE, "    return []\n" + _END_TREE),)
_OF_EARLIER_ATTEMPTS = "end_processes(token_of_trial(str(root), spec.trial)) if spec.attempt > 1 else []"

MUTANTS = (
    Mutant("live attempts count as gone, and are ended", {"study/attempts.py": ((_IS_RUNNING, ""),)}),
    Mutant("live attempts are given up without being ended", {"study/attempts.py": ((_IS_RUNNING, ""), *_NOT_ENDED)}),
    Mutant(
        "a training outlives its runner, and nobody ends it",  # three rooms see to that: each is enough
        {
            "study/attempts.py": _NOT_ENDED,
            "runner/training.py": (("preexec_fn=die_with_parent", "preexec_fn=None"),),
            "runner/main.py": ((_OF_EARLIER_ATTEMPTS, "[]"),),
        },
    ),
    Mutant(
        "runners die with their coordinator",
        {
            "runner/fork_server.py": (
                (
                    "    asking.close()\n    return _be_a_runner",
                    "    asking.close()\n    from outlast._system.processes import die_with_parent\n"
                    "    die_with_parent()\n    return _be_a_runner",
                ),
            )
        },
    ),
    Mutant(
        "every fourth trial starts over despite its checkpoint",
        {
            "engine/attempts/prepare.py": (
                (
                    "start_over = not begun or trial.from_scratch",
                    "start_over = not begun or trial.from_scratch or trial.number % 4 == 3",
                ),
            )
        },
    ),
    Mutant(
        "no attempt is told to resume",
        {
            "engine/attempts/prepare.py": (
                ("        resume=last is not None,\n        fold", "        resume=False,\n        fold"),
            )
        },
    ),
    Mutant(
        "trials in flight do not count against the budget",
        {"core/budget.py": (("- counted(study, count) - in_flight(study))", "- counted(study, count))"),)},
    ),
    Mutant(
        "interrupted trials are forgotten",
        {
            "core/plan.py": (
                (
                    "study.in_state(TrialState.INTERRUPTED) + study.in_state(TrialState.CREATED)",
                    "study.in_state(TrialState.CREATED)",
                ),
            )
        },
    ),
    Mutant(
        "what is drawn depends on the process",
        {
            "optimizer/proposals.py": (
                (
                    'text = "\\x1f".join(map(str, parts))',
                    'text = "\\x1f".join(map(str, (*parts, __import__("os").getpid())))',
                ),
            )
        },
    ),
    Mutant(
        "the checkpoints of unfinished trials go too",
        {
            "engine/derived/checkpoints.py": (
                (
                    'if t.state.finished and t.source != "refit"]',
                    'if t.attempts and t.source != "refit"]',
                ),
            )
        },
    ),
    Mutant(
        "markers of attempts that are over stay",
        {"study/attempts.py": (("    remove(paths.open_marker(trial, attempt), durable=False)", "    pass"),)},
    ),
    Mutant(
        "the tables are not brought up to date at the end",
        {
            "engine/derived/derived_files.py": (
                (
                    "written = self._results_written(study)\n        self.is_whole",
                    "written = True\n        self.is_whole",
                ),
            )
        },
    ),
    Mutant(
        "an attempt gets other values than its trial drew",
        {
            "engine/attempts/prepare.py": (
                (
                    "    params = {**space.complete(trial.params), **beyond}",
                    "    params = {**space.complete(trial.params), **beyond}\n"
                    "    params |= {'x': params['x'] + 0.001 * (number - 1)} if 'x' in params else {}",
                ),
            )
        },
    ),
)


def noticed(source: Path | None, *, kills: int, seed: int) -> list[str]:
    """The faults that a campaign finds; empty if it finds none."""
    zygote = Zygote(source)
    try:
        with tempfile.TemporaryDirectory(prefix="outlast-mutant-") as place:
            campaign = Campaign(Path(place), zygote, kills=kills, seed=seed, patience=_PATIENCE)
            try:
                return campaign.run().faults
            except AssertionError as error:  # a command failed, or the study never ended
                return [str(error)]
    finally:
        zygote.close()


def main() -> int:
    """Try every mutant, and the true product."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="mutants whose names hold this")
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=chosen_seed())
    args = parser.parse_args()
    print(f"seed {args.seed}")
    missed = 0
    for mutant in (Mutant("the product as it is", {}), *MUTANTS):
        if args.only not in mutant.name:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="outlast-source-") as place:
            faults = noticed(mutant.write(Path(place)), kills=args.kills, seed=args.seed)
        right = bool(faults) == bool(mutant.changes)
        missed += not right
        words = f"noticed: {faults[0].splitlines()[0][:150]}" if faults else "nothing noticed"
        print(f"{'  ' if right else '! '}{mutant.name}: {words} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{missed} of them wrong" if missed else "each as it should be")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
