"""Studies that share a number of tasks in SLURM's queue: when one has come to rest, the others get its part.

An array's limit is changed while it waits and runs: ``scontrol update JobId=… ArrayTaskThrottle=…`` (scontrol(1)).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from outlast.core.parts_of_pool import parts_of
from outlast.engine.record.examine import read_study
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.engine.record.study_queue import StudyQueue
from outlast.errors import OutlastError
from outlast.executors.slurm.commands import Slurm
from outlast.executors.slurm.parse import JobLife
from outlast.executors.slurm.planning import ours
from outlast.study.campaign import Campaign, CampaignPaths, Member, campaigns_of
from outlast.study.home import live_of
from outlast.study.layout import StudyPaths

_MOST = 3  # times in a row


class _Going(NamedTuple):
    """A study of a campaign that has not come to rest."""

    member: Member
    folder: str


def share_anew(study: str, say: Callable[[str], object], slurm: Slurm | None = None) -> None:
    """Where a study belongs to a campaign of which some studies are at rest, give their tasks to the others.

    Whatever keeps that from being done is said, and costs nothing but time: the arrays go on as they are.

    Args:
        study: Its folder, or its home.
    """
    for folder, record in campaigns_of(study):
        share_in(folder, record, say, slurm)


def share_in(folder: str, record: Campaign, say: Callable[[str], object], slurm: Slurm | None = None) -> None:
    """The same of one campaign. See `share_anew`."""
    if record.parallel is None:  # nobody shares anything
        return
    slurm, shared = slurm or Slurm(), None
    try:
        for _ in range(
            _MOST
        ):  # another finisher may set what was right before, or after, one more study came to its rest
            at_rest, going = _studies_of(folder, record)
            if (
                not going or not at_rest or going == shared
            ):  # all of them have the parts that they were submitted with, or these
                return
            _share(going, record.parallel, say, slurm)
            shared = going
    except OutlastError as error:  # this node has no commands of SLURM's, say, or slurmctld gives no answer
        say(f"{record.name}: its other studies keep the parts they have: {error.fact}")


def _share(going: Sequence[_Going], pool: int, say: Callable[[str], object], slurm: Slurm) -> None:
    parts = parts_of(pool, [each.member.weight for each in going], [each.member.parallel for each in going])
    jobs = slurm.jobs()
    for each, part in zip(going, parts, strict=True):
        settings, _ = recorded_settings(each.folder)
        queue = StudyQueue(study_paths(each.folder, settings), settings, slurm)
        tasks = max(1, part // queue.options.trials_at_once)
        waiting = [job for job in ours(jobs, queue.mark, "array") if job.life is JobLife.WAITING]
        for array in sorted({job.array for job in waiting}):
            many = "1 task" if tasks == 1 else f"{tasks} tasks"
            if slurm.throttle(array, tasks):
                if part != settings.parallel:  # else it is what it was submitted with
                    say(f"{each.member.study}: {many} of array {array} side by side from now on")
            else:
                say(f"{each.member.study}: SLURM refuses {many} of array {array} side by side: it keeps its limit")


def _studies_of(folder: str, record: Campaign) -> tuple[int, list[_Going]]:
    """How many of its studies need none of its slots, and those which have not come to rest."""
    at_rest, going, paths = 0, [], CampaignPaths.at(folder)
    for member in record.members:
        place = live_of(paths.member(member))
        if not (at := StudyPaths.at(place)).exists:  # it could not be begun
            at_rest += 1
            continue
        try:
            study = read_study(at)
        except OutlastError:  # nobody can say how it stands
            continue
        if study.ended is None:
            going.append(_Going(member, place))
        else:
            at_rest += 1
    return at_rest, going
