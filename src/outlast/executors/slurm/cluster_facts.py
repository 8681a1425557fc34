"""What a cluster says about itself, and what options of sbatch ask of it, in numbers. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

#: For ``sacctmgr show assoc format=``, and after it what a QOS calls the same.
LIMIT_FIELDS = {
    "assoc": ("MaxSubmitJobs", "GrpSubmitJobs", "MaxWall", "QOS"),
    "qos": ("MaxSubmitJobsPerUser", "GrpSubmitJobs", "MaxWall", "Name"),
}
#: For ``sinfo --exact --format``: partition, number of nodes, CPUs, MB of memory, generic resources, state.
NODES_FORMAT = "%R|%D|%c|%m|%G|%T"
_GPUS = re.compile(r"(?:^|,)(?:gres/)?gpu(?:(?:[:=][^:=,()]+)?[:=](\d+)|:[^:,()]+)?(?=[,(]|$)")
_SIZES = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


class Partition(Struct, frozen=True):
    """One partition."""

    name: str
    default: bool  # whether jobs that name none go there
    up: bool  # whether it takes and runs jobs
    max_time_s: float | None  # longest walltime, or None without a limit
    default_time_s: float | None  # walltime of jobs that ask for none; None: the longest
    exclusive: bool  # whether every job gets whole nodes
    preempt_mode: str  # SLURM's word: REQUEUE, CANCEL, OFF…
    nodes: int  # how many nodes it has
    submit_from: str  # the nodes that may submit to it; ALL
    node_list: str = ""  # its nodes, as n[1-4]


class Nodes(Struct, frozen=True):
    """Nodes of a partition that are alike."""

    partition: str
    count: int
    cpus: int
    memory_mb: int
    gpus: int
    usable: bool  # whether they run jobs now, or could: neither down nor drained


class Limits(Struct, frozen=True):
    """The tightest limits of a user over associations and QOS; ``None``: none is known."""

    submitted: int | None = None  # jobs in the queue at once, each task of an array counted
    max_time_s: float | None = None  # walltime


def parse_config(text: str) -> dict[str, str]:
    """``scontrol show config`` by key."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def parse_partitions(text: str) -> list[Partition]:
    """``scontrol --oneliner show partition``."""
    found = []
    for line in text.splitlines():
        told = dict(re.findall(r"(\S+?)=(\S*)", line))
        if "PartitionName" in told:
            count = told.get("TotalNodes", "")
            found.append(
                Partition(
                    name=told["PartitionName"],
                    default=told.get("Default") == "YES",
                    up=told.get("State", "UP") == "UP",
                    max_time_s=parse_time_s(told.get("MaxTime", "")),
                    default_time_s=parse_time_s(told.get("DefaultTime", "")),
                    exclusive=told.get("OverSubscribe", told.get("Shared")) == "EXCLUSIVE",
                    preempt_mode=told.get("PreemptMode", ""),
                    nodes=int(count) if count.isdigit() else 0,
                    submit_from=told.get("AllocNodes", "ALL"),
                    node_list=told.get("Nodes", ""),
                )
            )
    return found


def parse_nodes(text: str) -> list[Nodes]:
    """What sinfo prints of `NODES_FORMAT`. Lines of another shape are passed over."""
    found = []
    for line in text.splitlines():
        name, *numbers, resources, state = line.split("|") if line.count("|") == 5 else ("", "", "")
        if name and all(number.isdigit() for number in numbers):
            count, cpus, memory = map(int, numbers)
            usable = not re.match(r"down|drain|fail|error|unknown|future|inval", state)
            found.append(Nodes(name, count, cpus, memory, gpus_in(resources), usable))
    return found


def gpus_in(resources: str) -> int:
    """GPUs among generic resources, of a node or asked for: ``gpu:a100:4(S:0-1),nvme:1``."""
    return sum(int(many or 1) for many in _GPUS.findall(resources))


def parse_limits(associations: str, qos: str, *, only: str | None = None) -> Limits:
    """What sacctmgr shows of `LIMIT_FIELDS`, with ``--parsable2`` (it has no ``--delimiter``).

    Args:
        only: The QOS that is asked for; all that the user may use by default.
    """
    rows = [line.split("|") for line in associations.splitlines()]
    usable = {only} if only else {name for row in rows for name in row[-1].split(",")}
    rows += [row for row in (line.split("|") for line in qos.splitlines()) if row[-1] in usable]
    rows = [row for row in rows if len(row) == len(LIMIT_FIELDS["qos"])]
    submitted = [int(value) for row in rows for value in row[:2] if value.isdigit()]
    times = [seconds for row in rows if (seconds := parse_time_s(row[2])) is not None]
    return Limits(min(submitted, default=None), min(times, default=None))


_CLOCK = re.compile(r"^(?:(?P<days>\d+)-(?P<first>\d+)|(?P<lead>\d+))(?::(?P<second>\d+))?(?::(?P<third>\d+))?$")


def parse_time_s(value: str) -> float | None:
    """Seconds of a time as sbatch(1) takes it and the commands show it; ``None`` for UNLIMITED, NONE and their like.

    ``minutes``, ``minutes:seconds``, ``hours:minutes:seconds``, ``days-hours``, ``days-hours:minutes``,
    ``days-hours:minutes:seconds``.
    """
    told = _CLOCK.match(value.strip())
    if told is None:
        return None
    second, third = (None if told[name] is None else int(told[name]) for name in ("second", "third"))
    if told["days"] is not None:
        return float(int(told["days"]) * 86400 + int(told["first"]) * 3600 + (second or 0) * 60 + (third or 0))
    lead = int(told["lead"])
    return float(lead * 60 + (second or 0)) if third is None else float(lead * 3600 + (second or 0) * 60 + third)


def asked_time_s(options: Mapping[str, str | None]) -> float | None:
    """Walltime in seconds; ``None`` where none is asked for, or no limit (``0``, ``UNLIMITED``)."""
    return parse_time_s(options.get("time") or "") or None


def asked_partitions(options: Mapping[str, str | None], partitions: Iterable[Partition]) -> list[Partition]:
    """Those that a job may land in: the ones that it names, or the default one."""
    names = options.get("partition")
    return [each for each in partitions if (each.name in names.split(",") if names else each.default)]


def walltime_s(options: Mapping[str, str | None], partitions: Iterable[Partition]) -> float | None:
    """Seconds that a job gets, as far as is known before it lands somewhere; ``None`` without a limit."""
    if options.get("time"):
        return asked_time_s(options)
    given = [each.default_time_s or each.max_time_s for each in asked_partitions(options, partitions)]
    return min((seconds for seconds in given if seconds is not None), default=None)


def asked_nodes(options: Mapping[str, str | None]) -> int:
    """Nodes of one job: at least one."""
    found = re.match(r"\d+", options.get("nodes") or "")
    return max(1, int(found[0])) if found else 1


def asked_gpus(options: Mapping[str, str | None]) -> int:
    """GPUs that a job is to have on each of its nodes."""
    told = {key: value for key, value in options.items() if value}
    if "gres" in told:
        return gpus_in(told["gres"])
    if "gpus-per-node" in told:
        return _count(told["gpus-per-node"])
    nodes, tasks = asked_nodes(options), told.get("ntasks-per-node") or told.get("ntasks") or "1"
    each = _count(told["gpus-per-task"]) if "gpus-per-task" in told else gpus_in(told.get("tres-per-task", ""))
    if each:
        many = int(tasks) if tasks.isdigit() else 1
        return each * (many if "ntasks-per-node" in told else math.ceil(many / nodes))
    return math.ceil(_count(told["gpus"]) / nodes) if "gpus" in told else 0


def fits_on(nodes: Nodes, options: Mapping[str, str | None]) -> bool:
    """Whether such nodes have what is asked of one, as far as GPUs, CPUs and memory tell."""
    cpus = options.get("cpus-per-task") or ""
    size = re.fullmatch(r"(\d+)([KMGT]?)B?", (options.get("mem") or "").upper())
    memory = int(size[1]) * _SIZES[size[2] or "M"] if size else 0
    enough = memory <= nodes.memory_mb and (int(cpus) if cpus.isdigit() else 1) <= nodes.cpus
    return enough and asked_gpus(options) <= nodes.gpus


def _count(value: str) -> int:
    """``2``, ``a100:2`` or ``a100:1,v100:1``."""
    words = [part.rpartition(":")[2] for part in value.split(",")]
    return sum(int(word) if word.isdigit() else 1 for word in words)
