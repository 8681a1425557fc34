"""A log that two processes append to is short whoever of them turns it over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """\
import os, sys
from outlast._system.turning_log import append_words, keep_output_short

os.write(1, b"old" * 40)
append_words(sys.argv[1], "theirs\\n", most=int(sys.argv[2]))
keep_output_short(sys.argv[1], most=100)
os.write(1, b"new")
keep_output_short(sys.argv[1], most=100)
os.write(2, b"er")
"""


@pytest.mark.parametrize(("most", "left"), [(100, "theirs\nnewer"), (1000, "newer")], ids=["the other", "its own"])
def test_output_goes_on_in_the_new_part(tmp_path: Path, most: int, left: str) -> None:
    log = tmp_path / "run.log"
    with open(log, "ab") as file:
        argv = [sys.executable, "-c", PROGRAM, str(log), str(most)]
        subprocess.run(argv, stdout=file, stderr=file, check=True, timeout=60)
    assert log.read_text() == left
    assert (tmp_path / "run.log.1").read_text().startswith("old" * 40)
