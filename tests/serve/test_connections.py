"""Connections that do not get on are ended, those that do are not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from starlette.responses import PlainTextResponse

from lab.waiting import until
from outlast.serve import connections
from outlast.serve.listening import listen

GET = b"GET / HTTP/1.1\r\nHost: x\r\n"


@contextlib.contextmanager
def serving() -> Iterator[tuple[int, uvicorn.Server]]:
    listener = listen("127.0.0.1", None)
    found = int(listener.getsockname()[1])
    server = uvicorn.Server(uvicorn.Config(PlainTextResponse("here"), **connections.limits()))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    until(lambda: server.started, "it serves", 60)
    yield found, server
    server.should_exit = True
    thread.join(60)


@pytest.fixture
def port(monkeypatch) -> Iterator[int]:
    """Of a server that looks often whether its connections get on."""
    monkeypatch.setattr(connections, "_LOOK_EVERY", 0.2)
    with serving() as (found, _):
        yield found


def is_ended(line: socket.socket) -> bool:
    try:
        return line.recv(65536) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "first", [b"", b"GET / HT", GET, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\nx"]
)
def test_a_request_that_never_ends_is_ended(port, first) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(first)
        began = time.monotonic()
        while not is_ended(line):
            assert time.monotonic() - began < 60


def test_one_letter_after_the_other_is_no_way_to_hold_a_line(port) -> None:
    def drip(line: socket.socket) -> bool:
        try:
            line.sendall(b"a")
            return False
        except OSError:
            return True

    with socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        line.sendall(GET + b"A: ")
        until(lambda: drip(line), "it is ended", 60)


def test_a_page_that_waits_for_its_first_answer_gives_way_to_no_silent_line(monkeypatch) -> None:
    monkeypatch.setattr(connections, "MOST", 3)
    asked, answer = threading.Event(), asyncio.Event()

    async def slowly(scope, receive, send) -> None:
        asked.set()
        await answer.wait()
        await PlainTextResponse("here")(scope, receive, send)

    listener = listen("127.0.0.1", None)
    port = int(listener.getsockname()[1])
    server = uvicorn.Server(uvicorn.Config(slowly, **connections.limits()))
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        loops.append(asyncio.get_running_loop())
        await server.serve(sockets=[listener])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    silent = []
    try:
        until(lambda: server.started, "it serves", 60)
        with socket.create_connection(("127.0.0.1", port), timeout=60) as page:
            page.sendall(GET + b"\r\n")
            assert asked.wait(60)
            for _ in range(12):
                silent.append(socket.create_connection(("127.0.0.1", port), timeout=60))
                silent[-1].sendall(b"GET")
            until(lambda: sum(map(is_ended_now, silent)) >= 10, "silent lines give way", 60)
            loops[0].call_soon_threadsafe(answer.set)
            assert page.recv(65536).startswith(b"HTTP/1.1 200")
    finally:
        for line in silent:
            line.close()
        server.should_exit = True
        thread.join(60)


def is_ended_now(line: socket.socket) -> bool:
    line.setblocking(False)  # with a time limit, Python waits for something to read whatever the flags say
    try:
        return line.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        line.settimeout(60)


def test_who_asks_again_and_again_keeps_the_line() -> None:
    """It is looked at behind each answer, then once more: by the clock it would be silent where this process is held up."""
    with serving() as (port, server), socket.create_connection(("127.0.0.1", port), timeout=60) as line:
        for _ in range(4):
            line.sendall(GET + b"\r\n")
            said = b""
            while b"here" not in said:
                said += line.recv(65536)
                assert said, "it was ended"
            looked_at(server)
            assert not is_ended_now(line)
        looked_at(server)
        assert is_ended(line)


def looked_at(server: uvicorn.Server) -> None:
    """Have the one connection looked at, now."""
    (connection,) = server.server_state.connections
    assert isinstance(connection, connections.BoundedConnection)
    looked = threading.Event()
    connection.loop.call_soon_threadsafe(lambda: (connection._look(), looked.set()))
    assert looked.wait(60)
