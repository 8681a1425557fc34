"""The training of both sides of the chaos campaign: an epoch is a pause and a score, every few epochs are a checkpoint.

Every epoch that begins is put on record, so that what ran twice can be counted. As a program (ours; started without site
packages) and as a function (theirs: what dies with Optuna is the process that optimises).
"""

import argparse
import json
import os
import time


def note(path, **what):
    """One line, one write: lines of several processes never mix."""
    line = json.dumps({**what, "pid": os.getpid(), "at": time.monotonic()}) + "\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, line.encode())
    os.close(fd)


def train(x, *, trial, attempt, epochs, seconds, every, checkpoint, resume, audit):
    """Train from the checkpoint, if there is one and it is wanted, to the end; the last score."""
    first = 0
    if resume and os.path.exists(checkpoint):
        with open(checkpoint) as file:
            first = json.load(file)["epoch"] + 1
    for epoch in range(first, epochs):
        note(audit, trial=trial, attempt=attempt, epoch=epoch)
        time.sleep(seconds)
        print(f"epoch {epoch}: score={score(x, epoch):.9f}", flush=True)
        if (epoch + 1) % every == 0 or epoch + 1 == epochs:
            with open(checkpoint + ".new", "w") as file:
                json.dump({"epoch": epoch}, file)
            os.replace(checkpoint + ".new", checkpoint)
    if first == epochs:  # everything was trained, only the end was lost
        print(f"epoch {first - 1}: score={score(x, first - 1):.9f}", flush=True)
    return score(x, epochs - 1)


def score(x, epoch):
    """Best at 0.3, and a little better every epoch."""
    return 1 - (x - 0.3) ** 2 + 0.001 * epoch


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--every", type=int)
    parser.add_argument("--audit")
    parser.add_argument("--checkpoint-dir")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    train(
        args.x,
        trial=int(os.environ["OUTLAST_TRIAL"]),
        attempt=int(os.environ["OUTLAST_ATTEMPT"]),
        epochs=args.epochs,
        seconds=args.seconds,
        every=args.every,
        checkpoint=os.path.join(args.checkpoint_dir, "state.json"),
        resume=args.resume,
        audit=args.audit,
    )


if __name__ == "__main__":
    main()
