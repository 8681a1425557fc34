"""Stands between a client and a server, and harms what passes: refuses, hangs, is late, or lies about what the server said."""

from __future__ import annotations

import http.client
import socketserver
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

#: What may happen to a request, by name.
FAULTS = (
    "refused",
    "500 after taking it",
    "garbage after taking it",
    "garbage instead",
    "{} instead",
    "cut off",
    "hangs",
)


class LyingProxy:
    """Forwards to a port of this machine.

    Args:
        port: The server's.
        fault: Told method and path of each request; what happens to it, one of `FAULTS` or empty. ``hangs`` lasts until the end.
    """

    def __init__(self, port: int, fault: Callable[[str, str], str]) -> None:
        self.requests: list[tuple[str, str]] = []  # path, and what happened
        self._over = threading.Event()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                what = fault(self.command, self.path)
                proxy.requests.append((self.path, what))
                if what == "hangs":
                    proxy._over.wait(60)
                    self.close_connection = True
                elif what in ("refused", "garbage instead", "{} instead"):
                    status, answer = {"refused": (503, b"busy")}.get(what, (200, b"{}" if "{}" in what else b"<html>"))
                    self._answer(status, answer)
                else:
                    status, answer = self._forwarded(body)
                    if what == "cut off":
                        self.connection.close()
                        self.close_connection = True
                    elif what == "500 after taking it":
                        self._answer(500, b"upstream is gone")
                    elif what == "garbage after taking it":
                        self._answer(200, b'{"run": nonsense')
                    else:
                        self._answer(status, answer)

            def _forwarded(self, body: bytes) -> tuple[int, bytes]:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                headers = {"Content-Type": "application/json", "Host": f"127.0.0.1:{port}"}
                try:
                    connection.request(self.command, self.path, body or None, headers)
                    answer = connection.getresponse()
                    return answer.status, answer.read()
                except OSError:
                    return 502, b"nobody there"
                finally:
                    connection.close()

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # whoever asked has gone

        self._server: socketserver.BaseServer = Server(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    def __enter__(self) -> LyingProxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
