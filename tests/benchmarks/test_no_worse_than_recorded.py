"""The quick form of the benchmarks: no count and no ratio is twice as bad as the one on record."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import bench
import pytest

pytestmark = [pytest.mark.alone, pytest.mark.slow]


def why_not() -> str | None:
    """Why system calls cannot be counted here, in the words of `.ci/system-packages`; ``None`` where they can."""
    if shutil.which("strace"):
        return None
    note = Path(sys.prefix) / ".without-system-packages"
    if not note.exists():
        raise RuntimeError("no strace found: `make test` installs it")
    return note.read_text().strip()


@pytest.mark.parametrize("part", bench.PARTS)
def test_no_count_and_no_ratio_is_twice_as_bad_as_recorded(part: str) -> None:
    if part == "command" and (reason := why_not()):
        pytest.skip(reason)
    for measured, times in bench.run_quick([part]):
        assert times is not None, f"{measured.title} is not on record: python benchmarks/bench.py --quick --record"
        assert times <= bench.TOO_BAD, f"{measured.title}: {times:.1f} times as bad as recorded, {measured.ours}"
