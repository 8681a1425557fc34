"""A runner's supervisor in a process of its own, on a machine that sleeps: ``supervised.py FOLDER SPEC HOURS [FILE [LANE]]``.

It sleeps for an hour between any two looks at the clock, for so many hours; where a file is named, from when that is there.
With a negative number no time passes at all, or none until that file is there. LANE is the number of a socket over which a
coordinator speaks, who has said already what is to be run. What the training leaves is printed.
"""

import json
import os
import sys
import time
from pathlib import Path

from outlast._system.clock import Clock
from outlast._system.locks import FileLock
from outlast._system.observed import observe_from_environment
from outlast.runner.lane import Lane
from outlast.runner.spec import RunnerSpec
from outlast.runner.supervise import Supervisor


class Sleepy(Clock):
    def __init__(self, hours, *after):
        self._slept, self._hours, self._after = 0, hours, after
        self._began = time.monotonic()

    def monotonic(self):
        if self._hours < 0:
            stands = not self._after or not all(os.path.exists(file) for file in self._after)
            return self._began if stands else time.monotonic()
        if all(os.path.exists(file) for file in self._after):
            self._slept = min(self._slept + 1, self._hours)
        return time.monotonic() + 3600.0 * self._slept


def main():
    folder, spec, hours = Path(sys.argv[1]), RunnerSpec.from_json(json.loads(sys.argv[2])), int(sys.argv[3])
    (folder / spec.checkpoint_dir).mkdir(parents=True)
    (folder / spec.attempt_dir).mkdir(parents=True)
    lock = FileLock(str(folder / spec.attempt_dir / "alive"))
    assert lock.acquire()
    observe_from_environment("runner")
    lane = Lane(int(sys.argv[5])) if sys.argv[5:] else None
    assert lane is None or lane.next()
    evidence = Supervisor(folder, spec, lock, clock=Sleepy(hours, *sys.argv[4:5]), lane=lane).run()
    print(json.dumps(evidence.to_json()))


main()
