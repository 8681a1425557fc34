"""Servers on loopback that take messages: over HTTP and SMTP, at once, late, or not at all."""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Inbox:
    """What arrived, and how the server behaves."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.late = 0.0  # seconds before the answer
        self.refuses = 0  # of the next messages, with an error
        self.hangs_up = 0  # likewise: the connection ends without an answer
        self.port = 0


@contextlib.contextmanager
def http_server() -> Iterator[Inbox]:
    """Takes what is posted."""
    inbox = Inbox()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if inbox.hangs_up:
                inbox.hangs_up -= 1
                self.close_connection = True
                return
            if inbox.refuses:
                inbox.refuses -= 1
                self.send_error(503)
                return
            time.sleep(inbox.late)
            inbox.got.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    with _serving(ThreadingHTTPServer(("127.0.0.1", 0), Handler), inbox):
        yield inbox


@contextlib.contextmanager
def smtp_server() -> Iterator[Inbox]:
    """Takes mail, as RFC 5321 has it, and knows no more of it than a client needs."""
    inbox = Inbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            while line := self.rfile.readline().strip():
                word = line[:4].upper()
                if word == b"DATA":
                    self.say("354 go on")
                    text = b""
                    while not text.endswith(b"\r\n.\r\n"):
                        text += self.rfile.readline()
                    inbox.got.append(text.decode())
                    self.say("250 taken")
                elif word == b"QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 fine")

        def say(self, text: str) -> None:
            self.wfile.write(f"{text}\r\n".encode())

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler), inbox):
        yield inbox


@contextlib.contextmanager
def _serving(server: Any, inbox: Inbox) -> Iterator[None]:
    server.daemon_threads = True
    inbox.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
