"""Forks commands of Outlast from a process that has everything imported: many real processes in little time.

One JSON object a line on stdin, one answer a line on stdout: ``{"run": [arguments], "cwd", "env", "log"}`` answers with the
pid; ``{"poll": pid}`` with its wait status, or null while it lives. A forked command is a process of its own session that
runs what ``python -m outlast`` runs.
"""

import json
import os
import signal
import sys

import optuna.storages  # noqa: F401
import sqlalchemy.dialects.sqlite  # noqa: F401

import outlast.api
import outlast.cli.app
import outlast.cli.inspect
import outlast.cli.render
import outlast.cli.running
import outlast.cli.watching
import outlast.engine.care.repair
import outlast.engine.hold.run  # noqa: F401
from outlast.cli.main import run_cli


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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        answer = start(request) if "run" in request else poll(request["poll"])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


main()
