"""Every file name that a study owns. Paths only: nothing here looks at a disk (`outlast.study.layout` does)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import overload

#: A trial's own folder of checkpoints, where the study file names no other place.
CHECKPOINTS = "checkpoints"
_ATTEMPT = re.compile(r"^(\d{4,})\.(\d+)$")


def attempt_name(trial: int, attempt: int) -> str:
    """``0007.2``: trial 7, attempt 2."""
    return f"{trial:04d}.{attempt}"


def parse_attempt_name(name: str) -> tuple[int, int] | None:
    """The trial and attempt that ``0007.2`` names, or ``None`` for another file."""
    match = _ATTEMPT.match(name)
    return None if match is None else (int(match[1]), int(match[2]))


def throwaway_prefix(study: str) -> str:
    """What the folder of a study for trying things out begins with; hidden, so that no command takes it for a study."""
    return f".{study}.check-"


class _Folder:
    """Whatever has files of known names; a value. (Plain classes: what five hundred tasks import at once is kept small.)"""

    __slots__ = ()
    folder: Path

    def _fields(self) -> tuple[object, ...]:
        """What makes it equal to another of its kind."""
        return (self.folder,)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, _Folder) and other._fields() == self._fields()

    def __hash__(self) -> int:
        return hash(self._fields())

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self._fields()}"


class Name:
    """A file or folder of its owner's, by its name there.

    Attributes:
        name: That nobody else writes down.
        about: What it holds.
    """

    __slots__ = ("about", "name")

    def __init__(self, name: str, about: str) -> None:
        self.name, self.about = name, about

    @overload
    def __get__(self, owner: None, _kind: type) -> Name: ...

    @overload
    def __get__(self, owner: _Folder, _kind: type) -> Path: ...

    def __get__(self, owner: _Folder | None, _kind: type) -> Name | Path:
        return self if owner is None else owner.folder / self.name


def names_of(kind: type[_Folder]) -> Iterator[Name]:
    """The names that an owner of this kind knows."""
    return (value for value in vars(kind).values() if isinstance(value, Name))


class AttemptPaths(_Folder):
    """The files of one attempt while it has no durable outcome."""

    __slots__ = ("folder",)

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def number(self) -> int | None:
        """Of the attempt; ``None`` for what earlier ones left, all together."""
        return int(self.folder.name) if self.folder.name.isdigit() else None

    started = Name("started.json", "Claimed by exactly one runner before it spawns anything.")
    alive = Name("alive", "Heartbeat, and the lock that the training inherits.")
    reports = Name("reports.jsonl", "What the script reports, a JSON object a line.")
    log = Name("output.log", "What the script prints.")
    runner_log = Name("runner.log", "What its runner says.")
    stop = Name("stop.json", "A request to stop, with its reason.")
    asked = Name(
        "asked.json", "The same for a runner on another host; there from the start: it may see new files late."
    )
    exit = Name("exit.json", "The evidence. An attempt that was claimed is over when this exists, and not before.")
    script = Name("job.sh", "The attempt's own job script, where it has one.")
    judged = Name("judged", "The step up to which the pruner has judged the attempt's reports.")
    params = Name("params.json", "The trial's parameters as JSON, for scripts that read a file.")
    sweep_params = Name("params.yaml", "The same in W&B's form (``WANDB_SWEEP_PARAM_PATH``).")
    config = Name("config.yaml", "The resolved training configuration (``${config}``).")


class TrialPaths(_Folder):
    """The files of one trial."""

    __slots__ = ("checkpoints", "folder")

    def __init__(self, folder: Path, checkpoints: Path) -> None:
        self.folder, self.checkpoints = folder, checkpoints

    def _fields(self) -> tuple[object, ...]:
        return self.folder, self.checkpoints

    @classmethod
    def of(cls, folder: Path) -> TrialPaths:
        """The trial in this folder, with its checkpoints there."""
        return cls(folder, folder / CHECKPOINTS)

    attempts = Name("attempts", "Folder of the attempts; gone once the trial is finished.")
    gone_attempts = Name(".attempts", "The same on their way out.")
    record = Name("trial.json", "The finished trial's copy of its ledger records.")
    log = Name("output.log", "The finished trial's output.")
    reports = Name("reports.jsonl", "The finished trial's reports.")
    script = Name("job.sh", "The job script of its last attempt, where trials have jobs of their own.")
    error_log = Name("error.log", "A failed trial's number, time, cause and traceback.")

    def attempt(self, number: int) -> AttemptPaths:
        """The files of one attempt."""
        return AttemptPaths(self.attempts / str(number))

    @property
    def earlier(self) -> AttemptPaths:
        """Log and reports of a trial that was finished before, while its next attempt runs."""
        return AttemptPaths(self.attempts / "earlier")


class TrackerPaths:
    """The files of one tracker that a study is sent to."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name

    @property
    def memory(self) -> Path:
        """What it was sent, and what its sink remembers."""
        return self.folder / f"{self.name}.json"

    @property
    def environment(self) -> Path:
        """Variables for trainings, so that they log into the run that the sink made for them: trial → name → value."""
        return self.folder / f"{self.name}.environment"


#: Folders in a study's that are studies of their own: follow-ups of a search.
FOLLOWUPS = ("confirm", "refit", "evaluate")


class StudyNames(_Folder):
    """A study's folder; and where its checkpoints lie, as set by `checkpoints.dir`."""

    def __init__(self, root: Path, checkpoints_root: Path | None = None) -> None:
        self.root, self.checkpoints_root = root, checkpoints_root

    def _fields(self) -> tuple[object, ...]:
        return self.root, self.checkpoints_root

    study_file = Name("study.yaml", "The resolved study file.")
    revisions = Name("revisions", "Earlier study files, numbered.")
    ledger = Name("ledger", "Folder of the ledger's segments.")
    new_ledger = Name("ledger.new", "What takes the place of a damaged ledger, while it is written.")
    lease = Name("lease", "The lease's marker.")
    index = Name("study.db", "The derived Optuna study.")
    trials = Name("trials", "Folder of the trials.")
    open = Name("open", "Attempts whose outcome is not durable yet.")
    requests = Name("requests", "From workers and people to the holder of the lease.")
    splits = Name("splits.json", "The folds, drawn once.")
    objective = Name("objective.pkl", "The objective that `outlast.optimize` was given.")
    report = Name("report.html", "The page that shows everything.")
    plots = Name("plots", "Pages drawn when a search ends.")
    wandb = Name("tracking/wandb-files", "What W&B keeps, where it is sent to and no other folder is named.")
    tensorboard = Name("tensorboard", "Event files, where TensorBoard is sent to and no other folder is named.")
    code = Name("code", "Copies of the training's repository that trials run from, by their revisions' numbers.")
    jobs = Name("jobs", "Scripts and logs of jobs that are not one trial's.")
    looked = Name("jobs/looked", "Touched by the task that looks for lost ones.")
    run_log = Name("run.log", "What a run says that no terminal hears.")
    earlier_run_log = Name("run.log.1", "The part of it before, once it was full.")
    supervisor = Name("supervisor.json", "Who restarts a detached run's coordinator; locked as long as somebody does.")
    outputs = Name(
        "output", "What trials of kept workers print: a file for each slot, and each trial's a stretch of it."
    )
    glance = Name("glance", "How a study stands that has come to rest: nobody reads its ledger to tell.")
    folded = Name("folded", "What the ledger adds up to as far as it was folded: nobody decodes a long one again.")
    behind = Name("behind", "There while what was decided in a turn is not drawn yet; in how many seconds it is to be.")
    imported = Name(
        "imported.jsonl", "The ledger as an import left it: its trials' second copy, as trial.json is of others."
    )
    drawn = Name("drawn", "What index, tables and best files were drawn from, and how they lay there then.")
    home = Name("home.json", "In a live folder: whose it is.")
    live = Name("live", "In a home folder: where the live one lies.")
    snapshots = Name("snapshots", "In a home on a drive: what a study cannot do without, several times over.")
    unfinished = Name("unfinished", "In a home on a drive: the checkpoints of trials that have no outcome.")
    trials_table = Name("trials.csv", "Every trial, a row each.")
    summary = Name("study_summary.csv", "The same, best first.")
    best_config = Name("best_config.yaml", "The best trial's configuration, to be trained again.")
    best_results = Name("best_results.json", "The best trial, and the study in numbers.")
    best_checkpoint = Name("best_checkpoint", "Link to the best trial's checkpoints.")
    told = Name("told.json", "What people were told of it already, and what could not be delivered yet.")
    telling = Name("telling", "Locked by the process that tells people.")
    tracking = Name("tracking", "What trackers were sent, and what they call the trials; each its own file.")
    sending = Name("tracking/lock", "Locked by the process that sends to trackers.")
    unsent = Name("tracking/behind.json", "What each tracker lacks, and why.")
    confirmed_config = Name("confirmed_config.yaml", "The configuration that fresh seeds confirmed as the best.")
    confirm = Name("confirm", "The study that runs the best again with fresh seeds.")
    refit = Name("refit", "The study that trains the confirmed best again.")
    evaluate = Name("evaluate", "The study that looks at the test set.")
    refit_facts = Name("refit.json", "In a refit: whose configuration, why, how long, and each training's model.")
    export = Name("export", "The model with all that belongs to it, where `outlast export` puts it by itself.")
    evaluation = Name("evaluation.json", "In an evaluation: each look at the test set, when, which model, what score.")
    confirmation = Name("confirmation.json", "In a study that confirms: what its repetitions say.")

    @property
    def folder(self) -> Path:  # type: ignore[override]
        """The study's."""
        return self.root

    def tracker(self, name: str) -> TrackerPaths:
        """The files of one tracker, by its name or its class's dotted path."""
        return TrackerPaths(self.tracking, re.sub(r"\W+", "_", name))

    def trial(self, number: int) -> TrialPaths:
        """The files of one trial."""
        name, root = f"{number:04d}", self.checkpoints_root
        found = TrialPaths.of(self.trials / name)
        return found if root is None else TrialPaths(found.folder, root / name)

    def attempt(self, trial: int, attempt: int) -> AttemptPaths:
        """The files of one attempt."""
        return self.trial(trial).attempt(attempt)

    def open_marker(self, trial: int, attempt: int) -> Path:
        """The marker of an open attempt; holds what its runner needs."""
        return self.open / attempt_name(trial, attempt)


class CampaignNames(_Folder):
    """A campaign's folder: several studies that are run by one command. Whatever is in it can be made again."""

    def __init__(self, root: Path) -> None:
        self.root = root

    campaign = Name(
        "campaign.json", "Which studies belong to it, how they share their slots, and the command that goes on with it."
    )
    supervisor = Name("supervisor.json", "Who supervises, and which coordinators; locked as long as somebody does.")
    log = Name("campaign.log", "What the supervisor says.")
    slots = Name("slots", "Locks on the slots that its studies share, and who waits for one.")
    told = StudyNames.told
    telling = StudyNames.telling

    @property
    def folder(self) -> Path:  # type: ignore[override]
        """The campaign's."""
        return self.root
