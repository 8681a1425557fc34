"""HTTP connections that cannot be held for ever: so many at once, and each has to get on with it.

uvicorn ends a connection that idles between requests, but waits without limit for the rest of a request and for whoever does not
read an answer (https://www.uvicorn.org/settings/#timeouts).
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

#: Connections at once: pages, each with a request or two, and room.
MOST = 256
_LOOK_EVERY = 10.0  # seconds; a connection that answered nothing in that time is ended
_MOST_WAITS = 6  # times that, while somebody reads an answer


class BoundedConnection(H11Protocol):
    """A connection that is ended when it does not get on; where there are too many, one that asked nothing gives way first."""

    _answered = _seen = _waited = 0
    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, or make room for it."""
        if len(self.connections) >= MOST:
            mute = [each for each in self.connections if isinstance(each, BoundedConnection) and not each._answered]
            if not mute:
                self.transport = transport
                transport.abort()
                return
            given_up = min(
                mute, key=lambda each: each.cycle is not None
            )  # a page that waits for its first answer has asked
            given_up.transport.abort()
            self.connections.discard(given_up)
        super().connection_made(transport)
        self._alarm = self.loop.call_later(_LOOK_EVERY, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        if self._alarm is not None:
            self._alarm.cancel()
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Unless it was refused."""
        if self._alarm is not None:
            super().data_received(data)

    def on_response_complete(self) -> None:
        """An answer was given in full."""
        self._answered += 1
        super().on_response_complete()

    def _look(self) -> None:
        is_busy = self.cycle is not None and not self.cycle.response_complete
        self._waited = self._waited + 1 if self._answered == self._seen else 0
        self._seen = self._answered
        if self._waited > (_MOST_WAITS if is_busy else 0):
            self.transport.abort()
        else:
            self._alarm = self.loop.call_later(_LOOK_EVERY, self._look)


def limits() -> dict[str, Any]:
    """What uvicorn's own settings bound."""
    return {
        "http": BoundedConnection,
        "ws": "none",
        "lifespan": "off",
        "loop": "asyncio",
        "backlog": 128,
        "h11_max_incomplete_event_size": 16384,  # bytes of a request's head
        "timeout_keep_alive": 15,  # seconds: longer than a page waits between two questions
        "timeout_graceful_shutdown": 2,
        "server_header": False,
        "proxy_headers": False,
        "access_log": False,  # addresses may hold the token
        "log_config": None,
        "log_level": "critical",
    }
