"""``python -m outlast.runner.kept_worker FD FD PARENT LOG OBJECTIVES MODULE ARGUMENT…``: a process that runs trial after trial.

It imports a study's function once and then does what the coordinator says over its socket (`outlast.core.kept_words`). Its output
is a file that it appends to, as is that of the C libraries in it; what a trial printed is a stretch of it. It dies with the
coordinator. A trial finds what it would find in a process of its own, but for what earlier ones left in memory.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from outlast import client
from outlast._system.clock import utc_now
from outlast._system.observed import observe_from_environment, see
from outlast._system.processes import die_with_parent
from outlast.core.evidence import Evidence
from outlast.core.kept_words import Over, Ready, Train
from outlast.errors import NO_ROOM
from outlast.runner.capture.objective import Objective
from outlast.runner.forked import exit_code_of, without_ours
from outlast.runner.kept_capture import captured
from outlast.runner.kept_trial import KeptTrial, Line

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
#: Of a trial, in the environment, beside all that it is told itself.
_OF_STUDY = ("OUTLAST_METRICS", "OUTLAST_CHECKPOINT_PATTERN", "OUTLAST_TOKEN")


def main(argv: Sequence[str]) -> int:
    """Import, then run what comes until nobody is there any more."""
    connection, drawn = socket.socket(fileno=int(argv[0])), int(argv[1])
    parent, log, looked_for, module, *arguments = argv[2:]
    for fd in (connection.fileno(), drawn):
        os.set_inheritable(fd, False)
    die_with_parent()
    if os.getppid() != int(parent):  # it died before the kernel knew
        return 1
    for number in _SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    observe_from_environment("runner")
    for name in [name for name in os.environ if name.startswith("OUTLAST_") and name not in _OF_STUDY]:
        del os.environ[name]  # those by which faults are injected as well: no training sees them
    line, objectives = Line(connection, drawn), [Objective.from_json(each) for each in json.loads(looked_for)]
    worker = _Worker(line, log, objectives, module, arguments)
    line.tell(Ready())
    while (train := line.next_trial()) is not None:
        over = worker.run(train)
        line.tell(over)
        if over.last:
            break
    sys.stdout.flush()
    os._exit(0)  # whatever its trials left running, or registered for the end of a process, ends no trial


class _Worker:
    """A process with the function in it."""

    def __init__(
        self, line: Line, log: str, objectives: Sequence[Objective], module: str, arguments: Sequence[str]
    ) -> None:
        self._line, self._log, self._objectives = line, log, objectives
        self._place, self._end = os.getcwd(), 0
        self._before: set[tuple[int, int]] = set()  # the checkpoints that there were
        own = importlib.import_module(module)
        self._argv = [str(own.__file__), *arguments]
        sys.argv[:] = self._argv
        self._no_room = False  # for what this trial wrote
        self._call: Callable[[Any], None] | None = None
        self._failed: BaseException | None = None
        untouched = random.getstate()
        self._end = _size()  # what the import prints belongs to the first trial
        try:
            self._call = own.load(arguments)
        except BaseException as error:  # whatever an import may raise: the trial raises it, and shows it
            self._failed = error
        self._idle = [timer for timer in _TIMERS if not signal.getitimer(timer)[0]]
        self._handlers = {number: signal.getsignal(number) or signal.SIG_DFL for number in _SIGNALS}
        self._generators = _Generators(untouched=untouched)
        gc.collect()
        gc.freeze()

    def run(self, train: Train) -> Over:
        """Run one trial to its end."""
        trial, began, self._no_room = self._begin(train), time.monotonic(), False
        started_at = utc_now()
        code, number, sound = self._called(trial)
        for timer in self._idle:
            signal.setitimer(timer, 0)  # what the trial set would end another one
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError, AttributeError) as error:
                code = code or 120  # as the interpreter says it
                self._no_room = self._no_room or _tells_of_no_room(error)
        seconds, end = time.monotonic() - began, _size()
        seen = captured(
            self._objectives, trial.lines, (self._log, self._end, end), torn=code != 0 or number is not None
        )
        printed, self._end = (self._end, end - self._end), end
        steps = [report.step for report in seen.reports]
        saved = os.path.isdir(train.checkpoint_dir) and set(_stamps(train.checkpoint_dir)) - self._before
        evidence = Evidence(
            exit_code=code if number is None else None, signal=number, seconds=round(seconds, 3), host=os.uname().nodename,
            started_at=started_at, ended_at=utc_now(), scores=seen.scores, source=seen.source, notes=tuple(seen.notes),
            metrics=seen.metrics, reports=tuple(seen.reports), tail=tuple(seen.tail), traceback=seen.traceback,
            stop_reason=seen.acknowledged, acknowledged=bool(seen.acknowledged), done=seen.done, pruned=seen.pruned,
            saved=bool(saved), disk_full=self._no_room,
            resumed=train.resume, new_steps=train.last_step is None or bool(steps and max(steps) > train.last_step),
        )  # fmt: skip
        return Over(train.name, evidence, printed, tuple(trial.drawn), last=not sound)

    def _begin(self, train: Train) -> KeptTrial:
        """Make the process what a new one would be."""
        env = os.environ
        for name in ("OUTLAST_RESUME", "OUTLAST_FOLD", "OUTLAST_SPLITS"):
            env.pop(name, None)
        env.update(train.env)
        env.update(
            OUTLAST_TRIAL_DIR=train.trial_dir, OUTLAST_TRIAL=str(train.trial), OUTLAST_ATTEMPT=str(train.attempt),
            OUTLAST_CHECKPOINT_DIR=train.checkpoint_dir, OUTLAST_SEED=str(train.seed),
        )  # fmt: skip
        if train.resume:
            env["OUTLAST_RESUME"] = "1"
        os.chdir(self._place)
        if sys.argv != self._argv:
            sys.argv[:] = self._argv
        for number, handler in self._handlers.items():
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)
        self._generators.scatter()
        self._before = set(_stamps(train.checkpoint_dir)) if train.attempt > 1 else set()
        self._end = min(self._end, _size())  # the trial before printed without end, and was cut
        trial = KeptTrial(train, self._line)
        client._current = ((train.trial_dir, str(train.attempt)), trial)
        see("trial", train.trial_dir)
        return trial

    def _called(self, trial: KeptTrial) -> tuple[int, int | None, bool]:
        """Call it. Returns the exit code, the signal that a process would have ended by, and whether this one may go on."""
        if self._call is None:
            _show(self._failed)
            return 1, None, False
        try:
            self._call(trial.ask)
        except SystemExit as end:
            return exit_code_of(end), None, True
        except KeyboardInterrupt as error:
            _show(error)
            return 1, signal.SIGINT, False
        except BaseException as error:
            _show(error)  # it may go to the same full disk
            self._no_room = _tells_of_no_room(error)
            return 1, None, isinstance(error, Exception) and not _spoils(error)
        return 0, None, True


class _Generators:
    """The global generators differ from trial to trial unless the import seeded them, as they do in processes."""

    def __init__(self, *, untouched: object) -> None:
        self._state = random.getstate() if random.getstate() != untouched else None
        self._numpy: Any = None
        generator = getattr(getattr(sys.modules.get("numpy.random"), "mtrand", None), "_rand", None)
        # NumPy drops the sequence that it drew a seed from as soon as somebody gives it one.
        if generator is not None and getattr(getattr(generator, "_bit_generator", None), "_seed_seq", None) is None:
            self._numpy = generator.get_state()

    def scatter(self) -> None:
        """Before a trial."""
        if self._state is None:
            random.seed()
        else:
            random.setstate(self._state)
        numpy_random = sys.modules.get("numpy.random")
        if self._numpy is not None:
            numpy_random.set_state(self._numpy)  # type: ignore[union-attr]
        elif numpy_random is not None:
            numpy_random.seed()


def _stamps(folder: str) -> list[tuple[int, int]]:
    return list(client.checkpoints_in(folder).values())


def _size() -> int:
    return os.fstat(1).st_size


def _show(error: BaseException | None) -> None:
    """As the interpreter shows what ends it, from the user's first frame on."""
    if error is not None:
        error.__traceback__ = without_ours(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)


def _tells_of_no_room(error: BaseException | None) -> bool:
    """Whether a full disk, or a quota that is used up, is behind an end."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _spoils(error: BaseException) -> bool:
    """Whether such an end leaves a process that no further trial should share: out of memory, or a GPU that is lost."""
    return isinstance(error, (MemoryError, SystemError)) or "CUDA" in str(error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
