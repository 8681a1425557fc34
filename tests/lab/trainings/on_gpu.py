"""Uses the cards it was given: tells the fake driver so, and writes down when it began and ended.

With ``--until FILE`` it goes on until that file is there.
"""

import argparse
import json
import os
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--batch", type=int, default=0)
parser.add_argument("--seconds", type=float, default=0.05)
parser.add_argument("--until", default="")
parser.add_argument("--crowded", default="", help="wait for this file, which names a card that has no memory left")
parser.add_argument("--audit")
parser.add_argument("--largest", type=int, default=1 << 30, help="the batch size that still fits")
arguments = parser.parse_args()

cards = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
mine = os.path.join(os.environ["FAKE_NVML"], "running", str(os.getpid()))


def note(event):
    line = {
        "event": event,
        "cards": cards,
        "at": time.monotonic(),
        "uid": os.getuid(),
        "pid": os.getpid(),
        "study": os.environ["OUTLAST_TOKEN"].split(":")[1],
        "trial": int(os.environ["OUTLAST_TRIAL"]),
        "attempt": int(os.environ["OUTLAST_ATTEMPT"]),
        "batch": arguments.batch,
    }
    with open(arguments.audit, "a") as audit:
        audit.write(json.dumps(line) + "\n")


with open(f"{mine}.new", "w") as file:
    file.write(f"{cards[0]} {4 << 30}\n")
os.rename(f"{mine}.new", mine)
note("begin")
time.sleep(arguments.seconds)
while arguments.crowded and not os.path.exists(arguments.crowded):
    time.sleep(0.01)
if arguments.crowded:
    with open(arguments.crowded) as file:
        if file.read() in cards:
            arguments.batch = arguments.largest + 1
if arguments.batch > arguments.largest:
    os.unlink(mine)
    note("end")
    print(
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.15 GiB"
    )
    print("and a line that says nothing", file=sys.stderr)
    sys.exit(1)
while arguments.until and not os.path.exists(arguments.until):
    time.sleep(0.01)
note("end")
os.unlink(mine)
print(f"score={arguments.x}")
