"""A training that reports at a steady pace and measures how it is treated. Run without site packages: it starts at once.

``_reporter.py --rate HZ --seconds S --falls F --to FILE --x X``: with probability F it turns hopeless at a moment drawn
from the trial's seed, and from then on waits for the request to stop. One line of JSON goes to FILE at the end.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time

import outlast

GOOD, HOPELESS = 1.0, -1.0


def main() -> None:
    given = dict(argument[2:].split("=", 1) for argument in sys.argv[1:])
    rate, seconds = float(given["rate"]), float(given["seconds"])
    trial = outlast.current_trial()
    chance = random.Random(trial.seed)
    falls_at = chance.uniform(0.2, 0.9) * seconds if chance.random() < float(given["falls"]) else float("inf")
    stop = os.path.join(os.environ["OUTLAST_TRIAL_DIR"], "attempts", os.environ["OUTLAST_ATTEMPT"], "stop.json")
    calls: list[float] = []
    late: list[float] = []
    fell = seen = None
    bool(trial.should_stop)  # says that we listen: the request comes as a file, without a signal
    began, step = time.monotonic(), 0
    while seen is None and (time.monotonic() - began < seconds or fell is not None):
        due = began + step / rate
        while (now := time.monotonic()) < due:
            if fell is not None and os.path.exists(stop):
                seen = now - fell
                break
            time.sleep(min(0.005 if fell is not None else 1.0, due - now))
        if seen is not None:
            break
        late.append(time.monotonic() - due)
        hopeless = fell is not None or now - began >= falls_at
        before = time.perf_counter()
        trial.report(step=step, score=HOPELESS if hopeless else GOOD)
        calls.append(time.perf_counter() - before)
        if hopeless and fell is None:
            fell = time.monotonic()
        step += 1
        if fell is not None and time.monotonic() - fell > 60:
            break  # nobody answers: the line below says so
    line = json.dumps({"calls": calls, "late": late, "fell": fell is not None, "decision": seen}) + "\n"
    fd = os.open(given["to"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, line.encode())
    os.close(fd)
    bool(trial.should_stop)


if __name__ == "__main__":
    main()
