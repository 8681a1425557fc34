"""The tests' page names every folder of tests, and what they share is written once."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
SOURCES = {path.relative_to(TESTS).as_posix(): path.read_text() for path in TESTS.rglob("*.py")}


def test_every_folder_of_tests_is_on_the_page() -> None:
    folders = {path.parent.name for path in TESTS.glob("*/test_*.py")}
    named = set(re.findall(r"\[(\w+)\]\(\1\)", (TESTS / "README.md").read_text()))
    assert named == folders


def test_waiting_is_written_once_and_modules_are_found_without_changing_the_path() -> None:
    assert [name for name, text in SOURCES.items() if re.search(r"^\s*def until\(", text, re.MULTILINE)] == [
        "lab/waiting.py"
    ]
    assert [name for name, text in SOURCES.items() if re.search(r"^\s*sys\.path\.insert", text, re.MULTILINE)] == []
