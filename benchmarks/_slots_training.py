"""A training of slots.py: it takes its time, and puts on record from when to when."""

import math
import os
import random
import sys
import time


def seconds_of(trial, mean, sigma, seed):
    """How long a trial takes: lognormal, of this mean, the same for both ways."""
    return random.Random(1000 * seed + trial).lognormvariate(math.log(mean) - sigma**2 / 2, sigma)


if __name__ == "__main__":
    record, mean, sigma, seed = sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    trial, begin = int(os.environ["OUTLAST_TRIAL"]), time.monotonic()
    time.sleep(seconds_of(trial, mean, sigma, seed))
    print(f"score={trial / 1000}", flush=True)
    fd = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, f"{begin} {time.monotonic()}\n".encode())
    os.close(fd)
