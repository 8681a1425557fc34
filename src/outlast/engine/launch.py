"""How a search is begun, or gone on with: settings → check → fresh → live folder → run → report and plots → home.

The command line, `submit` and `outlast.optimize` all come this way; they differ in how they speak, not in what they do.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import signal
import tempfile
from collections.abc import Callable, Sequence

from outlast._system.mounts import lacking
from outlast._system.platforms import is_on_drive
from outlast.config.settings import Settings
from outlast.core.finding import Finding
from outlast.core.fold import Study
from outlast.core.plan import Limits, Verdict
from outlast.engine.care.fresh import set_both_aside
from outlast.engine.check.machine import scratch_of
from outlast.engine.check.quick import deadline_check, quick_check
from outlast.engine.coordinator.listener import Listener
from outlast.engine.derived.final_plots import draw_at_the_end
from outlast.engine.derived.home_sync import bring_home
from outlast.engine.hold.opening import Given
from outlast.engine.hold.run import run_study
from outlast.engine.record.at_a_glance import keep_what_it_looks_like
from outlast.engine.record.kept_where import named
from outlast.engine.record.recorded import study_paths
from outlast.engine.sending.sender_behind import send_now, still_lacking
from outlast.errors import OutlastError, StorageError, StudyBusy, StudyNotFound, UsageError
from outlast.executors.shared_slots import Sharing
from outlast.study.home import home_of, live_of, ran_from, tie
from outlast.study.layout import StudyPaths
from outlast.study.lease import holder_is_live
from outlast.study.opened import Opened

_LAST_CHANCE = 60.0  # seconds for trackers to take what nobody keeps


def make_ready(
    settings: Settings,
    folder: str,
    *,
    fresh: bool = False,
    resume: bool = False,
    on_cluster: bool = False,
    refusal: Callable[[Finding], OutlastError] | None = None,
    say: Callable[[str], object] = print,
) -> str:
    """Everything before a search holds its study; what cannot work is refused before anything is written.

    Args:
        folder: Its folder, or its home.
        fresh: Set an earlier study aside.
        resume: Go on with a study that is there; never start a new one.
        on_cluster: It is to be submitted: SLURM is asked as well.
        refusal: How the caller says what speaks against it.
        say: Told where an earlier study is kept.

    Returns:
        The folder in which it will run: its own, as it was named, or the live folder that stands for it.

    Raises:
        UsageError: It cannot work, or is not what was asked for.
        StudyBusy: Somebody runs the study that would be set aside, or runs it in its home.
        StorageError: A disk refused.
    """
    refuse(quick_check(settings, folder), refusal)
    if on_cluster:
        from outlast.engine.cluster.inspection import cluster_findings, deadline_findings

        refuse(cluster_findings(settings, folder), refusal)
        for finding in deadline_findings(settings):
            say(f"note: {finding.text}")
    else:
        refuse(deadline_check(settings), refusal)
    earlier = study_paths(live_of(folder), settings)
    resume = resume or (on_cluster and earlier.exists)  # a submission goes on: that is how jobs are made up for
    _refuse_unmeant(settings, folder, earlier, fresh=fresh, resume=resume)
    if fresh:
        if on_cluster:
            from outlast.engine.cluster.submit import refuse_while_queued

            refuse_while_queued(earlier, settings)
        for aside in set_both_aside(earlier):
            say(f"the earlier study is kept in {os.path.relpath(aside)}")
    return live_folder(folder, settings, say)


def refuse(findings: Sequence[Finding], refusal: Callable[[Finding], OutlastError] | None = None) -> None:
    """Raise the first finding that speaks against a run, in the caller's words."""
    for finding in findings:
        if finding.level == "error":
            raise _usage_error(finding) if refusal is None else refusal(finding)


def run(
    paths: StudyPaths,
    settings: Settings,
    listener: Callable[[Opened, int], Listener],
    *,
    tell: Callable[[Verdict, Study], object],
    accept_changes: bool = False,
    unattended: bool = False,
    pages: bool = True,
    gone: bool = False,
    say: Callable[[str], object] = print,
    limits: Limits | None = None,
    given: Given | None = None,
    sharing: Sharing | None = None,
) -> tuple[Verdict, Study]:
    """Run a study here to its rest, tell how it ended, and only then draw its report and plots and bring the rest home.

    Args:
        paths: The files of the folder that `make_ready` gave.
        listener: Made once the study is open, from what was opened and the number of slots.
        tell: Says how it ended; nobody waits for plots to hear that.
        unattended: Nobody is there, as is known from elsewhere; under nohup nobody is in any case.
        pages: Whether there are to be a report and plots: a follow-up's are its search's.
        gone: The folder is about to go: there are none either, and trackers get a last chance.
        accept_changes, say, limits, given, sharing: See `outlast.engine.hold.run.run_study`.
    """
    unattended = unattended or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    verdict, study = run_study(
        paths,
        settings,
        listener,
        accept_changes=accept_changes,
        say=say,
        limits=limits,
        unattended=unattended,
        given=given,
        sharing=sharing,
    )
    tell(verdict, study)
    if gone:  # what is not sent goes with it
        send_now(paths.root, settings, wait=_LAST_CHANCE)
    elif pages:
        settle(paths, study, settings, say)
    else:
        send_now(paths.root, settings)
    return verdict, study


def settle(paths: StudyPaths, study: Study, settings: Settings, say: Callable[[str], object]) -> None:
    """What is left to do for a study that has come to rest: what it looks like, its report and plots, and a last sync of what is
    made after a run."""
    try:
        keep_what_it_looks_like(paths)
        draw_at_the_end(paths, study, settings)
    finally:  # whatever becomes of the pages, the results come home, and before anybody waits for a tracker
        behind = bring_home(paths)
        send_now(paths.root, settings)
    near = os.path.relpath(paths.root)
    where = named(str(paths.root) if near.startswith(os.pardir) else near)
    late = still_lacking(paths.root, settings, shlex.quote(where))
    for words in [*([] if behind is None else [behind]), *late]:
        with contextlib.suppress(OSError):  # nobody reads it: how the search ended is what counts
            say(words)


def _refuse_unmeant(settings: Settings, folder: str, earlier: StudyPaths, *, fresh: bool, resume: bool) -> None:
    """Neither a new study where one should go on, nor the other way round."""
    if resume and not earlier.exists:
        cure = "without --resume the same command starts one"
        raise StudyNotFound(f"--resume: there is no study in {folder}", cure=cure)
    if not settings.index.auto_resume and earlier.exists and not (resume or fresh):
        cure = "--resume goes on with it; --fresh sets it aside and starts anew"
        raise UsageError(f"auto_resume is off, and there is a study in {folder}", cure=cure)


def _usage_error(finding: Finding) -> UsageError:
    return UsageError(f"{finding.about}: {finding.text}", cure=finding.cure)


def live_folder(folder: str, settings: Settings, say: Callable[[str], object] = print) -> str:
    """Where a study is run: its folder, or with ``slurm.scratch`` its live folder there, made ready for it.

    A folder on a filesystem without hard links, locks or fsync (a mounted drive) is a home, too: the live folder lies on this
    machine then.

    A live folder that was purged is given back what its home has; finished trials are all there.

    Raises:
        StudyFileError: ``slurm.scratch`` cannot be used.
        StudyBusy: Somebody runs the study in its home folder.
        UsageError: Home and live folder have parted.
        StorageError: A disk refused.
    """
    scratch = scratch_of(settings)
    drive = scratch is None and lies_on_a_drive(folder)
    scratch = scratch or (_local_place() if drive else None)
    if scratch is None:
        return folder
    home = home_of(StudyPaths.at(folder)) or StudyPaths.at(folder)
    if holder_is_live(home.ledger):
        raise StudyBusy(f"this study is being run in {home.root}, not on scratch", cure=f"outlast stop {folder}")
    known = live_of(home.root)
    live = study_paths(_place(scratch, home, settings.name) if known == str(home.root) else known, settings)
    try:
        for line in tie(home, live, drive=drive):
            say(line)
    except OSError as error:
        raise StorageError.of(error, f"{live.root} cannot be made ready") from error
    return str(live.root)


def lies_on_a_drive(folder: str) -> bool:
    """Whether it lies on a mounted drive, by where it is, by what it holds, or as a try shows."""
    home = home_of(StudyPaths.at(folder))
    return is_on_drive(folder if home is None else home.root) or (home is None and bool(lacking(folder)))


def _local_place() -> str:
    """A folder of this user's on a filesystem of this machine (XDG base directories), or below the temporary one."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    if os.path.isabs(state) and not lacking(state):
        return os.path.join(state, "outlast")
    return os.path.join(tempfile.gettempdir(), f"outlast-{os.getuid()}")


def _place(scratch: str, home: StudyPaths, name: str) -> str:
    """Where the live folder was, or a name of its own: two studies of one name share a scratch."""
    before = ran_from(home)
    if before != home.root and not before.exists() and str(before).startswith(scratch):
        return str(before)
    return os.path.join(scratch, f"{name}-{hashlib.sha256(os.fsencode(os.path.realpath(home.root))).hexdigest()[:8]}")
