"""The training of the SLURM tests: an epoch is a pause, a score and a checkpoint, and every epoch is put on record.

With ``--hold N`` it stays in epoch N until there is a file ``go`` beside its record.
"""

import argparse
import json
import os
import time


def note(path, **what):
    """One line, one write: lines of several processes never mix."""
    told = {key: os.environ.get(name) for key, name in (("gpu", "CUDA_VISIBLE_DEVICES"), ("node", "SLURMD_NODENAME"))}
    line = json.dumps({**what, **told, "pid": os.getpid(), "at": time.monotonic()}) + "\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, line.encode())
    os.close(fd)


parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float)
parser.add_argument("--epochs", type=int)
parser.add_argument("--seconds", type=float)
parser.add_argument("--audit")
parser.add_argument("--checkpoint-dir")
parser.add_argument("--hold", type=int)
parser.add_argument("--resume", action="store_true")
args = parser.parse_args()
trial, attempt = int(os.environ["OUTLAST_TRIAL"]), int(os.environ["OUTLAST_ATTEMPT"])
checkpoint = os.path.join(args.checkpoint_dir, "state.json")
first = 0
if args.resume and os.path.exists(checkpoint):
    with open(checkpoint) as file:
        first = json.load(file)["epoch"] + 1
for epoch in range(min(first, args.epochs - 1), args.epochs):
    note(args.audit, trial=trial, attempt=attempt, epoch=epoch)
    time.sleep(args.seconds)
    while epoch == args.hold and not os.path.exists(os.path.join(os.path.dirname(args.audit), "go")):
        time.sleep(0.05)
    print(f"epoch {epoch}: score={1 - (args.x - 0.3) ** 2:.9f}", flush=True)
    with open(checkpoint + ".new", "w") as file:
        json.dump({"epoch": epoch}, file)
    os.replace(checkpoint + ".new", checkpoint)
note(args.audit, trial=trial, attempt=attempt, epoch=args.epochs)
