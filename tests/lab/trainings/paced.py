"""The training of the pruning tests: an epoch is a pause and a score, and every epoch is put on record.

``--style`` says what it knows of Outlast: ``prints`` lines, ``listens`` (reports and looks at `should_stop`), ``reports``
without looking, ``wandb`` logs there, ``last`` prints a score at its end only. ``--on-term``: ``dies``, ``saves`` and
leaves in order, or ``ignores`` the signal. With ``--ahead N`` it never goes further than N epochs beyond what the pruner has
judged: then nothing depends on how fast the machine is.
"""

import argparse
import json
import os
import signal
import sys
import time


def score(x, epoch):
    """Rises towards x; poor ones pass their best after four epochs."""
    return x * (1 - 0.6**epoch) - (0.01 * max(0, epoch - 4) if x < 0.5 else 0.0)


def note(path, **what):
    """One line, one write."""
    line = json.dumps({**what, "trial": int(os.environ["OUTLAST_TRIAL"]), "at": time.time()}) + "\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, line.encode())
    os.close(fd)


def file_of_attempt(name):
    return os.path.join(os.environ["OUTLAST_TRIAL_DIR"], "attempts", os.environ["OUTLAST_ATTEMPT"], name)


def handle_term(audit, how):
    def saves(number, frame):
        note(audit, saved=True)
        sys.exit(0)

    if how == "saves":
        signal.signal(signal.SIGTERM, saves)
    elif how == "ignores":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def wait_until_judged(epoch):
    """Wait until the pruner has let this epoch pass. One that it does not let pass is the last."""
    mark = file_of_attempt("judged")
    while epoch > 0:
        try:
            with open(mark) as file:
                if int(file.read()) >= epoch:
                    return
        except (OSError, ValueError):
            pass
        time.sleep(0.005)


def train(args):
    trial = run = None
    if args.style in ("listens", "reports"):
        import outlast

        trial = outlast.current_trial()
    elif args.style == "wandb":
        import wandb

        run = wandb.init(settings=wandb.Settings(silent=True))
    handle_term(args.audit, args.on_term)
    for epoch in range(1, args.epochs + 1):
        time.sleep(args.seconds)
        value = round(score(args.x, epoch), 9)
        note(args.audit, epoch=epoch, asked=os.path.exists(file_of_attempt("stop.json")))
        if trial is not None:
            trial.report(step=epoch, score=value)
        elif run is not None:
            run.log({"score": value})
        elif args.style == "prints":
            print(f"epoch {epoch}: score={value:.9f}", flush=True)
        if args.style == "listens" and trial.should_stop:
            note(args.audit, stopping=trial.should_stop.reason)
            return
        if args.ahead is not None:
            wait_until_judged(epoch - args.ahead)
    if args.style == "last":
        print(f"score={value:.9f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.04)
    parser.add_argument("--audit", required=True)
    parser.add_argument("--style", default="prints")
    parser.add_argument("--on-term", default="dies")
    parser.add_argument("--ahead", type=int)
    train(parser.parse_known_args()[0])


if __name__ == "__main__":
    main()
