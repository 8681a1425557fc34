"""Output on the disk: never more than a cap, its head and always its end."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast._system.capped_log import CappedLog, LogReader, copy_log


def whole(path: Path, most: int | None = None) -> bytes:
    target = io.BytesIO()
    copy_log(path, target, most=most)
    return target.getvalue()


def lines(first: int, last: int) -> bytes:
    return b"".join(b"%07d\n" % number for number in range(first, last))


def test_output_within_the_cap_is_kept_as_it_came(tmp_path: Path) -> None:
    log = CappedLog(str(tmp_path / "output.log"))
    log.write(b"one\n")
    log.write(b"two\n")
    log.close()
    assert [path.name for path in tmp_path.iterdir()] == ["output.log"]
    assert whole(tmp_path / "output.log") == b"one\ntwo\n"


def test_of_long_output_the_head_and_the_end_are_on_the_disk_at_every_moment(tmp_path: Path) -> None:
    log = CappedLog(str(tmp_path / "output.log"), head=800, piece=400)
    for number in range(10_000):
        log.write(b"%07d\n" % number)
        if number % 977 == 0:  # nobody closed it: this is what a kill would leave
            assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 800 + 2 * 400
            assert whole(tmp_path / "output.log").endswith(b"%07d\n" % number)
    log.close()
    text = whole(tmp_path / "output.log")
    assert text.startswith(lines(0, 100))
    head, gap, tail = text.partition("\n… ".encode())
    kept = len(head) + len(tail.split("…\n".encode())[1])
    assert gap and f"{80_000 - kept:,} bytes of output left out here".encode() in tail


def test_a_reader_follows_what_is_written_through_all_pieces(tmp_path: Path) -> None:
    log, reader, seen = (
        CappedLog(str(tmp_path / "output.log"), head=64, piece=32),
        LogReader(tmp_path / "output.log"),
        b"",
    )
    for number in range(200):
        log.write(b"%07d\n" % number)
        while data := reader.read():
            seen += data
    assert seen == lines(0, 200)  # one that keeps up misses nothing
    assert LogReader(tmp_path / "no such file").read() == b""


@given(st.lists(st.binary(max_size=300), max_size=40), st.integers(1, 500), st.integers(1, 200))
def test_whatever_the_chunks_head_and_end_are_right(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes], head: int, piece: int
) -> None:
    path = tmp_path_factory.mktemp("log") / "output.log"
    log = CappedLog(str(path), head=head, piece=piece)
    for chunk in chunks:
        log.write(chunk)
    log.close()
    written, text = b"".join(chunks), whole(path)
    if len(written) <= head + 2 * piece:
        assert text.startswith(written[:head])
    assert text.startswith(written[:head])
    assert text.endswith(written[-min(piece, max(1, len(written))) :] if written else b"")


def test_a_copy_can_be_shorter_still(tmp_path: Path) -> None:
    (tmp_path / "output.log").write_bytes(lines(0, 1000))
    text = whole(tmp_path / "output.log", most=160)
    assert text.startswith(lines(0, 10)) and text.endswith(lines(990, 1000))
    assert b"7,840 bytes of output left out here" in text
    assert whole(tmp_path / "output.log", most=8000) == lines(0, 1000)


def test_a_disk_that_refuses_costs_output_and_nothing_else(tmp_path: Path) -> None:
    log = CappedLog("/dev/full")
    log.write(b"x" * 10)
    assert log.failed is not None and log.failed.errno == 28
    log.close()
