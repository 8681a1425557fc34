"""Every file name that a study owns."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["AttemptPaths", "StudyPaths", "TrialPaths", "attempt_name", "parse_attempt_name", "throwaway_prefix"]

_OURS = frozenset(
    {
        "study", "ledger", "lease", "trials", "open", "requests", "revisions", "run", "objective", "splits", "plots", "report",
        "code", "live", "home", "jobs", "study_summary", "best_config", "best_results", "best_checkpoint",
    }
)  # fmt: skip
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


@dataclass(frozen=True)
class AttemptPaths:
    """The files of one attempt while it has no durable outcome."""

    folder: Path

    @property
    def started(self) -> Path:
        """Claimed by exactly one runner before it spawns anything."""
        return self.folder / "started.json"

    @property
    def alive(self) -> Path:
        """Heartbeat, and the lock that the training inherits."""
        return self.folder / "alive"

    @property
    def reports(self) -> Path:
        """What the script reports, a JSON object a line."""
        return self.folder / "reports.jsonl"

    @property
    def log(self) -> Path:
        """What the script prints."""
        return self.folder / "output.log"

    @property
    def stop(self) -> Path:
        """A request to stop, with its reason."""
        return self.folder / "stop.json"

    @property
    def asked(self) -> Path:
        """The same for a runner on another host: there from the start, as it may see new files late."""
        return self.folder / "asked.json"

    @property
    def exit(self) -> Path:
        """The evidence. An attempt is over if and only if this exists."""
        return self.folder / "exit.json"

    @property
    def script(self) -> Path:
        """The attempt's own job script, where it has one."""
        return self.folder / "job.sh"

    @property
    def judged(self) -> Path:
        """The step up to which the pruner has judged the attempt's reports."""
        return self.folder / "judged"

    @property
    def params(self) -> Path:
        """The trial's parameters as JSON, for scripts that read a file."""
        return self.folder / "params.json"

    @property
    def config(self) -> Path:
        """The resolved training configuration (``${config}``)."""
        return self.folder / "config.yaml"


@dataclass(frozen=True)
class TrialPaths:
    """The files of one trial."""

    folder: Path
    checkpoints: Path

    def attempt(self, number: int) -> AttemptPaths:
        """The files of one attempt."""
        return AttemptPaths(self.folder / "attempts" / str(number))

    @property
    def attempts(self) -> Path:
        """Folder of the attempts; gone once the trial is finished."""
        return self.folder / "attempts"

    @property
    def earlier(self) -> AttemptPaths:
        """Log and reports of a trial that was finished before, while its next attempt runs."""
        return AttemptPaths(self.attempts / "earlier")

    @property
    def record(self) -> Path:
        """The finished trial's copy of its ledger records."""
        return self.folder / "trial.json"

    @property
    def log(self) -> Path:
        """The finished trial's output."""
        return self.folder / "output.log"

    @property
    def reports(self) -> Path:
        """The finished trial's reports."""
        return self.folder / "reports.jsonl"

    @property
    def script(self) -> Path:
        """The job script of its last attempt, where trials have jobs of their own."""
        return self.folder / "job.sh"

    @property
    def error_log(self) -> Path:
        """A failed trial's number, time, cause and traceback."""
        return self.folder / "error.log"


@dataclass(frozen=True)
class StudyPaths:
    """A study's folder."""

    root: Path
    checkpoints_root: Path | None = None  # set by `checkpoints.dir`

    @classmethod
    def at(cls, folder: str | os.PathLike[str], checkpoints_root: str | None = None) -> StudyPaths:
        """The study in this folder, made absolute so that a change of the working directory does no harm."""
        root = Path(os.path.abspath(folder))
        return cls(root, Path(checkpoints_root) if checkpoints_root else None)

    @property
    def exists(self) -> bool:
        """Whether a study was begun here: it has a ledger, or remains from which one can be rebuilt."""
        return any(self.ledger.glob("*.jsonl")) or (self.study_file.exists() and self.trials.is_dir())

    @property
    def has_orphans(self) -> bool:
        """Whether there are finished trials, and no home that a study which was purged comes back from."""
        return any(self.trials.glob("[0-9]*/trial.json")) and not (self.root / "home.json").exists()

    @staticmethod
    def owns(name: str) -> bool:
        """Whether an entry of a study folder may be the study's own (hidden files are nobody's)."""
        return name.startswith(".") or name.split(".", 1)[0] in _OURS

    @property
    def study_file(self) -> Path:
        """The resolved study file."""
        return self.root / "study.yaml"

    @property
    def revisions(self) -> Path:
        """Earlier study files, numbered."""
        return self.root / "revisions"

    @property
    def ledger(self) -> Path:
        """Folder of the ledger's segments."""
        return self.root / "ledger"

    @property
    def lease(self) -> Path:
        """The lease's marker."""
        return self.root / "lease"

    @property
    def index(self) -> Path:
        """The derived Optuna study."""
        return self.root / "study.db"

    @property
    def trials(self) -> Path:
        """Folder of the trials."""
        return self.root / "trials"

    @property
    def open(self) -> Path:
        """Attempts whose outcome is not durable yet."""
        return self.root / "open"

    @property
    def requests(self) -> Path:
        """From workers and people to the holder of the lease."""
        return self.root / "requests"

    @property
    def splits(self) -> Path:
        """The folds, drawn once."""
        return self.root / "splits.json"

    @property
    def plots(self) -> Path:
        """Pages drawn when a search ends."""
        return self.root / "plots"

    @property
    def code(self) -> Path:
        """Copies of the training's repository that trials run from, by the number of the revision that each began with."""
        return self.root / "code"

    @property
    def jobs(self) -> Path:
        """Scripts and logs of SLURM jobs that are not one trial's."""
        return self.root / "jobs"

    @property
    def run_log(self) -> Path:
        """What a detached run says."""
        return self.root / "run.log"

    def trial(self, number: int) -> TrialPaths:
        """The files of one trial."""
        folder = self.trials / f"{number:04d}"
        root = self.checkpoints_root
        return TrialPaths(folder, folder / "checkpoints" if root is None else root / f"{number:04d}")

    def attempt(self, trial: int, attempt: int) -> AttemptPaths:
        """The files of one attempt."""
        return self.trial(trial).attempt(attempt)

    def open_marker(self, trial: int, attempt: int) -> Path:
        """The marker of an open attempt; holds what its runner needs."""
        return self.open / attempt_name(trial, attempt)

    def open_attempts(self) -> list[tuple[int, int]]:
        """Every marker that is there."""
        try:
            names = os.listdir(self.open)
        except FileNotFoundError:
            return []
        return sorted(parsed for name in names if (parsed := parse_attempt_name(name)) is not None)
