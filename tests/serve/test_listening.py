"""Where it listens, what it is called there, and what is said where that cannot be."""

from __future__ import annotations

import asyncio
import socket
import stat
from contextlib import closing

import pytest

from lab.ports import free_port
from outlast.cli.commands import serving
from outlast.cli.main import run_cli
from outlast.errors import UsageError
from outlast.serve import listening
from outlast.serve.access import Access, Secrets
from outlast.serve.listening import address_of, is_open_to_others, listen, names_of_server, token_from, tunnel


@pytest.mark.parametrize(
    ("host", "names"),
    [
        ("127.0.0.1", {"127.0.0.1:9", "localhost:9", "[::1]:9"}),
        ("localhost", {"127.0.0.1:9", "localhost:9", "[::1]:9"}),
        ("10.1.2.3", {"10.1.2.3:9"}),
        ("Node-1.cluster", {"node-1.cluster:9"}),
    ],
)
def test_what_it_answers_to(host, names) -> None:
    assert names_of_server(host, 9) == names


def test_on_every_address_it_is_called_what_this_machine_is() -> None:
    found = names_of_server("0.0.0.0", 9)
    assert {"127.0.0.1:9", f"{socket.gethostname().lower()}:9"} <= found and "0.0.0.0:9" in found
    assert "evil.example:9" not in found and {"localhost", "localhost:80"} <= names_of_server("127.0.0.1", 80)


@pytest.mark.parametrize(
    ("came_in_on", "host", "status"),
    [
        ("192.168.1.5", "192.168.1.5:9", 401),
        ("::ffff:192.168.1.5", "192.168.1.5:9", 401),
        ("fe80::1%eth0", "[fe80::1]:9", 401),
        ("192.168.1.5", "192.168.1.6:9", 421),
        ("192.168.1.5", "192.168.1.5", 421),
        ("192.168.1.5", "evil.example:9", 421),
    ],
)
def test_it_answers_to_the_address_that_a_connection_came_in_on(came_in_on, host, status) -> None:
    """To which nobody elsewhere can lead a name: 401 is the token's affair, 421 another name's."""
    sent = []

    async def send(message) -> None:
        sent.append(message)

    async def asked() -> None:
        headers = [(b"host", host.encode())]
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": headers}
        await Access(None, secrets=Secrets("a" * 43, 9), names={"node:9"})(  # type: ignore[arg-type]  # it is never reached
            {**scope, "server": (came_in_on, 9)}, None, send
        )

    asyncio.run(asked())
    assert sent[0]["status"] == status


def test_a_tunnel_leads_to_where_it_listens() -> None:
    assert " 8787:127.0.1.1:8787 " in tunnel("127.0.1.1", 8787) and " 8787:[::1]:8787 " in tunnel("::1", 8787)


@pytest.mark.parametrize(
    ("host", "is_open"),
    [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True), ("", True), ("node", True)],
)
def test_whether_others_reach_it_is_known(host, is_open) -> None:
    assert is_open_to_others(host) is is_open


def test_the_first_free_port_is_taken_and_one_that_was_named_or_none(monkeypatch) -> None:
    assert listening.FIRST_PORT == 8787  # as the help says; other tests have servers from there on
    monkeypatch.setattr(listening, "FIRST_PORT", first_tried := free_port())
    with closing(listen("127.0.0.1", None)) as first, closing(listen("127.0.0.1", None)) as second:
        taken = first.getsockname()[1]
        assert first_tried <= taken < second.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port {taken} is taken"):
            listen("127.0.0.1", taken)
    for nowhere in ("192.0.2.1", "no such host"):
        with pytest.raises(UsageError, match="is no address of this machine"):
            listen(nowhere, None)
    assert address_of("::1", 9, "a b") == "http://[::1]:9/?token=a+b"


def test_a_token_is_fresh_or_kept_in_a_file_for_its_owner_alone(tmp_path) -> None:
    assert token_from(None) != token_from(None) and len(token_from(None)) >= 40
    file = tmp_path / "token"
    made = token_from(str(file))
    assert (stat.S_IMODE(file.stat().st_mode), token_from(str(file))) == (0o600, made)
    file.chmod(0o640)
    with pytest.raises(UsageError, match="can be read by others"):
        token_from(str(file))
    file.chmod(0o600)
    for wrong in ("", "short", "with a \x07 bell in it", "ünïcödé" * 5):
        file.write_text(wrong)
        with pytest.raises(UsageError, match="holds no token"):
            token_from(str(file))
    for place in (tmp_path / "none" / "token", tmp_path):
        with pytest.raises(UsageError):
            token_from(str(place))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no study"),
        (["gone"], "no study in gone"),
        (["--port", "70000"], "more than 65535"),
        (["--port", "x"], "not a whole number"),
    ],
)
def test_what_cannot_be_shown_is_one_clear_error(words, said, monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cli(["serve", *words]) == 2
    assert said in capsys.readouterr().err


def test_without_its_packages_the_way_to_them_is_said(monkeypatch, tmp_path, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(serving, "find_spec", lambda _name: None)
    assert run_cli(["serve"]) == 2
    assert "pip install 'outlast[serve]'" in capsys.readouterr().err
