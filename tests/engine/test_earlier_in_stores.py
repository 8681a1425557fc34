"""Which folders beside a study's hold it as it was before ``--fresh``, and what its writers tell is lost by nobody."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

from outlast.core.fold import fold
from outlast.engine.derived.indexes import Indexes, earlier_studies
from outlast.study.layout import StudyPaths
from outlast.study.segments import read_ledger

RECORDED = Path(__file__).parents[1] / "archive" / "0.1.0-imported" / "study"


def test_only_a_folder_that_was_moved_aside_is_an_earlier_study(tmp_path: Path) -> None:
    names = [
        "run[1]",
        "run[1].bak",
        "run[1].v2",
        "run[1].20240501_120000",
        "run1.20240501_120000",
        "run[1].202405010_120000",
    ]
    for name in names:
        shutil.copytree(RECORDED, tmp_path / name)
    folder = tmp_path / "run[1]"
    own = fold(read_ledger(StudyPaths.at(folder).ledger).events).identity
    assert earlier_studies(folder, "what it is now") == {own: "run[1].20240501_120000"}
    assert earlier_studies(folder, own) == {}  # a copy of itself


class Telling:
    """A writer, as far as it tells."""

    def __init__(self) -> None:
        self.warnings: list[str] = []


def test_what_is_told_while_it_is_read_is_told_next_time() -> None:
    writer: Any = Telling()
    indexes, count = Indexes([writer]), 100_000
    thread = threading.Thread(target=lambda: [writer.warnings.append(str(n)) for n in range(count)])
    thread.start()
    told: list[str] = []
    while thread.is_alive():
        told += indexes.told()
    told += indexes.told()
    assert told == [str(n) for n in range(count)]
