"""The server of the page, from its socket to its end."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from datetime import datetime, timezone

import uvicorn

from outlast.engine.hold.signals import handling
from outlast.engine.record.look import Looker
from outlast.engine.record.look_many import ManyLooker
from outlast.errors import OutlastError
from outlast.monitor.exposition import exposition
from outlast.monitor.overview import Overview, Sight
from outlast.serve.access import Access, Secrets
from outlast.serve.connections import limits
from outlast.serve.listening import names_of_server
from outlast.serve.routes import application
from outlast.serve.watcher import BOARD, Watcher

_NICER = 5  # the searches come first


def serve(
    folder: str, listener: socket.socket, *, several: bool, host: str, token: str, may_stop: bool = False
) -> None:
    """Show a study, or all below a folder, until Ctrl-C or a signal; nothing that runs is touched by that.

    Args:
        folder: As a person types it.
        listener: Where to listen; closed at the end.
        several: Whether the folder is a campaign's, or one that studies lie below.
        host: As the person named it.
        token: Who has it may look.
        may_stop: Whether pages may stop studies and trials as well.
    """
    port = int(listener.getsockname()[1])
    secrets = Secrets(token, port)
    watcher = Watcher(_looker(folder, several=several), exposition, nicer=_NICER)
    app = Access(
        application(watcher, secrets, folder=folder, may_stop=may_stop),
        secrets=secrets,
        names=names_of_server(host, port) | names_of_server(str(listener.getsockname()[0]), port),
    )
    server = uvicorn.Server(uvicorn.Config(app, **limits()))

    def end(_number: int, _frame: object) -> None:
        server.should_exit = True

    watcher.start()
    watcher.want(BOARD)  # whoever opens the page waits for less
    hangup = {} if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else {signal.SIGHUP: end}
    quiet = {signal.SIGINT: end, signal.SIGTERM: end}  # uvicorn raises them again when it has ended
    try:
        with handling({**hangup, **quiet}):
            server.run(sockets=[listener])
    finally:
        watcher.stop()


def _looker(folder: str, *, several: bool) -> Callable[[], Overview]:
    if several:
        return ManyLooker(folder).look
    looker, name = Looker(folder), os.path.basename(os.path.abspath(folder))

    def look() -> Overview:
        try:
            snapshot, study, settings = looker.look()
        except OutlastError as error:
            return Overview(name, folder, (Sight(name, folder, error=error.fact),), datetime.now(timezone.utc))
        return Overview(name, folder, (Sight(name, folder, snapshot, "", study, settings),), snapshot.now)

    return look
