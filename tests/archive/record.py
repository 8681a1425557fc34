"""Records the studies of this archive by really running them: ``python -m archive.record [NAME…]`` in `tests` (root, Linux).

Each life is a function below that runs, kills, stops or mends a small study in a folder of its own. Kept of it is what its
readers need (`KEPT`), and what it adds up to (`test_archive.py`). It all runs under a neutral host name, which takes a
namespace of its own. What is there already is left alone: an old recording is a promise; ``--anew`` replaces those that are
named.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.cluster import running_cluster
from lab.waiting import until

HERE = Path(__file__).parent
HOST = "lab"
#: Of a study folder: the truth, the trials' copies of it, and the tables as they were written then.
TABLES = ("trials.csv", "study_summary.csv", "best_config.yaml", "best_results.json")
KEPT = (
    "ledger/*.jsonl",
    "study.yaml",
    "splits.json",
    "imported.jsonl",
    "trials/*/trial.json",
    "trials/*/error.log",
    *TABLES,
)


class Place:
    """A folder in which a study is run, and the commands of its user.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.study = root, root / "studies" / "lab"
        self.settings: dict[str, Any] = {}
        self.env = {
            **os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OUTLAST_PLOTS": "0",
            "OUTLAST_SILENT_SECONDS": "6", "OUTLAST_LEASE_SECONDS": "3", "OUTLAST_LOCK_DIR": str(root / "locks"),
        }  # fmt: skip
        self.env.pop("PYTHONPATH", None)  # ours, for the cluster
        for name in ("train.py", "objective.py"):
            shutil.copy(HERE / name, root / name)

    def write(self, *arguments: str, trials: int, **more: Any) -> None:
        """The study file: a search over ``x`` at random; `arguments` go to the training, `more` over the file."""
        self.settings = {
            "name": "lab",
            "command": ["python", "train.py", "${args}", *arguments],
            "metric": {"name": "score", "goal": "maximize"},
            "parameters": {"x": {"min": 0.0, "max": 1.0}},
            "budget": {"trials": trials},
            "sampler": {"name": "random", "seed": 7},
            "parallel": 1,
            **more,
        }
        (self.root / "study.yaml").write_text(json.dumps(self.settings, indent=1) + "\n")

    def begin(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command that goes on beside us."""
        command = [sys.executable, "-m", "outlast", *arguments]
        nobody = subprocess.DEVNULL
        return subprocess.Popen(
            command, cwd=self.root, env=self.env, stdin=nobody, stdout=nobody, start_new_session=True
        )

    def outlast(self, *arguments: str, code: int = 0) -> None:
        """A command to its end."""
        command = [sys.executable, "-m", "outlast", *arguments]
        done = subprocess.run(
            command, cwd=self.root, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )
        if done.returncode != code:
            raise RuntimeError(f"{arguments}: exit {done.returncode} instead of {code}\n{done.stdout}{done.stderr}")

    def wait_for_epoch(self, trial: int, epoch: int | str, attempt: int = 1) -> None:
        """Until a running attempt has printed it; an empty text is any."""
        log = self.study / f"trials/{trial:04d}/attempts/{attempt}/output.log"
        until(lambda: log.exists() and f"epoch {epoch}" in log.read_text())

    def kill_attempt(self, trial: int, attempt: int = 1) -> None:
        """SIGKILL to an attempt's runner and its training: what a machine that goes down does."""
        import psutil

        claim = json.loads((self.study / f"trials/{trial:04d}/attempts/{attempt}/started.json").read_text())
        runner = psutil.Process(claim["pid"])
        for process in (runner, *runner.children(recursive=True)):
            process.kill()


SLOWER = ("--epochs", "12", "--seconds", "0.5")
SLOW = ("--epochs", "6", "--seconds", "0.4", "--checkpoint", "${checkpoint_dir}/state.json")
SPACE = {
    "model": {"values": ["mlp", "cnn"]},
    "x": {"min": 1e-3, "max": 1.0, "distribution": "log_uniform_values"},
    "dropout": {"min": 0.0, "max": 0.5, "when": {"model": "cnn"}},
    "epochs": {"value": 2},
}


def complete(place: Place) -> None:
    """A conditional space, a constant, an enqueued configuration; the target is reached."""
    tpe = {"name": "tpe", "seed": 3}
    place.write(trials=6, parameters=SPACE, sampler=tpe, enqueue=[{"model": "cnn", "x": 0.25, "dropout": 0.0}])
    place.outlast("run", "study.yaml")


def halted(place: Place) -> None:
    """The script cannot work: three trials fail alike."""
    place.write("--ends", "broken", trials=20)
    place.outlast("run", "study.yaml", code=3)


def pruned(place: Place) -> None:
    """ASHA gives trials up."""
    asha = {"name": "asha", "min_resource": 1, "reduction_factor": 2}
    place.write("--epochs", "6", "--seconds", "0.5", trials=8, pruner=asha, trial={"grace": "2s"})
    place.outlast("run", "study.yaml")


def objectives(place: Place) -> None:
    """Two objectives that disagree, and their front."""
    metrics = [{"name": "score", "goal": "maximize"}, {"name": "cost", "goal": "minimize"}]
    space = {"x": {"min": 0.0, "max": 1.0}, "hidden": {"values": [16, 32, 64]}}
    place.write(trials=8, metric=metrics, parameters=space)
    place.outlast("run", "study.yaml")


def constraints(place: Place) -> None:
    """A constraint of the study file keeps draws out; the derive hook rules out others, which count as infeasible."""
    body = "return 'infeasible: too wide' if p['hidden'] > 32 and p['x'] > 0.5 else {'dropout': p['x'] / 2}"
    (place.root / "rules.py").write_text(f"def derive(p):\n    {body}\n")
    space = {"x": {"min": 0.0, "max": 1.0}, "hidden": {"min": 8, "max": 64}}
    place.write(trials=8, parameters=space, constraints="hidden % 8 == 0", derive="rules:derive")
    place.outlast("run", "study.yaml")


def folds(place: Place) -> None:
    """Trials in three parts; the mean counts."""
    place.write("--fold", "${fold}", trials=3, trial={"folds": {"n": 3}})
    place.outlast("run", "study.yaml")


def killed(place: Place) -> None:
    """kill -9 of the search: one training is adopted by the next run, another one died with its machine."""
    place.write(*SLOW, trials=4, parallel=2)
    run = place.begin("run", "study.yaml")
    place.wait_for_epoch(0, 1)
    place.wait_for_epoch(1, 1)
    run.kill()
    run.wait()
    place.kill_attempt(0)
    place.outlast("run", "study.yaml")


def cut_off(place: Place) -> None:
    """kill -9 of everything, and nobody came since."""
    place.write(*SLOW, trials=5, parallel=2)
    run = place.begin("run", "study.yaml")
    place.wait_for_epoch(2, 1)
    run.kill()
    run.wait()
    for trial in (2, 3):
        place.kill_attempt(trial)
    for name in TABLES:  # of that moment, or of the one before
        (place.study / name).unlink(missing_ok=True)


def retried(place: Place) -> None:
    """Two trials fail for a reason that is mended; a person gives them, and one from scratch, new attempts."""
    place.write(trials=3)
    place.outlast("run", "study.yaml", "--trials", "1")
    (place.root / "broken").touch()
    place.outlast("run", "study.yaml", "--set", "budget.max_failures=2", code=3)
    (place.root / "broken").unlink()
    place.outlast("retry", "studies/lab", "--cause", "crash")
    place.outlast("retry", "studies/lab", "0", "--from-scratch")
    place.outlast("run", "study.yaml")


def imported(place: Place) -> None:
    """A study of Optuna's with trials of every state, one of which the space does not hold, goes on here."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal = optuna.storages.journal.JournalFileBackend(str(place.root / "old.log"))
    study = optuna.create_study(
        study_name="lab", storage=optuna.storages.JournalStorage(journal), direction="maximize",
        sampler=optuna.samplers.RandomSampler(seed=5),
    )  # fmt: skip
    unit = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
    for state in ("COMPLETE", "COMPLETE", "PRUNED", "FAIL"):
        trial = study.ask(unit)
        trial.report(trial.params["x"], 0)
        study.tell(trial, trial.params["x"] if state == "COMPLETE" else None, state=optuna.trial.TrialState[state])
    study.ask(unit)
    study.enqueue_trial({"x": 0.25})
    study.enqueue_trial({"x": 30.0})
    place.write(trials=7)
    place.outlast("import", "old.log", "study.yaml", "--dir", "studies/lab")
    place.outlast("run", "study.yaml")


def revised(place: Place) -> None:
    """A narrower space leaves trials out, a wider one takes them back in; the target is raised."""
    place.write(trials=4)
    place.outlast("run", "study.yaml")
    place.write(trials=6, parameters={"x": {"min": 0.0, "max": 0.5}})
    place.outlast("run", "study.yaml", "--accept-changes")
    place.write(trials=8, parameters={"x": {"min": 0.0, "max": 0.8}, "hidden": {"value": 32}})
    place.outlast("run", "study.yaml", "--accept-changes")


def stopped(place: Place) -> None:
    """A person ends one trial, then the search, which has work left; what its trials saved is no checkpoint."""
    place.write(*SLOWER, "--checkpoint", "${checkpoint_dir}/metrics.json", trials=5, parallel=2, trial={"grace": "2s"})
    run = place.begin("run", "study.yaml")
    place.wait_for_epoch(1, 1)
    place.outlast("stop", "studies/lab", "--trial", "0")
    place.wait_for_epoch(2, 1)
    place.outlast("stop", "studies/lab")
    run.wait(60)
    run = place.begin("run", "study.yaml")
    place.wait_for_epoch(1, "", attempt=2)
    place.outlast("stop", "studies/lab", "--now")
    run.wait(60)


def workers(place: Place) -> None:
    """A worker helps; the run is killed; after a while in which nobody was there another worker brings it to its end."""
    place.write(*SLOWER, "--checkpoint", "${checkpoint_dir}/state.json", trials=6)
    run = place.begin("run", "study.yaml")
    place.wait_for_epoch(0, 0)
    worker = place.begin("worker", "studies/lab", "--trials", "2")
    place.wait_for_epoch(1, 0)
    run.kill()
    run.wait()
    place.kill_attempt(0)
    worker.wait(120)
    time.sleep(8)  # longer than OUTLAST_SILENT_SECONDS: nobody is there
    place.outlast("worker", "studies/lab")


def slurm(place: Place) -> None:
    """An array on a cluster: a task is cancelled, another one requeued, and a third trial has a card and a job of its own."""
    with running_cluster() as cluster:
        place.env |= cluster.env
        place.write(*SLOW, trials=5, resources={"gpus": 1}, slurm={"partition": "gpu"}, code="live")
        place.settings["parallel"] = 3
        (place.root / "study.yaml").write_text(json.dumps(place.settings, indent=1) + "\n")
        place.outlast("submit", "study.yaml")
        for trial in range(3):
            place.wait_for_epoch(trial, 1)
        jobs = sorted(job for job in cluster.jobs("--states=RUNNING") if "_" in job)
        cluster.run("scancel", jobs[0])
        cluster.requeue(jobs[1])
        until(lambda: not cluster.jobs() and (place.study / "best_results.json").exists(), seconds=240)


def gpu_memory(place: Place) -> None:
    """Batches that do not fit are halved once; what does not fit then is infeasible."""
    space = {"x": {"min": 0.0, "max": 1.0}, "batch-size": {"values": [32, 128, 512]}}
    place.write(trials=6, parameters=space, trial={"oom": {"shrink": "batch-size"}})
    place.outlast("run", "study.yaml")


def failures(place: Place) -> None:
    """Every trial ends badly in a way of its own, but one."""
    ends = ["well", "broken", "key", "segfault", "silent", "exit", "late", "nan"]
    grid = {"name": "grid"}
    place.write(
        trials=8, parameters={"ends": {"values": ends}}, sampler=grid, trial={"timeout": "3s", "grace": "1s", "retries": 0},
        budget={"trials": 8, "count": ["complete", "pruned", "infeasible", "failed"]},
    )  # fmt: skip
    place.outlast("run", "study.yaml")


def warm_start(place: Place) -> None:
    """Begun with what an earlier search found: its best are tried first, and all is what the sampler knows."""
    (place.root / "smaller.csv").write_text(
        "".join(f"{x},{s}\n" for x, s in [("x", "score"), (0.9, 0.8), (0.4, 0.3), (0.7, 0.6)])
    )
    place.write(trials=4, sampler={"name": "tpe", "seed": 3})
    place.outlast("run", "study.yaml", "--from", "smaller.csv", "--from-as", "both", "--from-top", "2")


def function(place: Place) -> None:
    """An objective of Optuna's that draws as it goes, by `outlast.optimize`."""
    call = "outlast.optimize(objective, trials=4, name='lab', direction='maximize', seed=7, parallel=1, quiet=True)"
    code = f"import outlast\nfrom objective import objective\nif __name__ == '__main__':\n    {call}\n"
    (place.root / "search.py").write_text(code)
    subprocess.run([sys.executable, "search.py"], cwd=place.root, env=place.env, timeout=120, check=True)


def kept(place: Place) -> None:
    """The same in kept workers: what most trials ask for is drawn ahead, and one of them prints."""
    more = "direction='maximize', seed=7, parallel=1, quiet=True, isolation='kept'"
    call = f"outlast.optimize(objective, trials=9, name='lab', {more})"
    code = f"import outlast\nfrom objective import objective\nif __name__ == '__main__':\n    {call}\n"
    (place.root / "search.py").write_text(code)
    with open(place.root / "objective.py", "a") as file:  # what a trial prints is a stretch of its worker's output
        file.write("\n\nprint('imported')\n")
    subprocess.run([sys.executable, "search.py"], cwd=place.root, env=place.env, timeout=120, check=True)


def called_back(place: Place) -> None:
    """A callback that notes something about the study, enqueues a trial and ends the search."""
    (place.root / "search.py").write_text(
        "import outlast\n"
        "def told(study, trial):\n"
        "    study.set_user_attr('seen', trial.number)\n"
        "    if trial.number == 1:\n"
        "        study.enqueue_trial({'x': 0.25})\n"
        "    if trial.number == 3:\n"
        "        study.stop()\n"
        "def f(trial):\n"
        "    x = trial.suggest_float('x', 0, 1)\n"
        "    trial.set_constraint('enough', 0.1 - x)\n"
        "    return x\n"
        "if __name__ == '__main__':\n"
        "    say = {'callbacks': [told], 'seed': 7, 'parallel': 1, 'quiet': True}\n"
        "    outlast.optimize(f, trials=9, name='lab', direction='maximize', **say)\n"
    )
    subprocess.run([sys.executable, "search.py"], cwd=place.root, env=place.env, timeout=120, check=True)


def confirming(place: Place) -> None:
    """A follow-up: the study in a search's folder that runs its best again."""
    place.write(trials=3, confirm={"top": 2, "seeds": 3})
    place.outlast("run", "study.yaml")
    place.outlast("confirm", "studies/lab")
    place.study /= "confirm"


def evaluating(place: Place) -> None:
    """A follow-up whose trials are told of a model, and of which look they are: two looks at the test set."""
    scores = ["python", "-c", "print('score=0.5')", "${model}"]
    place.write("--checkpoint", "${checkpoint_dir}/last.txt", trials=2, evaluate={"command": scores})
    place.outlast("run", "study.yaml")
    place.outlast("refit", "studies/lab")
    place.outlast("evaluate", "studies/lab")
    place.outlast("evaluate", "studies/lab", "--again")
    place.study /= "evaluate"


LIVES = {
    life.__name__.replace("_", "-"): life
    for life in (
        complete, halted, pruned, objectives, constraints, folds, killed, cut_off, retried, imported, revised, stopped, workers,
        slurm, gpu_memory, failures, function, kept, called_back, warm_start, confirming, evaluating,
    )
}  # fmt: skip


@contextmanager
def _a_place() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="outlast-archive-") as folder:
        yield Place(Path(folder))


def _keep(place: Place, entry: Path) -> None:
    shutil.rmtree(entry, ignore_errors=True)
    for pattern in KEPT:
        for path in place.study.glob(pattern):
            target = entry / "study" / path.relative_to(place.study)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(path.read_text().replace(f"{place.root}/", ""))


def main() -> None:
    """Record what is named, or everything that is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*LIVES, []], metavar="NAME")
    parser.add_argument("--anew", action="store_true")
    options = parser.parse_args()
    if socket.gethostname() != HOST:
        script, env = 'hostname "$0" && exec "$@"', {**os.environ, "PYTHONPATH": str(HERE.parent)}
        os.execvpe("unshare", ["unshare", "--uts", "sh", "-c", script, HOST, sys.executable, *sys.argv], env)
    from test_archive import facts_of

    for name in options.names or LIVES:
        entry = HERE / f"0.1.0-{name}"
        if entry.exists() and not options.anew:
            continue
        with _a_place() as place:
            print(name, flush=True)
            LIVES[name](place)
            _keep(place, entry)
        (entry / "expected.json").write_text(json.dumps(facts_of(entry / "study"), indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    main()
