"""Whether the cluster can give what a study asks it for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from outlast.config.units import format_duration as _span
from outlast.core.finding import Finding
from outlast.engine.cluster.facts import Answer, ClusterFacts
from outlast.executors.slurm.cluster_facts import Partition, asked_gpus, asked_nodes, asked_time_s, fits_on

_SECTION = "options are in the slurm: section of the study file, or of ~/.config/outlast.yaml"
_BEFORE_WALLTIME = 10.0  # seconds that a runner keeps beyond the grace period, see `outlast.runner.stopping`
_SOON_S = 90.0


def request_findings(facts: ClusterFacts) -> Iterator[Finding]:
    """Partition, walltime, GPUs, whole nodes, and what sbatch says."""
    yield from _partitions(facts)
    yield from _time(facts)
    role = "controller" if facts.options.mode == "controller" else "finisher"
    yield from _time_allowed(facts, facts.options.small, facts.small, "controller", f"the {role}'s jobs")
    yield from _gpus(facts)
    yield from _whole_nodes(facts)
    said: set[str] = set()
    for answer in facts.answers:
        if answer.refused not in said:
            yield from _answer(facts, answer)
        said |= {answer.refused} - {""}


def _partitions(facts: ClusterFacts) -> Iterator[Finding]:
    for partition in facts.chosen:
        if not partition.up:
            text = f"{partition.name} is not up: it starts no jobs for now, and may take none"
            yield Finding("partition", "note", text, f"scontrol show partition {partition.name}")
            continue
        longest = "" if partition.max_time_s is None else f", jobs up to {_span(partition.max_time_s)}"
        yield Finding("partition", "ok", f"{partition.name}: {_nodes_of(facts, partition)}{longest}")
    asked = (facts.options.sbatch.get("partition") or "").split(",")
    seen = {partition.name for partition in facts.partitions}
    for name in filter(None, asked):
        if name not in seen and not any(answer.refused for answer in facts.answers):
            yield Finding("partition", "note", f"SLURM does not show {name}: its limits are not known")


def _nodes_of(facts: ClusterFacts, partition: Partition) -> str:
    """``4 nodes (1 down or drained), most with 2 GPUs and 64 CPUs each``."""
    kinds: Counter[tuple[int, int]] = Counter()
    asleep = 0
    for nodes in facts.places:
        if nodes.partition == partition.name:
            kinds[nodes.gpus, nodes.cpus] += nodes.count
            asleep += 0 if nodes.usable else nodes.count
    said = _some(partition.nodes, "node") + (f" ({asleep} down or drained)" if asleep else "")
    if not kinds:
        return said
    (gpus, cpus), count = kinds.most_common(1)[0]
    most = "most with " if count < kinds.total() else "with "
    return f"{said}, {most}{_some(gpus, 'GPU') + ' and ' if gpus else ''}{_some(cpus, 'CPU')} each"


def _time(facts: ClusterFacts) -> Iterator[Finding]:
    options, walltime = facts.options.sbatch, facts.walltime_s
    trial = facts.settings.trial
    yield from _time_allowed(facts, options, facts.chosen, "time", "jobs")
    if walltime is None:
        return
    most = facts.limits.max_time_s
    if most is not None and walltime > most:
        text = f"{_span(walltime)} for a job, and an account or QOS of yours allows {_span(most)}: such jobs may never start"
        yield Finding("time", "note", text, f"time: {_minutes(most)}")
    if asked_time_s(options) is None and any(each.default_time_s is not None for each in facts.chosen):
        longest = min((each.max_time_s for each in facts.chosen if each.max_time_s is not None), default=None)
        text = f"none is asked for: jobs get the partition's DefaultTime, {_span(walltime)}"
        more = "more with slurm.time" + ("" if longest is None else f", up to {_span(longest)}")
        yield Finding("time", "note", text, more)
    if trial.timeout is not None and trial.timeout > walltime:
        text = f"trial.timeout is {_span(trial.timeout)}, and a job has {_span(walltime)}: longer trials go on in another job"
        yield Finding("time", "note", text, "they need checkpoints: outlast check --rehearse")
    if trial.grace + _BEFORE_WALLTIME > walltime / 5:
        text = f"a job has {_span(walltime)}, little for trial.grace {_span(trial.grace)}: trials are asked to stop "
        text += f"{_span(walltime // 5)} before its end"
        yield Finding("time", "note", text, "a longer slurm.time, or a shorter trial.grace")


def _time_allowed(
    facts: ClusterFacts, options: Mapping[str, str | None], partitions: Sequence[Partition], about: str, who: str
) -> Iterator[Finding]:
    """SLURM takes a job that asks for more than the partition allows, and lets it wait for ever (EnforcePartLimits=NO)."""
    asked = asked_time_s(options)
    if asked is None:
        return
    short = [each for each in partitions if each.max_time_s is not None and asked > each.max_time_s]
    if not short:
        return
    most = max(each.max_time_s or 0.0 for each in short)
    names = ", ".join(each.name for each in short)
    if len(short) < len(partitions):
        yield Finding(about, "note", f"{_span(asked)} is more than {names} allows: {who} never start there")
        return
    up = (each for each in facts.partitions if each.up)
    longer = [each.name for each in up if each.max_time_s is None or each.max_time_s >= asked]
    text = f"{_span(asked)} is asked for and {names} allows {_span(most)}: {who} would wait for ever"
    text += " (PartitionTimeLimit)"
    cure = f"time: {_minutes(most)}" + (f", or partition: {' or '.join(longer[:3])}" if longer else "")
    # a QOS may have the flag PartitionTimeLimit, which lifts the limit
    yield Finding(about, "note" if options.get("qos") else "error", text, cure)


def _gpus(facts: ClusterFacts) -> Iterator[Finding]:
    options, most = facts.options.sbatch, facts.most_gpus
    asked = asked_gpus(options)
    names = ", ".join(each.name for each in facts.chosen)
    if not facts.places:
        return
    if asked > most and asked_nodes(options) == 1 and not facts.options.srun:
        text = f"{_some(asked, 'GPU')} for a job, and no node of {names} has more than {most}"
        if "gpus" in options and most:
            text += ": SLURM would spread them over nodes, and a trial sees those of the first"
        yield Finding("GPUs", "error", text, "resources.gpus, or slurm.nodes for trials on several nodes")
    elif not asked and min(nodes.gpus for nodes in facts.places) and not _exclusive(facts):
        text = f"none is asked for, and the nodes of {names} have {most}: a trial sees none of them"
        yield Finding("GPUs", "note", text, "resources: {gpus: 1}, if the training uses one")


def _whole_nodes(facts: ClusterFacts) -> Iterator[Finding]:
    """Where every job gets whole nodes, one small trial a job leaves most of a node idle."""
    if not _exclusive(facts) or not facts.places or asked_nodes(facts.options.sbatch) > 1:
        return
    node, at_once = max(facts.places, key=lambda nodes: nodes.count), facts.options.trials_at_once
    gpus, cpus = facts.settings.resources.gpus, facts.settings.resources.cpus
    if not facts.settings.resources.gpus:
        gpus = asked_gpus(facts.options.sbatch) / at_once
    rooms = [int(node.gpus / gpus)] if gpus else []
    rooms += [node.cpus // cpus] if cpus else []
    fill = min(rooms, default=0)
    if fill > at_once:
        has = _some(node.gpus, "GPU") if gpus else _some(node.cpus, "CPU")
        text = f"every job gets whole nodes, with {has} each: {_some(at_once, 'trial')} a job leaves the rest idle"
        yield Finding("nodes", "note", text, f"slurm: {{trials_at_once: {fill}}} fills a node")
    elif fill:
        yield Finding("nodes", "ok", f"every job gets whole nodes, and {_some(at_once, 'trial')} at once fill one")
    elif not rooms:
        text = f"every job gets whole nodes, with {_some(node.cpus, 'CPU')} each, and nothing says what a trial needs"
        yield Finding("nodes", "note", text, "resources: {cpus: …}; slurm: {trials_at_once: …} fills a node")


def _exclusive(facts: ClusterFacts) -> bool:
    options = facts.options.sbatch
    return any(each.exclusive for each in facts.chosen) or ("exclusive" in options and options["exclusive"] is None)


def _answer(facts: ClusterFacts, answer: Answer) -> Iterator[Finding]:
    if not answer.refused:
        if answer.script == "trials":
            yield Finding("slurm", "ok", f"sbatch would take the script{_start(facts, answer)}")
        return
    about, said = _about(facts, answer), f"sbatch refuses the {answer.script}: {answer.refused}"
    asleep = sum(nodes.count for nodes in facts.places if not nodes.usable and fits_on(nodes, facts.options.sbatch))
    if answer.limit:
        yield Finding(about, "note", said, "this passes: `outlast submit` submits what SLURM takes, and goes on later")
    elif "is not available" in answer.refused and asleep:
        are = "is" if asleep == 1 else "are"
        text = f"{_some(asleep, 'node')} that trials would fit on {are} down or drained: they would wait"
        yield Finding(about, "note", text, f"in SLURM's words: {answer.refused}")
    elif "permission denied" in answer.refused:
        places = sorted({each.submit_from for each in facts.chosen if each.submit_from != "ALL"})
        cure = f"submit from {', '.join(places)}" if places else "this machine may not submit there"
        yield Finding(about, "error", said, cure)
    elif "partition" in answer.refused.lower() and facts.partitions:
        yield Finding(about, "error", said, "partitions: " + ", ".join(each.name for each in facts.partitions))
    else:
        yield Finding(about, "error", said, _SECTION)


def _about(facts: ClusterFacts, answer: Answer) -> str:
    """The option that SLURM's words speak of, so that the line in the study file is shown; else the whole section."""
    if answer.script != "trials":
        return "controller"
    words = answer.refused.lower()
    named = [key for key in facts.options.sbatch if key in words]
    return min(named, key=words.index).replace("-", "_") if named else "slurm"


def _start(facts: ClusterFacts, answer: Answer) -> str:
    if answer.start is None:
        return ""
    wait = answer.start - facts.now
    return "; a job could start now" if wait < _SOON_S else f"; a job could start in about {_span(wait // 60 * 60)}"


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _minutes(seconds: float) -> str:
    """As sbatch's --time takes it."""
    minutes = int(seconds // 60)
    return f"{minutes // 60}:{minutes % 60:02}:00"
