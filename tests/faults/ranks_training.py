"""A training of several ranks on the CPU: every rank puts every epoch on record; rank 0 saves, reports, and asks for all."""

import argparse
import json
import os
import time
from datetime import timedelta

import torch
import torch.distributed as dist

import outlast

EPOCHS = 30


def note(path, **what):
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(fd, (json.dumps(what) + "\n").encode())
    os.close(fd)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float)
    parser.add_argument("--audit")
    parser.add_argument("--stall", action="store_true", help="rank 1 of the first attempt does not come to epoch 3")
    args = parser.parse_args()
    trial = outlast.current_trial()
    stalls = args.stall and trial.attempt == 1
    dist.init_process_group("gloo", timeout=timedelta(seconds=5 if stalls else 300))
    rank = dist.get_rank()
    state = trial.load_checkpoint()  # the same folder on every rank
    for epoch in range(state["epoch"] + 1 if state else 0, EPOCHS):
        note(args.audit, rank=rank, epoch=epoch, attempt=trial.attempt, pid=os.getpid())
        time.sleep(600 if stalls and rank == 1 and epoch == 3 else 0.1)
        total = torch.tensor([args.x + rank])
        dist.all_reduce(total)
        trial.save_checkpoint({"epoch": epoch})
        trial.report(step=epoch, score=total.item())
        stop = torch.tensor([int(bool(trial.should_stop))])
        dist.all_reduce(stop, op=dist.ReduceOp.MAX)
        if stop.item():
            break
    dist.destroy_process_group()


main()
