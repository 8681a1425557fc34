"""Who may ask a real server, tried as an attacker would: another name, another page, another user of the machine, a held line."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lab.served import Server, served
from lab.waiting import until
from outlast.monitor.exposition import CONTENT_TYPE
from outlast.study import requests
from outlast.study.lease import holder_is_live

pytestmark = pytest.mark.slow

PLACES = [
    "/",
    "/api/board",
    "/api/studies/abc",
    "/api/studies/abc/trials/1/log",
    "/api/log",
    "/metrics",
    "/nothing",
    "/?token=x",
]
SECRETS = ("criteria", "maximal", "val_accuracy", "/trials")
NOTHING_KNOWN: list[dict[str, str]] = [
    {}, {"Authorization": "Bearer "}, {"Authorization": "Bearer x"}, {"Authorization": "Basic Og=="}, {"Cookie": "outlast=1"},
    {"Cookie": "a=\x7f;;;"}, {"X-Outlast-Page": "x"}, {"Authorization": "Bearer \xff\xfe"},
]  # fmt: skip


def of_us(server: Server, **more: str) -> dict[str, str]:
    return {"Host": f"127.0.0.1:{server.port}", **server.own, **more}


@pytest.mark.parametrize("path", PLACES)
def test_without_the_token_nothing_is_said(server, path) -> None:
    for headers in NOTHING_KNOWN:
        answer, text = server.ask(path, headers)
        assert answer.status == 401, (path, headers)
        assert "outlast serve" in text and not any(word in text for word in SECRETS)
        assert answer.getheader("set-cookie") is None and answer.getheader("connection") == "close"


def test_the_cookie_alone_opens_an_empty_page_and_nothing_else(server) -> None:
    """Another user's server on the same machine gets it as well: cookies know no ports."""
    cookie = {"Cookie": server.cookie}
    answer, page = server.ask("/", cookie)
    assert answer.status == 200 and '"key":null' in page
    assert not any(word in page for word in ("criteria", "maximal")) and server.key not in page
    for path in PLACES[1:6]:
        assert server.ask(path, cookie)[0].status == 401
    assert server.ask("/api/board", {"X-Outlast-Page": server.key})[0].status == 401
    assert server.token not in server.cookie + server.key and server.key not in server.cookie


def test_the_token_opens_everything_where_it_is_sent_as_a_scraper_does(server) -> None:
    bearer = {"Authorization": f"Bearer {server.token}"}
    assert server.ask("/api/board", bearer)[0].status == 200
    answer, text = server.ask("/metrics", bearer)
    assert (answer.status, answer.getheader("content-type")) == (200, CONTENT_TYPE)
    assert "outlast_trials_target{" in text and text.endswith("\n")


@pytest.mark.parametrize(
    "host", ["evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example:{port}", "[::1", ""]
)
def test_under_another_name_nothing_is_said_whoever_asks(server, host) -> None:
    """As a name that is led here (DNS rebinding), or another port of ours."""
    for path in PLACES:
        answer, text = server.ask(path, of_us(server, Host=host.format(port=server.port)))
        assert answer.status in (400, 421) and not any(word in text for word in SECRETS)


def test_its_own_names_are_those_of_this_machine(server) -> None:
    for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]"):
        assert server.ask("/api/board", of_us(server, Host=f"{name}:{server.port}"))[0].status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "http://localhost:{port}"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
def test_another_page_gets_nothing(server, headers) -> None:
    sent = {name: value.format(port=server.port) for name, value in headers.items()}
    answer, text = server.ask("/api/board", of_us(server, **sent))
    assert (answer.status, answer.getheader("access-control-allow-origin")) == (403, None)
    assert not any(word in text for word in SECRETS)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"])
def test_it_is_read_only(server, method, keys) -> None:
    for path in ("/", "/api/board", f"/api/studies/{keys['criteria']}/stop"):
        sent = of_us(server, Origin=f"http://127.0.0.1:{server.port}", **{"Content-Type": "application/json"})
        answer, _ = server.ask(path, sent, method=method, body="{}")
        assert answer.status in (401, 404, 405), (method, path, answer.status)


def test_head_says_what_get_does_without_the_content(server) -> None:
    answer, text = server.ask("/api/board", server.own, method="HEAD")
    assert (answer.status, text) == (200, "")


def test_each_answer_is_for_nobody_else(server, keys) -> None:
    for path, headers in [
        ("/", {"Cookie": server.cookie}),
        ("/api/board", server.own),
        ("/api/board", {}),
        ("/x", server.own),
    ]:
        answer, _ = server.ask(path, headers)
        said = {name.lower(): value for name, value in answer.getheaders()}
        assert said["cache-control"] == "no-store"
        assert said["x-content-type-options"] == "nosniff"
        assert said["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in said["content-security-policy"]
        assert "frame-ancestors 'none'" in said["content-security-policy"]
        assert "server" not in said
    answer, _ = server.ask(f"/?token={server.token}")
    cookie = str(answer.getheader("set-cookie"))
    assert (
        "HttpOnly" in cookie
        and "SameSite=Strict" in cookie
        and "unsafe" not in str(answer.getheader("content-security-policy"))
    )


def test_no_header_is_made_of_what_was_asked(server) -> None:
    for path in ("/%0d%0aSet-Cookie:%20a=b", "/api/studies/%0d%0aX-Evil:%201", "/api/board?have=%0d%0aX-Evil:1"):
        answer, _ = server.ask(path, server.own)
        assert {"x-evil", "set-cookie"}.isdisjoint(name.lower() for name, _ in answer.getheaders())


def test_requests_that_are_none_are_refused_and_the_server_goes_on(server) -> None:
    host = f"Host: 127.0.0.1:{server.port}\r\n"
    for raw in (
        b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n", b"GET /\r\n\r\n", f"GET / HTTP/1.1\r\n{host}{host}\r\n".encode(),
        f"GET / HTTP/1.1\r\n{host}A: {'x' * 40_000}\r\n\r\n".encode(),
        b"GET http://evil.example/ HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        f"GET / HTTP/1.1\r\n{host}Upgrade: websocket\r\nConnection: upgrade\r\n\r\n".encode(),
    ):  # fmt: skip
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
            line.sendall(raw)
            line.shutdown(socket.SHUT_WR)
            answer = line.recv(65536)
        assert not answer or answer.split(b" ")[1] in (b"400", b"401", b"421"), (raw, answer)
    assert server.ask("/api/board", server.own)[0].status == 200


def test_lines_that_are_held_keep_nobody_out(server) -> None:
    """Three hundred requests that are never finished, from somebody without a token."""
    held = []
    try:
        for _ in range(300):
            line = socket.create_connection(("127.0.0.1", server.port), timeout=10)
            line.sendall(b"GET / HTTP/1.1\r\nHost: ")
            held.append(line)
        assert server.ask("/api/board", server.own)[0].status == 200
        assert any(is_held(line) for line in held[-50:]), "it did not have to wait until they were ended"
    finally:
        for line in held:
            line.close()


def is_held(line: socket.socket) -> bool:
    """Whether the other end has not ended a connection on which it says nothing."""
    line.setblocking(False)
    try:
        line.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def test_a_token_is_compared_in_constant_time(monkeypatch) -> None:
    """By the one function that is made for it, whatever is given."""
    import hmac

    from outlast.serve import access

    compared: list[tuple[bytes, bytes]] = []

    def counted(a: Any, b: Any) -> bool:
        compared.append((a, b))
        return hmac.compare_digest(a, b)

    monkeypatch.setattr(access, "hmac", type("", (), {"compare_digest": staticmethod(counted), "new": hmac.new}))
    secrets = access.Secrets("a" * 43, 1)
    assert secrets.is_token("a" * 43) and not secrets.is_token("a") and not secrets.is_token("\udcff")
    assert (
        secrets.is_cookie(f'x={{"a": 1}}; outlast_1={secrets.cookie}')
        and not secrets.is_cookie("outlast_1=no")
        and secrets.is_key(secrets.key)
    )
    assert len(compared) == 6


def test_ctrl_c_ends_it_without_a_word_of_the_token_and_stops_nothing(root, campaign) -> None:
    with served(root) as other:
        asked = [threading.Thread(target=other.ask, args=(f"/?token={other.token}",)) for _ in range(3)]
        for each in asked:
            each.start()
        for each in asked:
            each.join()
        other.process.send_signal(2)
        out, err = other.process.communicate(timeout=60)
        assert (other.process.returncode, err) == (0, "")
        assert other.token not in out and "go on" in out
        assert "ssh" in other.said[1] and f"{other.port}:127.0.0.1:{other.port}" in other.said[1]
    for running in campaign.values():
        assert holder_is_live(running.paths.ledger) is True


def test_ctrl_c_waits_for_no_coordinator_that_does_not_answer(root, campaign, keys) -> None:
    paths = campaign["evidence"].paths
    with served(
        root, "--allow-stop", patch="import outlast.engine.care.stop as stop; stop._ANSWER_WITHIN = 3600"
    ) as other:
        own = {**other.own, "Origin": f"http://127.0.0.1:{other.port}", "Content-Type": "application/json"}
        asked = (f"/api/studies/{keys['evidence']}/stop", own)
        line = threading.Thread(target=suppressed(other.ask), args=asked, kwargs={"method": "POST", "body": "{}"})
        line.start()
        found = until(lambda: requests.pending(paths), "it is asked to stop")
        other.process.send_signal(2)
        assert other.process.wait(60) == 0
        line.join()
        requests.take(paths, found[0])


def suppressed(function: Callable[..., object]) -> Callable[..., None]:
    """The same for whoever does not mind that the line is cut."""

    def called(*arguments: Any, **named: Any) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            function(*arguments, **named)

    return called
