"""``python -m outlast.runner.warm FD MODULE ARGUMENT…``: a fork server that has imported a study's function.

It is started beside the fork server of plain runners, says once whether it may be forked (``{"unfit": reason}``, the reason
empty if it may), and from then on forks a runner on request, whose training is a fork once more (`outlast.runner.forked`).
The function itself is never called here: each trial finds what the import left, untouched by other trials. GPU libraries may
be imported, not initialised.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from outlast._system.observed import FAULT_VARIABLES
from outlast._system.processes import die_with_parent
from outlast._system.tokens import VARIABLE, token_room, wear_token
from outlast.runner import main as runner
from outlast.runner.fork_safety import Watch, descriptors
from outlast.runner.fork_server import serve
from outlast.runner.forked import Loaded

_MOST_SAID_BYTES = 1 << 20
#: That fork server and runner handle in their way.
_OURS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


def main(argv: Sequence[str]) -> int:
    """Import, say how it went, serve."""
    asking = socket.socket(fileno=int(argv[0]))
    os.set_inheritable(asking.fileno(), False)
    die_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    faults = {name: os.environ[name] for name in FAULT_VARIABLES if name in os.environ}
    for name in [name for name in os.environ if name.startswith("OUTLAST_")]:
        del os.environ[name]
    loaded, reason = _load(argv[1], argv[2:])
    if not reason and not wear_token(f"{VARIABLE} is seen"):
        reason = "cannot be told apart from its forks on this system"
    wear_token(token_room())
    try:
        asking.send(json.dumps({"unfit": reason}).encode())
    except OSError:
        return 0
    if reason or loaded is None:
        return 0
    os.environ.update(faults)  # of runners; no training sees them
    gc.collect()
    gc.freeze()  # a collection in a fork leaves these pages shared
    return serve(asking, partial(runner.main, loaded=loaded))


def _load(module: str, arguments: Sequence[str]) -> tuple[Loaded | None, str]:
    """Import under watch. Returns what there is to fork, or why there is nothing."""
    base, watch = dict(os.environ), Watch()
    kept = descriptors()
    with tempfile.TemporaryFile() as said:
        streams = [os.dup(1), os.dup(2)]
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        watch.begin()
        call, reason = _import(module, arguments)
        handlers: dict[int, Any] = {number: signal.getsignal(number) or signal.SIG_DFL for number in _OURS}
        reason = watch.end() if call is not None else reason
        for fd, stream in enumerate(streams, 1):
            os.dup2(stream, fd)
            os.close(stream)
        said.seek(0)
        printed = said.read(_MOST_SAID_BYTES)
    if call is None or reason:
        return None, reason
    ours = descriptors() - kept
    return Loaded(call, base, watch.changed(), printed, handlers, ours, watch.seeded), ""


def _import(module: str, arguments: Sequence[str]) -> tuple[Callable[[int | None], None] | None, str]:
    own = importlib.import_module(module)
    sys.argv[:] = [str(own.__file__), *arguments]
    call: Callable[[int | None], None] | None = None
    reason = ""
    try:
        call = own.load(arguments)
    except BaseException as error:  # whatever an import may raise; the trials will each raise it, and show it
        reason = f"cannot be imported ({type(error).__name__}: {error})"
    sys.stdout.flush()
    sys.stderr.flush()
    return call, reason


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
