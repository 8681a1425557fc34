"""Nothing outside the study folders is handed out, whatever is asked and whatever lies in them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from outlast.serve.tails import MOST, tail

SECRET = "nobody else's business"


def log_of(server, key: str, trial: int, **query: object):
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return server.data(f"/api/studies/{key}/trials/{trial}/log?{words}")


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/etc/passwd",
        "/api/studies/../log",
        "/api/studies/%2e%2e/log",
        "/api/studies/%2e%2e%2f%2e%2e%2fetc/log",
        "/api/studies/%2Fetc%2Fpasswd",
        "/api/studies/criteria",
        "/api/studies/{key}/trials/-1/log",
        "/api/studies/{key}/trials/../../log",
        "/api/studies/{key}/trials/%2e%2e/log",
        "/api/studies/{key}/trials/1%2f..%2f../log",
        "/api/studies/{key}/trials/99999999999999999999/log",
        "/api/studies/{key}/trials/٣/log",
        "/static/page.css",
        "/..%5c..%5cetc%5cpasswd",
        "/api/studies/{key}%00",
        "/api/studies/{key}/study.yaml",
        "/api/studies/{key}/ledger/00000001.jsonl",
    ],
)
def test_no_words_of_a_request_lead_to_a_file(server, keys, path) -> None:
    asked = path.format(key=keys["criteria"]).encode("utf-8").decode("latin-1")
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        sent = "".join(f"{name}: {value}\r\n" for name, value in server.own.items())
        line.sendall(
            f"GET {asked} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n{sent}Connection: close\r\n\r\n".encode(
                "latin-1"
            )
        )
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert answer.split(b" ")[1] in (b"400", b"404"), answer[:200]
    assert b"root:" not in answer and b"study_created" not in answer


@pytest.mark.slow
def test_links_pipes_devices_and_huge_files_in_place_of_a_log(server, root, campaign, keys, tmp_path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "trial").mkdir()
    (tmp_path / "trial" / "output.log").write_text(SECRET + "\n")
    trials, key = campaign["criteria"].paths.trials, keys["criteria"]
    for number in range(900, 906):
        (trials / f"{number:04d}").mkdir(parents=True)
    (trials / "0900" / "output.log").symlink_to(tmp_path / "secret")
    os.mkfifo(trials / "0901" / "output.log")
    (trials / "0902" / "output.log").symlink_to("/dev/zero")
    (trials / "0903" / "output.log").mkdir()
    (trials / "0904" / "attempts").symlink_to(tmp_path)
    with (trials / "0905" / "output.log").open("wb") as huge:
        huge.truncate(1 << 40)
    (trials / "0906").symlink_to(tmp_path / "trial")
    (trials / "0907").symlink_to("../../../../../../../../../../etc")
    for number in range(900, 908):  # none takes longer than a browser waits, which `ask` does twenty seconds
        said = log_of(server, key, number)
        assert SECRET not in str(said) and len(said["lines"]) + len(said["rest"]) <= MOST, number
    assert log_of(server, key, 60)["lines"].startswith("epoch 0"), "and an ordinary one is"
    for log, path in ((trials.parent / "run.log", f"/api/studies/{key}/log"), (root / "campaign.log", "/api/log")):
        log.symlink_to(tmp_path / "secret")
        assert server.data(path)["none"]
        log.unlink()


@pytest.mark.slow
def test_a_log_is_read_on_from_where_it_was_known(server, campaign, keys) -> None:
    key, log = keys["evidence"], campaign["evidence"].paths.attempt(60, 1).log
    first = log_of(server, key, 60)
    with log.open("a") as file:
        file.write("\nnew\nhalf a l")
    then = log_of(server, key, 60, source=first["source"], after=first["to"])
    assert then["lines"].endswith("new\n") and "epoch 0" not in then["lines"] and then["rest"] == "half a l"
    for wrong in ("-1", "1e9", "99999999999999999999999", "x", str(10**15)):
        assert log_of(server, key, 60, source=first["source"], after=wrong)["lines"].startswith("epoch 0")


@pytest.mark.slow
def test_files_keep_their_modes_and_nothing_is_written(server, root, campaign) -> None:
    beating = {running.paths.lease for running in campaign.values()}  # touched every ten seconds by this very process

    def there() -> dict[str, tuple[int, float]]:
        found = {path: path.lstat() for path in sorted(root.rglob("*"))}
        return {str(p): (s.st_mode, 0.0 if p in beating else s.st_mtime) for p, s in found.items()}

    before = there()
    for path in (
        "/api/board",
        "/api/log",
        *(f"/api/studies/{k}" for k in [each["key"] for each in server.data("/api/board")["data"]["studies"]][:2]),
    ):
        server.data(path)
    assert there() == before


def written(folder: Path, text: bytes, name: str = "output.log") -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(text)
    return str(folder.parent)


def test_a_tail_begins_and_ends_with_whole_lines_and_says_where(tmp_path) -> None:
    root = written(tmp_path / "t", b"".join(b"line %d\n" % n for n in range(1000)) + b"rest")
    found = tail(root, ("t",), "output.log", last=100)
    assert found is not None
    lines = found["lines"].splitlines()
    assert (lines[-1], found["rest"], found["to"]) == ("line 999", "rest", 8890)
    assert all(line.startswith("line ") for line in lines) and found["to"] - found["from"] == len(found["lines"])
    assert tail(root, ("t",), "output.log", after=8890) == {"from": 8890, "to": 8890, "lines": "", "rest": "rest"}
    assert tail(root, ("t",), "none.log") is None and tail(root, ("x",), "output.log") is None
    assert tail(str(tmp_path / "gone"), (), "output.log") is None


def test_a_log_whose_middle_was_dropped_is_read_over_its_pieces(tmp_path) -> None:
    written(tmp_path / "t", b"head\nhe")
    written(tmp_path / "t", b"ad two\n", "output.log.tail.7.7")
    root = written(tmp_path / "t", b"of a line\nlater\n", "output.log.tail.7.100")
    found = tail(root, ("t",), "output.log")
    assert found is not None and (found["lines"], found["to"]) == ("later\n", 116)
    (tmp_path / "t" / "output.log.tail.7.100").unlink()
    found = tail(root, ("t",), "output.log")
    assert found is not None and found["lines"] == "head\nhead two\n"


def test_what_was_printed_is_shown_as_a_screen_would_without_secrets_or_control(tmp_path) -> None:
    root = written(
        tmp_path / "t",
        b"\x1b[31mred\x1b[0m\n10%\r20%\r100%\nAPI_TOKEN=hf_abcdefghijklmnop\n\x00\x07bell\xff\n"
        b"\x1b[36mpassword\x1b[0m=\x1b[35mhunter2secret\x1b[0m hf_abcde\x1b[1mfghijklmnopqrstuvwxyz\n",
    )
    found = tail(root, ("t",), "output.log")
    assert found is not None
    assert found["lines"].startswith("red\n100%\n") and "hf_abc" not in found["lines"] and "\x07" not in found["lines"]
    assert found["lines"].endswith("password=*** ***\n"), "colours hide no secret"


def test_half_a_secret_in_a_line_that_is_too_long_is_not_shown(tmp_path) -> None:
    root = written(tmp_path / "t", b"a" * 50 + b" API_TOKEN=hf_" + b"q" * 40 + b" loss 0.5")
    found = tail(root, ("t",), "output.log", last=30)
    assert found is not None and (found["lines"], found["rest"]) == ("", "loss 0.5")
