"""What a training prints: however much, and in whatever encoding."""

from __future__ import annotations

import time

import pytest

from lab.faults import FaultLab

pytestmark = pytest.mark.slow


def test_a_gigabyte_of_output_is_taken_in_quickly_and_kept_within_a_cap(lab: FaultLab) -> None:
    lab.write_study_file("shout", [2])
    began = time.monotonic()
    lab.run()
    assert time.monotonic() - began < 90  # some seconds on an idle machine
    lab.check({})
    log = lab.paths.trial(2).log
    assert log.stat().st_size < 64 * 2**20
    text = log.read_bytes()
    assert text.startswith(b"epoch 0: score=") and text.count(b"\nepoch 2: score=") == 1
    assert b"bytes of output left out here" in text
    assert sorted(lab.trial(2).curve()) == [0, 1, 2]  # nothing that counts was lost in the flood


def test_bytes_that_are_no_text_and_a_progress_bar_do_no_harm(lab: FaultLab) -> None:
    lab.write_study_file("mumble", [2])
    lab.run()
    lab.check({})
    assert b"caf\xe9 \x80" in lab.paths.trial(2).log.read_bytes()
    assert lab.trial(2).value == lab.trial(2).curve()[2]  # not what the bar showed on its way
    assert "caf" in lab.outlast("logs", str(lab.folder), "2")
