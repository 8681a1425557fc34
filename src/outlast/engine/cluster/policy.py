"""What the cluster does with a study's jobs, and which mode fits it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from outlast._system.job_environment import KILL_WAIT, grace_within
from outlast.config.units import format_duration
from outlast.core.finding import Finding
from outlast.engine.cluster.facts import ClusterFacts
from outlast.executors.slurm.planning import cron_line

_SHORT_S = 600.0  # trials that are over sooner are hardly worth a job each
_OFTEN_S = 1800.0  # trials that are over sooner are pruned between two looks of an array's tasks
_MANY_ARRAYS = 3


def policy_findings(facts: ClusterFacts) -> Iterator[Finding]:
    """Tasks, preemption, submitting from nodes, the grace period, accounting, and the mode."""
    if facts.options.mode == "array":
        yield from _tasks(facts)
    yield from _preemption(facts)
    yield from _submitting(facts)
    yield from _grace(facts)
    yield from _records(facts)
    if facts.chosen:
        yield _mode(facts)


def fitting_mode(facts: ClusterFacts) -> tuple[str, str]:
    """Which mode fits, and why.

    An array needs no job of ours that lives long: its tasks coordinate themselves, and it works, once, even where nodes may
    not submit. So it fits unless something speaks for a controller, which refills a place as soon as it is free and sees every
    report:

    - the budget names no number of trials, so that nobody can say how many tasks there are to be;
    - MaxArraySize or a limit on submitted jobs cuts the budget into many arrays, each of which waits for its slowest task;
    - pruning, and trials so short that looking every 30 seconds, as tasks do, comes late.

    A controller that may not submit, or that is cancelled for good when it is preempted, fits nobody.
    """
    if not facts.nodes_submit:
        return "array", "nodes may not submit, and its tasks need not"
    if facts.preemption(facts.small) == "CANCEL":
        return "array", "a controller that is preempted would be cancelled for good"
    timeout = facts.settings.trial.timeout
    if facts.tasks is None:
        return "controller", "no number of trials is asked for, and it refills places until the budget is used up"
    if facts.arrays >= _MANY_ARRAYS:
        return "controller", f"it refills places at once; {facts.arrays} arrays would each wait for their slowest task"
    if facts.settings.pruner.name != "none" and timeout is not None and timeout <= _OFTEN_S:
        return "controller", "it prunes at once; the tasks of an array look every 30 s, late for trials this short"
    return "array", "its tasks coordinate themselves, no job of ours has to live long"


def _mode(facts: ClusterFacts) -> Finding:
    fits, why = fitting_mode(facts)
    if fits == facts.options.mode:
        return Finding("mode", "ok", f"{fits} fits: {why}")
    return Finding("mode", "note", f"{facts.options.mode}, but {fits} fits better: {why}", f"slurm: {{mode: {fits}}}")


def _tasks(facts: ClusterFacts) -> Iterator[Finding]:
    trials, timeout = facts.settings.budget.trials, facts.settings.trial.timeout
    tasks, most = facts.tasks, facts.tasks_at_most
    if tasks is None:
        text = "no number of trials is asked for: the finisher submits arrays until the budget is used up"
        yield Finding("tasks", "ok", text)
    elif facts.arrays > 1 and most is not None:
        text = f"{trials} trials are {tasks} tasks, and an array may have {most[0]} ({most[1]}): "
        text += f"{facts.arrays} arrays one after another, each submitted by the finisher before"
        yield Finding("tasks", "ok", text)
    else:
        yield Finding("tasks", "ok", f"{trials} trials, one array of {tasks} {'task' if tasks == 1 else 'tasks'}")
    if timeout is not None and timeout < _SHORT_S and facts.options.trials_per_task == 1:
        text = f"a job each for trials of at most {format_duration(timeout)}: starting jobs takes its share"
        yield Finding("tasks", "note", text, f"slurm: {{trials_per_task: {int(_SHORT_S // timeout) + 1}}}")


def _preemption(facts: ClusterFacts) -> Iterator[Finding]:
    mode, array = facts.preemption(facts.chosen), facts.options.mode == "array"
    if mode == "CANCEL":
        who = "the finisher submits tasks that go on" if array else "the controller goes on"
        text = "preempted jobs are cancelled, not requeued (PreemptMode=CANCEL)"
        yield Finding("preemption", "note", f"{text}: {who} with their trials")
    elif mode == "REQUEUE":
        what = "are requeued, and go on" if array else "end, and the controller goes on"
        yield Finding("preemption", "ok", f"preempted jobs {what} with their trials")
    elif mode.startswith(("SUSPEND", "GANG")):
        yield Finding("preemption", "ok", f"preempted jobs stand still and wake up again (PreemptMode={mode})")
    if not array and facts.preemption(facts.small) == "CANCEL":
        text = "if the controller is preempted it is cancelled, and its trials' jobs run on without it"
        yield Finding("preemption", "note", text, "the same outlast submit starts another, which adopts them")
    if facts.config.get("JobRequeue") == "0":
        yield Finding("requeue", "ok", "off by default here (JobRequeue=0); our jobs ask for it")


def _submitting(facts: ClusterFacts) -> Iterator[Finding]:
    if facts.nodes_submit:
        return
    places = sorted({each.submit_from for each in facts.chosen})
    who = "the finisher cannot submit what is missing" if facts.options.mode == "array" else "a controller cannot work"
    text = f"jobs come from {', '.join(places)} only (AllocNodes), not from nodes: {who}"
    yield Finding("submitting", "note", text, f"in a crontab there: {cron_line(facts.folder)}")


def _grace(facts: ClusterFacts) -> Iterator[Finding]:
    words, grace = facts.config.get("KillWait", "").split(), facts.settings.trial.grace
    if not words or not words[0].isdigit():
        return
    left = grace_within(grace, {KILL_WAIT: words[0]})
    if left < grace:
        text = f"SLURM kills {words[0]} s after its signal (KillWait): a trial that it ends has {format_duration(left)} of "
        text += f"trial.grace {format_duration(grace)} for a checkpoint"
        yield Finding("grace", "note", text, "save checkpoints as the training goes, not only at a signal")


def _records(facts: ClusterFacts) -> Iterator[Finding]:
    if not facts.config:
        return
    if facts.config.get("AccountingStorageType") != "accounting_storage/slurmdbd":
        yield Finding("accounting", "ok", "none on this cluster; squeue and scontrol are enough")
    elif facts.limits.submitted is not None or facts.limits.max_time_s is not None:
        limits = [f"{facts.limits.submitted} jobs of yours in the queue"] if facts.limits.submitted is not None else []
        limits += [f"jobs of {format_duration(facts.limits.max_time_s)}"] if facts.limits.max_time_s is not None else []
        yield Finding("limits", "ok", f"by account and QOS at most {' and '.join(limits)}")
