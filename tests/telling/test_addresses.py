"""Messages arrive where they should, by real Apprise at real servers; what does not arrive is said without secrets."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
from pathlib import Path

import pytest
from tests.lab.waiting import until
from tests.telling.servers import http_server, smtp_server

from outlast._system.processes import identity_of
from outlast.config.settings import NotifySettings
from outlast.engine.telling.addresses import Command, NotDeliveredError, Service, _Said, addresses_of
from outlast.engine.telling.message import Message, finding
from outlast.engine.telling.post import Post
from outlast.engine.telling.told_before import ToldBefore
from outlast.monitor.health import HealthWarning

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # which Apprise imports
FOUND = finding("digits", HealthWarning("disk", "the disk is nearly full", "outlast clean x", level="error"))


def test_a_service_gets_it_over_http() -> None:
    with http_server() as inbox:
        Service(f"json://127.0.0.1:{inbox.port}/hook", "1:json").send(FOUND)
        Service(f"ntfy://127.0.0.1:{inbox.port}/topic", "2:ntfy").send(FOUND)
    (path, posted), (_, note) = inbox.got
    assert path == "/hook"
    assert (posted["title"], posted["type"]) == ("digits: error: disk", "failure")
    assert "The disk is nearly full" in posted["message"]
    assert (note["topic"], note["title"]) == ("topic", "digits: error: disk")


def test_a_mail_arrives() -> None:
    with smtp_server() as inbox:
        url = f"mailto://127.0.0.1:{inbox.port}?from=box@example.org&to=me@example.org&mode=insecure"
        Service(url, "1:mailto").send(FOUND)
    (mail,) = inbox.got
    assert "Subject: digits: error: disk" in mail
    assert "To: me@example.org" in mail


def test_a_command_gets_it_as_json_on_its_input_in_the_working_directory(tmp_path: Path) -> None:
    Command(["sh", "-c", "cat > $WHERE; pwd >> $WHERE"], str(tmp_path), {**os.environ, "WHERE": "got"}).send(FOUND)
    line, where = (tmp_path / "got").read_text().splitlines()
    told = json.loads(line)
    assert (told["event"], told["key"], told["level"], told["study"]) == ("finding", "disk", "error", "digits")
    assert where == str(tmp_path)


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["sh", "-c", "echo no such user >&2; exit 3"], "sh ended with 3 no such user"),
        (["sh", "-c", "echo 7: https://me:hunter2@example.org >&2; exit 7"], r"7: https://me:\*{3}@example\.org"),
        (["./nowhere"], "./nowhere: No such file or directory"),
    ],
)
def test_a_command_that_fails_says_why(tmp_path: Path, argv: list[str], why: str) -> None:
    with pytest.raises(NotDeliveredError, match=why):
        Command(argv, str(tmp_path), os.environ).send(FOUND)


def test_a_command_that_leaves_something_in_the_background_is_done_when_it_ends(tmp_path: Path) -> None:
    Command(["sh", "-c", "sleep 300 & echo $! > left; exit 0"], str(tmp_path), os.environ).send(FOUND)  # not given up
    left = int((tmp_path / "left").read_text())
    assert identity_of(left) is not None, "it goes on"
    os.kill(left, signal.SIGKILL)


def test_what_apprise_says_of_another_address_is_not_taken_for_ours() -> None:
    logger, said = logging.getLogger("apprise"), _Said()
    logger.addHandler(said)
    try:
        logger.warning("ours")
        other = threading.Thread(target=logger.warning, args=("another's",))
        other.start()
        other.join()
    finally:
        logger.removeHandler(said)
    assert said.last == "ours"


def test_who_refuses_or_is_not_there_is_said_without_the_secret_of_the_address() -> None:
    with http_server() as inbox:
        inbox.refuses = 1
        with pytest.raises(NotDeliveredError) as refused:
            Service(f"json://127.0.0.1:{inbox.port}/secret-topic", "1:json").send(FOUND)
    with pytest.raises(NotDeliveredError) as dead:
        Service(f"json://127.0.0.1:{inbox.port}/secret-topic", "1:json").send(FOUND)
    assert str(refused.value) != str(dead.value)
    assert "secret-topic" not in f"{refused.value} {dead.value}"


def test_a_dead_address_holds_up_no_other_and_gets_it_later_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_server() as good, http_server() as bad:
        bad.refuses, bad.hangs_up = 1, 1
        post = Post([Service(f"json://127.0.0.1:{good.port}", "good"), Service(f"json://127.0.0.1:{bad.port}", "bad")])
        told, clock = ToldBefore(), [0.0]
        told.post([FOUND], post.names, 0.0)

        def delivered() -> bool:
            clock[0] += 60.0  # whatever wait there is, it is over
            post.deliver(told, clock[0])
            return not told.letters

        until(delivered, "both have it")
    assert (len(good.got), len(bad.got)) == (1, 1)


def test_a_slow_server_gets_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import apprise

    monkeypatch.setattr(apprise.URLBase, "socket_read_timeout", 0.2)  # what Apprise itself would wait, but for us
    with http_server() as inbox:
        inbox.late = 0.6
        Service(f"json://127.0.0.1:{inbox.port}", "1:json").send(FOUND)
        assert len(inbox.got) == 1


def test_secrets_come_from_the_environment_and_what_is_lacking_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    notify = NotifySettings(urls=("${NTFY}", "tgram://${BOT}/1", "ntfy://***"), command=("tell", "--token=***"))
    found, lacking = addresses_of(notify, {"NTFY": "ntfy://topic"}, ".")
    assert [each.name for each in found] == ["1:ntfy"]
    assert lacking == [
        ("address 2", "needs BOT, which the environment does not have"),
        ("address 3", "is not on record, as it is a secret: write it as ${NAME} of the environment"),
        ("command", "is not on record whole, for the secret in it: have it read that from the environment"),
    ]


def test_without_apprise_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("outlast.engine.telling.addresses.find_spec", lambda name: None)
    found, lacking = addresses_of(NotifySettings(urls=("ntfy://x",), command=("true",)), {}, ".")
    assert [each.name for each in found] == ["command"]
    assert lacking == [("address 1", "needs Apprise, which is not installed: pip install 'outlast[notify]'")]


def test_messages_hold_no_secrets_whatever_a_training_printed() -> None:
    reason = "401 for url: https://user:hunter2@example.org"
    told = finding("digits", HealthWarning("same_failure", f"3 times: {reason}", ""))
    assert "hunter2" not in repr(told)
    assert isinstance(told, Message)
