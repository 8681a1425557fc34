"""The training of the recorded studies: epochs of a curve with one peak, and every way to end badly, on request."""

import argparse
import json
import os
import signal
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--x", type=float, default=0.5)
parser.add_argument("--model", default="mlp")
parser.add_argument("--dropout", type=float, default=0.0)
parser.add_argument("--hidden", type=int, default=64)
parser.add_argument("--batch-size", type=int, default=32)
parser.add_argument("--ends", default="well")
parser.add_argument("--fold", type=int, default=0)
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--seconds", type=float, default=0.0, help="of an epoch")
parser.add_argument("--checkpoint", help="a file to go on from")
args = parser.parse_args()

if args.ends == "broken" or os.path.exists("broken"):
    raise ValueError("no such backbone: resnet51")
if args.ends == "key":
    print({}["labels"])
if args.ends == "segfault":
    os.kill(os.getpid(), signal.SIGSEGV)
if args.ends == "silent":
    sys.exit(0)
if args.ends == "exit":
    sys.exit(3)
if args.ends == "late":
    time.sleep(60)
if args.batch_size > 64:
    sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 1.12 GiB free.")

first = 0
if args.checkpoint and os.path.exists(args.checkpoint):
    with open(args.checkpoint) as file:
        first = json.load(file)["epoch"] + 1
for epoch in range(first, args.epochs):
    time.sleep(args.seconds)
    score = 0.9 - (args.x - 0.3) ** 2 - 0.1 * args.dropout - 0.1 / (epoch + 1) + 0.01 * args.fold
    if args.ends == "nan":
        score = float("nan")
    print(f"epoch {epoch}: score={score:.6f} cost={args.hidden * (1 + args.x):.3f}", flush=True)
    if args.checkpoint:
        with open(args.checkpoint + ".tmp", "w") as file:
            json.dump({"epoch": epoch}, file)
        os.replace(args.checkpoint + ".tmp", args.checkpoint)
