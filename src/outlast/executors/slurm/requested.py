"""What options of sbatch ask for, in numbers. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

from outlast.executors.slurm.cluster_facts import Nodes, Partition, gpus_in, parse_time_s

_SIZES = {"K": 1 / 1024, "M": 1, "G": 1024, "T": 1024**2}


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
