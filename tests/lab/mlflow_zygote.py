"""Starts what needs MLflow's package, imported once: its server, and whoever sends to one. Each is a process that can be killed.

It reads orders, a JSON object a line, and answers each with the pid of a process that it forked.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any


def _serve(order: dict[str, Any]) -> None:
    """What ``mlflow server`` starts: the same application, told the same way."""
    os.environ.update(
        _MLFLOW_SERVER_FILE_STORE=order["database"],
        _MLFLOW_SERVER_ARTIFACT_ROOT="mlflow-artifacts:/",
        _MLFLOW_SERVER_ARTIFACT_DESTINATION=order["artifacts"],
        _MLFLOW_SERVER_SERVE_ARTIFACTS="true",
    )
    import uvicorn

    uvicorn.run("mlflow.server.fastapi_app:app", host="127.0.0.1", port=order["port"], log_level="warning")


def _send(order: dict[str, Any]) -> None:
    import msgspec

    from lab.sent_to_mlflow import FileMemory, send_all
    from outlast.tracking.mlflow_sink import MlflowSink
    from outlast.tracking.sink import TrackedStudy, TrackedTrial

    os.environ.update(order.get("env", {}))
    study = msgspec.convert(order["study"], TrackedStudy)
    trials = msgspec.convert(order["trials"], list[TrackedTrial])
    memory = FileMemory(order["memory"])
    send_all(lambda: MlflowSink(uri=order["uri"]), study, trials, memory, within=order["within"])
    open(order["memory"] + ".done", "w").close()


def _create(order: dict[str, Any]) -> None:
    from outlast.tracking.mlflow_server import Server

    Server(order["uri"])


def main() -> None:
    """Import, then do as told until the orders end."""
    import mlflow.server.fastapi_app
    import uvicorn

    from outlast.tracking import mlflow_sink

    assert mlflow.server.fastapi_app and uvicorn and mlflow_sink
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    print("ready", flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(log, 1)
            os.dup2(log, 2)
            try:
                {"serve": _serve, "send": _send, "create": _create}[order["do"]](order)
            except BaseException:
                import traceback

                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
