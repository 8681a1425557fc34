"""Ask and tell over standard input and output, a line of JSON each; run in a peer's environment, standard library only.

``{"op": "begin", "space", "seed", "trials", "workers", "method"}`` makes a new search, ``{"op": "ask"}`` is answered with
``{"trial", "params"}``, ``{"op": "tell", "trial", "value"}`` gives a trial's value, smaller is better; a value of null: it could
not run. Several asked trials may be open. An answer has ``"error"`` if the peer failed.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any, Protocol


class Search(Protocol):
    """What a peer's module makes of one search."""

    def ask(self) -> tuple[Any, dict[str, Any]]:
        """What `tell` is given back, and a configuration."""

    def tell(self, handle: Any, value: float | None) -> None:
        """The trial's value; None: it could not run."""


def serve(begin: Callable[[dict[str, Any]], Search]) -> None:
    """Answer until the input ends."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what packages print goes elsewhere
    search: Search | None = None
    handles: dict[int, Any] = {}
    count = 0
    for line in sys.stdin:
        said = json.loads(line)
        answer: dict[str, Any] = {}
        try:
            if said["op"] == "begin":
                search, handles, count = begin(said), {}, 0
            elif said["op"] == "ask":
                assert search is not None
                handle, params = search.ask()
                handles[count] = handle
                answer = {"trial": count, "params": {name: plain(value) for name, value in params.items()}}
                count += 1
            else:
                assert search is not None
                search.tell(handles.pop(said["trial"]), said["value"])
        except Exception:
            answer = {"error": traceback.format_exc()[-2000:]}
        answers.write(json.dumps(answer) + "\n")


def plain(value: Any) -> Any:
    """A value of NumPy's as Python's."""
    return value.item() if hasattr(value, "item") else value
