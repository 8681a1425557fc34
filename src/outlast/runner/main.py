"""One attempt from claim to evidence."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from msgspec.structs import replace

from outlast._system.clock import utc_now
from outlast._system.files import remove_tree, rename, write_once
from outlast._system.locks import FileLock, clear_locks
from outlast._system.observed import observe_from_environment
from outlast._system.processes import my_identity, reap_orphans
from outlast._system.reading import read_bytes
from outlast._system.syncing import make_dir, make_folder
from outlast._system.tokens import end_processes
from outlast.core.evidence import Evidence, beat
from outlast.core.file_names import AttemptPaths, StudyNames
from outlast.errors import NO_ROOM
from outlast.runner.attempt_gpus import foreign_memory, sign_locks, with_cards
from outlast.runner.forked import Loaded
from outlast.runner.lane import LANE, Lane, Order
from outlast.runner.orphaned import Orphaned
from outlast.runner.own_words import words_into
from outlast.runner.reserve import RESERVE, fill_reserve
from outlast.runner.spec import RunnerSpec, token_of_trial
from outlast.runner.stopping import between_attempts
from outlast.runner.supervise import SETTLES_AFTER, Supervisor

_SETTLED_WITHIN = (
    5.0  # seconds for the coordinator to put a short training's outcome on record; then it is written here
)


def main(argv: Sequence[str], loaded: Loaded | None = None) -> int:
    """Run the attempt whose marker is the only argument. Exits 0 also when somebody else has it already.

    Behind `LANE` it is the number of the socket over which this process is told one attempt after the other.
    """
    observe_from_environment("runner")
    signal.signal(
        signal.SIGCHLD, signal.SIG_DFL
    )  # where it is ignored, which outlives an exec, nobody can wait for a training
    if argv[0] == LANE:
        run_attempts(Lane(int(argv[1])), loaded)
        return 0
    marker = Path(argv[0])
    told = read_bytes(marker)
    if told:  # otherwise the coordinator gave this attempt up before we started
        run_attempt(marker, told, loaded)
    return 0


def run_attempts(lane: Lane, loaded: Loaded | None = None) -> None:
    """Run what the coordinator has for this runner, until it hangs up or an attempt did not end in order."""
    while (order := lane.next()) is not None:
        with words_into(order.log):
            in_order = run_attempt(Path(order.marker), order.told, loaded, lane, order)
        between_attempts()
        if not in_order:
            return


def run_attempt(
    marker: Path, told: bytes, loaded: Loaded | None = None, lane: Lane | None = None, order: Order | None = None
) -> bool:
    """Claim the attempt, run its training to its end, and leave the evidence in ``exit.json`` unless the ledger has it already.

    What the marker told is its content. Where the function is `loaded` in this process already, the training is a fork of it.

    Returns:
        Whether it went as it should: nothing is left of it that another attempt could notice.
    """
    root, spec = marker.parent.parent, with_cards(RunnerSpec.from_json(json.loads(told)), os.environ)
    spec = spec if order is None else order.with_own_numbers(spec)
    folder = root / spec.attempt_dir
    try:
        lock = FileLock(str(AttemptPaths(folder).alive), shared=None if lane is None else lane.is_shared)
    except FileNotFoundError:
        return False  # over and put away before we started
    try:
        if lock.shared:
            clear_locks()
        if not lock.acquire() or not _claim(folder, spec, lock, lane):
            return False
        if not _still_decides(StudyNames(root).ledger, spec.segment, shared=lock.shared) or (
            (order is None or not spec.segment) and read_bytes(marker) != told
        ):  # whoever holds that segment has opened no other attempt of this name
            _leave(folder, lock, Evidence(never_started=True))
            return False
        return _run_to_evidence(root, spec, lock, loaded, lane, order)
    finally:
        lock.close()


def _run_to_evidence(
    root: Path, spec: RunnerSpec, lock: FileLock, loaded: Loaded | None, lane: Lane | None, order: Order | None
) -> bool:
    folder = root / spec.attempt_dir
    reserve = folder / RESERVE
    if lane is None or lock.shared:  # otherwise at the first tick
        fill_reserve(reserve)
    orphaned = Orphaned(root, AttemptPaths(folder), spec.tell_after)
    evidence = _run_claimed(root, spec, lock, loaded, orphaned, lane)
    if order is not None:
        order.let_go()
    in_order = evidence is not None and not (evidence.lost or evidence.error or evidence.terminated)
    if evidence is not None:
        _say_over(folder, reserve, evidence, lock, lane, last=not in_order)
    if lane is None or evidence is None or evidence.seconds >= SETTLES_AFTER:
        reserve.unlink(missing_ok=True)
    if lock.shared and evidence is not None and not evidence.lost:
        Path(lock.path).unlink(missing_ok=True)  # whatever could hold it has ended
    orphaned.leave()
    return in_order


def _say_over(
    folder: Path, reserve: Path, evidence: Evidence, lock: FileLock, lane: Lane | None, *, last: bool
) -> None:
    """Leave the evidence, where there is room for it before the coordinator is told.

    A short training's need not be written where the coordinator puts its outcome on record in time.
    """
    written = False
    if evidence.seconds >= SETTLES_AFTER or lock.shared or lane is None or not lane.open:
        try:
            _leave_evidence(folder, reserve, evidence, lock)
            written = True
        except OSError as error:  # the disk was full before there was a reserve
            if error.errno not in NO_ROOM or lane is None or not lane.open:
                raise
    if lane is None:
        return
    lane.say_over(json.dumps(evidence.to_json()), last=last)
    if not lane.wait_settled(_SETTLED_WITHIN) and not written and lock.goes_with(str(AttemptPaths(folder).alive)):
        with contextlib.suppress(FileNotFoundError):  # put away: it is on record, although nobody came to say so
            _leave_evidence(folder, reserve, evidence, lock)


def _run_claimed(
    root: Path, spec: RunnerSpec, lock: FileLock, loaded: Loaded | None, orphaned: Orphaned, lane: Lane | None
) -> Evidence | None:
    reap_orphans()
    stuck = end_processes(token_of_trial(str(root), spec.trial)) if spec.attempt > 1 else []
    if stuck:
        return Evidence(lost=f"processes of an earlier attempt cannot be ended: {stuck}", new_steps=False)
    new_folder = make_folder(root / spec.checkpoint_dir)
    if spec.start_over and not new_folder:
        _empty(root / spec.checkpoint_dir)
        new_folder = True  # as good as one
    sign_locks(spec)
    foreign = foreign_memory(spec)
    evidence = Supervisor(root, spec, lock, loaded, orphaned=orphaned, lane=lane, new_folder=new_folder).run()
    if evidence is None or not spec.gpus:
        return evidence
    return replace(evidence, foreign_gpu_memory=foreign, foreign_gpu_memory_end=foreign_memory(spec))


def _still_decides(ledger: Path, segment: int, *, shared: bool) -> bool:
    """Whether the coordinator that opened the attempt still holds the study.

    A runner may be held up between reading its marker and its claim, and a coordinator between opening an attempt and starting
    its runner: by then another coordinator may have given the trial to somebody else, or the folder's name to another study.
    """
    if not segment:
        return ledger.is_dir()
    try:
        held = _held(ledger / f"{segment:08d}.jsonl")
    except (ValueError, KeyError, TypeError):
        return False
    return read_bytes(ledger / held) is not None if shared else os.path.lexists(ledger / held)


@lru_cache(maxsize=1)
def _held(segment: Path) -> str:
    """The file that is there as long as a segment is the newest; no other segment ever had one of that name."""
    return str(json.loads((read_bytes(segment) or b"").partition(b"\n")[0])["held"])


def _claim(folder: Path, spec: RunnerSpec, lock: FileLock, lane: Lane | None) -> bool:
    status = lock.status
    claim = {
        "version": 1,
        **my_identity().to_json(),
        "trial": spec.trial,
        "attempt": spec.attempt,
        "at": utc_now(),
        # a copied folder has another `alive`: whoever reads the copy sees that this runner is not its own
        "alive": [status.st_dev, status.st_ino],
    }
    text = json.dumps(claim)
    if not write_once(AttemptPaths(folder).started, text, durable=False):  # no process outlives the power
        return False
    if lock.shared:
        _copy(lock, beat(0, 0.0, str(claim["at"])) + text.encode() + b"\n", at=0)
    if lane is not None:
        lane.say("claimed", claim=claim, soon=True)  # nobody waits for it
    return True


def _copy(lock: FileLock, line: bytes, *, at: int) -> None:
    """Into ``alive``, which other hosts read (`outlast.core.evidence`)."""
    try:
        os.pwrite(lock.content, line, at)
        os.fsync(lock.content)
    except OSError as error:  # then they see it later
        print(f"outlast: {error}", file=sys.stderr)


def _empty(checkpoints: Path) -> None:
    """A start-over finds an empty folder. The old one goes by rename first, so that no half of it is ever seen."""
    if checkpoints.is_dir() and any(checkpoints.iterdir()):
        aside = checkpoints.with_name(f".{checkpoints.name}.old")
        remove_tree(aside)
        rename(checkpoints, aside)
        remove_tree(aside)
    make_dir(checkpoints)


def _leave_evidence(folder: Path, reserve: Path, evidence: Evidence, lock: FileLock) -> None:
    try:
        _leave(folder, lock, evidence, durable=evidence.seconds >= SETTLES_AFTER)
    except OSError:
        _leave(folder, lock, _brief(evidence), spare=reserve if reserve.exists() else None)


def _leave(
    folder: Path, lock: FileLock, evidence: Evidence, *, durable: bool = True, spare: Path | None = None
) -> None:
    text = json.dumps(evidence.to_json())
    if write_once(AttemptPaths(folder).exit, text, durable=durable, spare=spare) and lock.shared:
        _copy(lock, text.encode() + b"\n", at=os.fstat(lock.content).st_size)


def _brief(evidence: Evidence) -> Evidence:
    """As much of it as fits into the reserve, whatever a script may have printed."""
    return replace(
        evidence,
        reports=(),
        metrics=dict(list(evidence.metrics.items())[:20]),
        notes=tuple(note[:300] for note in evidence.notes[:5]),
        tail=tuple(line[:300] for line in evidence.tail[-5:]),
        traceback=evidence.traceback[-6000:],
    )
