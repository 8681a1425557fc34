"""The training of the survival tests: an epoch is a pause, a score and a checkpoint, and every epoch is put on record.

Run without site packages (``python -S``): it starts in a fraction of the time.
"""

import argparse
import json
import os
import signal
import sys
import time


def note(path, **what):
    """One line, one write: lines of several processes never mix."""
    line = json.dumps({**what, "pid": os.getpid(), "at": time.monotonic()}) + "\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, line.encode())
    os.close(fd)


def leave_a_shadow(audit, trial, attempt):
    """A grandchild in a session of its own that ignores SIGTERM and goes on training in secret."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for fd in (0, 1, 2):
        os.close(fd)
    while True:
        note(audit, trial=trial, attempt=attempt, epoch=-1, shadow=True)
        time.sleep(0.02)


def hold(trial, epoch):
    """Whoever wants something to happen in this epoch lets it go on afterwards (`Lab.hold`)."""
    while os.path.exists(f"held.{trial}.{epoch}"):
        time.sleep(0.005)


def say(text):
    """A line of output; nobody may listen any more, as with trainings that guard their loggers."""
    try:
        print(text, flush=True)
    except OSError:
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--audit")
    parser.add_argument("--checkpoint-dir")
    parser.add_argument("--shadow", action="store_true")
    parser.add_argument("--fail-below", type=float, default=-1.0)
    parser.add_argument("--resume", action="store_true")
    args, _ = parser.parse_known_args()
    trial, attempt = int(os.environ["OUTLAST_TRIAL"]), int(os.environ["OUTLAST_ATTEMPT"])
    checkpoint = os.path.join(args.checkpoint_dir, "state.json")
    first = 0
    if args.resume and os.path.exists(checkpoint):
        with open(checkpoint) as file:
            first = json.load(file)["epoch"] + 1
    if args.shadow:
        leave_a_shadow(args.audit, trial, attempt)
    if args.x < args.fail_below:
        sys.exit("this configuration does not work")
    for epoch in range(first, args.epochs):
        note(args.audit, trial=trial, attempt=attempt, epoch=epoch)
        time.sleep(args.seconds)
        hold(trial, epoch)
        say(f"epoch {epoch}: score={1 - (args.x - 0.3) ** 2 + 0.001 * epoch:.9f}")
        with open(checkpoint + ".new", "w") as file:
            json.dump({"epoch": epoch}, file)
        os.replace(checkpoint + ".new", checkpoint)
    if first == args.epochs:  # everything was trained, only the end was lost
        say(f"epoch {first - 1}: score={1 - (args.x - 0.3) ** 2 + 0.001 * (first - 1):.9f}")


main()
