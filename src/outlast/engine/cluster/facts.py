"""What is known about a cluster, and about the jobs that a study would send there. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from msgspec import Struct, field

from outlast.config.settings import Settings
from outlast.executors.slurm.cluster_facts import Limits, Nodes, Partition, asked_partitions, walltime_s
from outlast.executors.slurm.planning import slot_limit, tasks_for
from outlast.executors.slurm.section import SlurmOptions


class Answer(Struct, frozen=True):
    """What ``sbatch --test-only`` said of a script."""

    script: str  # trials, finisher or controller
    # when such a job could start, in seconds since the epoch; None where SLURM does not say
    start: float | None = None
    refused: str = ""  # why SLURM does not take it; empty if it does
    limit: bool = False  # whether that is a limit, which passes


class ClusterFacts(Struct, frozen=True, dict=True):
    """All that the findings are made from."""

    settings: Settings
    options: SlurmOptions  # its slurm: section, completed
    config: Mapping[str, str] = {}  # scontrol show config
    partitions: Sequence[Partition] = ()  # all that we can see
    nodes: Sequence[Nodes] = ()  # of all partitions
    limits: Limits = field(default_factory=Limits)  # ours, by accounting
    answers: Sequence[Answer] = ()  # to each script
    nodes_submit: bool = True  # whether the nodes that finisher and controller run on may submit trials
    folder: str = ""  # the study's, absolute
    now: float = 0.0  # seconds since the epoch

    @cached_property
    def chosen(self) -> list[Partition]:
        """The partitions that trials may go to, as far as we can see them."""
        return asked_partitions(self.options.sbatch, self.partitions)

    @cached_property
    def small(self) -> list[Partition]:
        """Those of the finisher or the controller."""
        return asked_partitions(self.options.small, self.partitions)

    @cached_property
    def places(self) -> list[Nodes]:
        """The nodes of the chosen partitions."""
        names = {partition.name for partition in self.chosen}
        return [nodes for nodes in self.nodes if nodes.partition in names]

    @cached_property
    def most_gpus(self) -> int:
        """GPUs of the largest node."""
        return max((nodes.gpus for nodes in self.places), default=0)

    @cached_property
    def walltime_s(self) -> float | None:
        """Of a trial's job; ``None`` without a limit."""
        return walltime_s(self.options.sbatch, self.partitions)

    @cached_property
    def tasks(self) -> int | None:
        """Tasks that the whole budget needs; ``None`` where it names no number of trials."""
        trials, options = self.settings.budget.trials, self.options
        if trials is None:
            return None
        return tasks_for(trials, per_task=options.trials_per_task, at_once=options.trials_at_once, most=None)

    @cached_property
    def tasks_at_most(self) -> tuple[int, str] | None:
        """How many tasks one array may have here, and by whose word; ``None`` without a limit."""
        slots, submitted = slot_limit(self.config), self.limits.submitted
        found = [] if slots is None else [(slots, f"MaxArraySize {slots}")]
        if submitted is not None:  # the finisher takes one place
            found.append((max(1, submitted - 1), f"{submitted} jobs of yours in the queue"))
        return min(found, default=None)

    @cached_property
    def arrays(self) -> int:
        """Arrays that the budget needs, one after another."""
        if self.tasks is None or self.tasks_at_most is None:
            return 1
        return max(1, -(-self.tasks // self.tasks_at_most[0]))

    def preemption(self, partitions: Sequence[Partition]) -> str:
        """What becomes of a job that is preempted there, in SLURM's word; ``OFF`` where none is.

        By partition priority, the partition says; otherwise the cluster (slurm.conf(5), PreemptMode)."""
        if self.config.get("PreemptType", "preempt/none") == "preempt/none":
            return "OFF"
        if self.config.get("PreemptType") != "preempt/partition_prio":
            return self.config.get("PreemptMode", "OFF").upper()
        modes = {each.preempt_mode.upper() for each in partitions}
        return next((mode for mode in ("CANCEL", "REQUEUE") if mode in modes), "".join(sorted(modes)[:1]) or "OFF")
