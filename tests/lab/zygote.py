"""Forks commands of Outlast from a process that has everything imported: many real processes in little time.

One JSON object a line on stdin, one answer a line on stdout: ``{"run": [arguments], "cwd", "env", "log"}`` answers with the
pid; ``{"poll": pid}`` with its wait status, or null while it lives. A forked command is a process of its own session that
runs what ``python -m outlast`` runs.
"""

import importlib
import json
import os
import pkgutil
import signal
import sys

import outlast
from outlast.cli.main import run_cli

LAZY = ("alembic.command", "numpy.random", "optuna.storages._rdb.models", "ruamel.yaml", "sqlalchemy.dialects.sqlite")
PROGRAMS, NEED_MORE = "__main__", ("outlast.callbacks", "outlast.runner.hooks", "outlast.testing.executors")


def import_everything():
    """A command imports its part as it goes, which takes most of a second each time."""
    for name in LAZY:
        importlib.import_module(name)
    folders = [(outlast.__path__, "outlast.")]
    for path, prefix in folders:
        for found in pkgutil.iter_modules(path, prefix):
            if found.name.endswith(PROGRAMS) or found.name in NEED_MORE:
                continue
            module = importlib.import_module(found.name)
            if found.ispkg:
                folders.append((module.__path__, f"{found.name}."))


def start(request):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.chdir(request["cwd"])
        os.environ.update(request["env"])
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        for module in request.get("patches", ()):
            exec(module, {"__name__": "patch"})
        code = run_cli(request["run"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def poll(pid):
    done, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if done else None


def main():
    import_everything()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answer = start(request) if "run" in request else poll(request["poll"])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
