"""A training of three epochs, some of whose trials suffer a fault in the second one.

Run without site packages (``python -S``): it starts in a fraction of the time. Each fault is the real thing where a process
can do it to itself.
"""

import argparse
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

EPOCHS = 3


class Suffering:
    """What the trial is, and the faults, each by its name."""

    def __init__(self, args):
        self.args = args
        self.attempt = int(os.environ["OUTLAST_ATTEMPT"])

    def say(self, epoch):
        print(f"epoch {epoch}: score={score(self.args.x, epoch)!r}", flush=True)

    # Faults. The training goes on behind those that return.

    def crash(self):
        raise ValueError(f"hidden size {int(self.args.x * 1000)} is not divisible by 7")

    def silent_crash(self):
        os._exit(3)

    def segfault(self):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.kill(os.getpid(), signal.SIGSEGV)

    def killed(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def rlimit(self):
        resource.setrlimit(resource.RLIMIT_AS, (256 * 2**20, 256 * 2**20))
        return bytearray(2**30)

    def cuda_memory(self):
        import torch

        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 23.64 GiB of which 1.12 GiB is free."
        )

    def cpu_allocator(self):
        import torch

        torch.empty(2**50)

    def loader_worker(self):
        from torch.utils.data import DataLoader

        class Huge:
            def __len__(self):
                return 4

            def __getitem__(self, at):
                resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
                return bytearray(2**40)

        list(DataLoader(Huge(), num_workers=1))

    def eat_memory(self):
        eaten = []
        while True:
            eaten.append(bytearray(os.urandom(2**20)))

    def nan(self):
        print("epoch 2: score=nan", flush=True)
        os._exit(0)

    def infinity(self):
        print("OUTLAST_SCORE: -inf", flush=True)
        os._exit(0)

    def nan_early(self):
        print("epoch 1: score=nan", flush=True)
        time.sleep(60)

    def no_score(self):
        raise SystemExit  # nothing but other names was printed

    def resume_me(self):
        sys.exit(75)

    def interrupted(self):
        sys.exit(130)

    def terminated(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    def hang(self):
        time.sleep(60)

    def hang_busily(self):
        while True:
            pass

    def too_slow(self):
        while True:
            self.say(1)
            time.sleep(0.05)

    def stubborn(self):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.too_slow()

    def too_many_requests(self):
        port = answer_with(429)
        from urllib.request import urlopen

        urlopen(f"http://127.0.0.1:{port}/model.safetensors")

    def service_unavailable(self):
        port = answer_with(503)
        from urllib.request import urlopen

        urlopen(f"http://127.0.0.1:{port}/model.safetensors")

    def port_in_use(self):
        first, second = socket.socket(), socket.socket()
        first.bind(("127.0.0.1", 0))
        first.listen()
        second.bind(first.getsockname())

    def stale_handle(self):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), "/data/train.bin")

    def broken_card(self):
        raise RuntimeError("CUDA error: uncorrectable ECC error encountered")

    def no_space(self):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.pt")

    def save_when_asked(self):
        """As a trainer that saves on SIGTERM and leaves in order, its score printed."""

        def leave(_number, _frame):
            save(self.args.checkpoint_dir, 1)
            self.say(1)
            if self.args.done:
                report({"done": True})
            os._exit(0)

        signal.signal(signal.SIGTERM, leave)
        os.kill(self.args.coordinator, signal.SIGINT)
        time.sleep(60)

    def stop_when_told(self):
        """As a script that looks at the request, and leaves with its score."""
        report({"listens": True})
        os.kill(self.args.coordinator, signal.SIGINT)
        path = os.path.join(os.environ["OUTLAST_TRIAL_DIR"], "attempts", str(self.attempt), "stop.json")
        while not os.path.exists(path):
            time.sleep(0.01)
        report({"acknowledged": "user"})
        print(f"OUTLAST_SCORE: {score(self.args.x, 1)!r}", flush=True)
        os._exit(0)

    def ask_and_ignore(self):
        os.kill(self.args.coordinator, signal.SIGINT)
        self.stubborn()

    def children(self):
        """Leaves behind what a careless data loader, a logger or a notebook server would, and ends."""
        for how in ({}, {"start_new_session": True}):
            subprocess.Popen([sys.executable, "-S", "-E", "-c", _STUBBORN, self.args.audit], **how)
        subprocess.Popen(["nohup", "sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        subprocess.Popen([sys.executable, "-S", "-E", "-c", _STUBBORN, self.args.audit], start_new_session=True, env={})
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execve(sys.executable, [sys.executable, "-S", "-E", "-c", _STUBBORN, self.args.audit], {})
            os._exit(0)
        while not os.path.exists(self.args.audit) or len(Path(self.args.audit).read_text().split()) < 3:
            time.sleep(0.01)

    def shout(self):
        """A gigabyte of output."""
        line = b"x" * 99 + b"\n"
        block = line * 10_000
        for _ in range(1000):
            os.write(1, block)

    def mumble(self):
        """What is no UTF-8, and a progress bar."""
        os.write(1, b"\xff\xfe caf\xe9 \x80\n")
        for done in range(100):
            os.write(1, b"\r%3d%%|####      | epoch 1 score=0.%02d" % (done, done))
        os.write(1, b"\n")

    def fill_the_disk(self):
        fill(os.path.join(self.args.checkpoint_dir, "weights.bin"))

    def use_up_inodes(self):
        for number in range(1_000_000):
            open(os.path.join(self.args.checkpoint_dir, f"shard-{number}"), "w").close()

    def torn_checkpoint(self):
        save(self.args.checkpoint_dir, 1)
        tear(self.args.checkpoint_dir, 1)
        sys.exit(75)

    def torn_checkpoints(self):
        save(self.args.checkpoint_dir, 1)
        for epoch in (0, 1):
            tear(self.args.checkpoint_dir, epoch)
        sys.exit(75)

    def torn_folder(self):
        save(self.args.checkpoint_dir, 1)
        folder = os.path.join(self.args.checkpoint_dir, "checkpoint-2")
        os.mkdir(folder)
        for name in ("state.json", "optimizer.bin"):
            open(os.path.join(folder, name), "w").close()
            os.utime(os.path.join(folder, name), (time.time() + 1,) * 2)  # the newest, whatever the clock's ticks
        sys.exit(75)


_STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(fd, b"%d\\n" % os.getpid())
time.sleep(600)
"""


def score(x, epoch):
    return 1 - (x - 0.3) ** 2 + 0.001 * epoch


def save(folder, epoch):
    with open(os.path.join(folder, f"epoch-{epoch}.json"), "w") as file:
        json.dump({"epoch": epoch}, file)


def tear(folder, epoch):
    with open(os.path.join(folder, f"epoch-{epoch}.json"), "w") as file:
        file.write('{"epo')


def load(folder):
    """The newest checkpoint; one that is torn ends the training, as most trainers do."""
    entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    if not entries:
        return -1
    newest = max(entries, key=lambda entry: entry.stat().st_mtime_ns)
    path = os.path.join(newest.path, "state.json") if newest.is_dir() else newest.path
    with open(path) as file:
        return json.load(file)["epoch"]


def report(line):
    folder = os.path.join(os.environ["OUTLAST_TRIAL_DIR"], "attempts", os.environ["OUTLAST_ATTEMPT"])
    with open(os.path.join(folder, "reports.jsonl"), "a") as file:
        file.write(json.dumps({"v": 1, **line}) + "\n")


def fill(path):
    with open(path, "wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 65536)


def answer_with(status):
    """A hub on this machine that answers everything with this status."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_error(status)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--x", type=float, required=True)
    parser.add_argument("--checkpoint-dir", required=True)
    parser.add_argument("--fault", required=True)
    parser.add_argument("--sick", default="", help="trials that suffer it")
    parser.add_argument("--times", type=int, default=10**6, help="in so many of their attempts")
    parser.add_argument("--coordinator", type=int, default=0)
    parser.add_argument("--audit")
    parser.add_argument("--healed", default="", help="a file; where it is there, nothing is wrong any more")
    parser.add_argument("--done", action="store_true")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    trial = Suffering(args)
    sick = (
        not os.path.exists(args.healed)
        and os.environ["OUTLAST_TRIAL"] in args.sick.split(",")
        and trial.attempt <= args.times
    )
    first = load(args.checkpoint_dir) + 1 if args.resume else 0
    if first == EPOCHS:  # everything was trained, only the end was lost
        trial.say(EPOCHS - 1)
    for epoch in range(first, EPOCHS):
        if sick and epoch == 1:
            getattr(trial, args.fault)()
        if sick and args.fault == "no_score":
            print(f"epoch {epoch}: train_loss=0.5 val_acc=0.7", flush=True)
        else:
            trial.say(epoch)
        save(args.checkpoint_dir, epoch)


main()
