"""Every error a user can meet, in one tree.

    OutlastError                      exit 1  a fault of ours, or of the machine under us
    ├── UsageError                    exit 2  wrong command line
    │   ├── StudyFileError            exit 2  wrong study file: file, line, key, cure
    │   ├── StudyNotFound             exit 2  no study where one was named
    │   ├── JobRefused                exit 2  a scheduler said no: a mistake, or a limit that passes
    │   │   └── SlurmRefused          exit 2  it was SLURM
    │   ├── SlurmMissing              exit 2  a command of SLURM's is not installed here
    │   └── MissingExtra              exit 2  an optional package is needed: its install command
    ├── StudyBusy                     exit 4  somebody else holds the study's lease
    ├── LeaseLost                     exit 4  a newer holder took over; what we wrote since is void
    │   └── SegmentLost               exit 1  what we write to was deleted or cut: `outlast repair`
    ├── SchedulerUnavailable          exit 1  a scheduler gave no answer: nothing is known
    │   └── SlurmUnavailable          exit 1  it was SLURM
    ├── StorageError                  exit 1  the disk refused: read-only, gone
    │   └── DiskFull                  exit 4  no room or no inodes left: the study pauses
    ├── LedgerDamaged                 exit 1  the ledger cannot be read as it stands: `outlast repair`
    └── LedgerTooNew                  exit 1  a later version has decided in it what this one does not understand

Each class says its exit code and whether trying again can help; each instance says fact, place and cure.
"""

from __future__ import annotations

import errno

__all__ = [
    "NO_ROOM",
    "DiskFull",
    "JobRefused",
    "LeaseLost",
    "LedgerDamaged",
    "LedgerTooNew",
    "MissingExtra",
    "OutlastError",
    "SchedulerUnavailable",
    "SegmentLost",
    "SlurmMissing",
    "SlurmRefused",
    "SlurmUnavailable",
    "StorageError",
    "StudyBusy",
    "StudyFileError",
    "StudyNotFound",
    "UsageError",
]


class OutlastError(Exception):
    """Root of the tree.

    Args:
        fact: What is so, in one sentence.
        cure: What the person can do about it, or ``None`` where there is nothing to add.
    """

    exit_code = 1
    worth_retrying = False

    def __init__(self, fact: str, *, cure: str | None = None) -> None:
        super().__init__(fact)
        self.fact = fact
        self.cure = cure

    def __str__(self) -> str:
        return self.fact if self.cure is None else f"{self.fact}\n  {self.cure}"

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback (`InteractiveShell.showtraceback`): no frame of ours would say more."""
        return [f"{type(self).__name__}: {self}"]


class UsageError(OutlastError):
    """The command line asks for something that does not exist or does not fit."""

    exit_code = 2


class StudyFileError(UsageError):
    """The study file is wrong.

    Args:
        fact: What is wrong, with what is allowed.
        file: The path as the user gave it, or a word such as ``command line``.
        line: 1-based line, where known.
        key: Dotted key, where known.
        cure: The nearest spelling or what would be right.
    """

    def __init__(
        self,
        fact: str,
        *,
        file: str | None = None,
        line: int | None = None,
        key: str | None = None,
        cure: str | None = None,
    ) -> None:
        super().__init__(fact, cure=cure)
        self.file, self.line, self.key = file, line, key

    def __str__(self) -> str:
        place = self.file or "study file"
        if self.line is not None:
            place += f":{self.line}"
        text = f"{place}: {self.key}: {self.fact}" if self.key else f"{place}: {self.fact}"
        return text if self.cure is None else f"{text}\n  {self.cure}"


class StudyNotFound(UsageError):
    """No study lies at the place that was named."""


class MissingExtra(UsageError):
    """A feature needs an optional package; the cure is its install command."""


class JobRefused(UsageError):
    """A scheduler refused a job, in its own words.

    Args:
        fact: What it said.
        limit: Whether it was a limit, which passes, or a mistake in the request.

    Attributes:
        by: Who refused.
    """

    by = "the scheduler"
    _section = "executor"

    def __init__(self, fact: str, *, limit: bool = False) -> None:
        cure = "wait for the limit to clear" if limit else f"mend the study file's {self._section}: section"
        super().__init__(fact, cure=cure)
        self.limit = limit
        self.worth_retrying = limit


class SlurmRefused(JobRefused):
    """SLURM refused a submission: what sbatch said."""

    by, _section = "SLURM", "slurm"


class SlurmMissing(UsageError):
    """A command of SLURM's is not installed on this machine: some sites keep them from their nodes."""


class SchedulerUnavailable(OutlastError):
    """A scheduler did not answer, or took too long: nothing is known. The next call may succeed."""

    worth_retrying = True


class SlurmUnavailable(SchedulerUnavailable):
    """A SLURM command failed or took too long."""


class StudyBusy(OutlastError):
    """Somebody else runs this study just now."""

    exit_code = 4
    worth_retrying = True


class LeaseLost(OutlastError):
    """A newer coordinator took the study over while this one was away; it steps down."""

    exit_code = 4
    worth_retrying = True


class SegmentLost(LeaseLost):
    """Somebody deleted or cut the file that this coordinator writes its decisions to; it steps down."""

    exit_code = 1
    worth_retrying = False


class StorageError(OutlastError):
    """The disk refused a write: full, out of inodes, read-only, or gone."""

    worth_retrying = True

    @classmethod
    def of(cls, error: OSError, what: str | None = None) -> StorageError:
        """What the operating system said, as an error for a person: `DiskFull` where there is no room.

        Args:
            error: As it was raised.
            what: Whatever was to be done, such as ``the ledger cannot be written``; the file by default.
        """
        said = error.strerror or str(error)
        if error.errno == errno.ESTALE:
            said += ": the network filesystem no longer knows it, and trying again did not help"
        fact = f"{what or error.filename or 'a file'}: {said}"
        if error.errno in NO_ROOM:
            return DiskFull(fact, cure=DiskFull.CURE)
        return cls(fact, cure="mend that, then run the same command again: nothing that was decided is lost")


class DiskFull(StorageError):
    """No space, no inodes or no quota left. The study pauses; no trial is to blame."""

    exit_code = 4
    CURE = "free space or quota, then run the same command again: nothing that was decided is lost"


#: No space or inodes, and no quota.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class LedgerDamaged(OutlastError):
    """The ledger cannot be read as it stands."""


class LedgerTooNew(OutlastError):
    """A record is of a kind that only a later version knows: to go on without it would be to go on with another study.

    Args:
        place: Where it stands.
        kind: What it calls itself.
    """

    def __init__(self, place: str, kind: str) -> None:
        fact = f"{place}: a record of kind {kind!r} is of a newer Outlast than this one; nothing was changed"
        super().__init__(fact, cure="pip install --upgrade outlast   then the same command again")
