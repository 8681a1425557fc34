"""Whatever a page, a docstring or a comment refers to is in the repository."""

from __future__ import annotations

import functools
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_TOPMOST = {"src", "tests", "docs", "benchmarks", "examples"}
#: Names of papers that were written beside the code, and are not in it.
_ABSENT = re.compile(
    r"\b(?:(?:DESIGN|REQUIREMENTS|STYLE|ROADMAP|NOTES|PLAN|TODO|ISSUES?|RULES)\b|(?!README|CONTRIBUTING|CHANGELOG)[A-Z]{3,}\.md)"
)
_ITSELF = "tests/docs/test_references.py"


@functools.cache
def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    found = listed or [str(path.relative_to(ROOT)) for top in _TOPMOST for path in (ROOT / top).rglob("*.*")]
    ours = (name for name in found if name.endswith((".py", ".md", ".toml", ".yaml", ".c", "Makefile")))
    return [
        name for name in ours if not re.match(r"tests/archive/\d", name) and (ROOT / name).exists() and name != _ITSELF
    ]


def pages() -> list[str]:
    return [name for name in tracked() if name.endswith(".md")]


@functools.cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text()


# papers


def absent_papers(text: str) -> list[str]:
    return _ABSENT.findall(text)


def test_nothing_refers_to_a_paper_that_is_not_here() -> None:
    assert {name: found for name in tracked() if (found := absent_papers(text_of(name)))} == {}


# links


def anchors_of(text: str) -> set[str]:
    """The headings of a page as GitHub names them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(name: str, text: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", target):
            continue
        path, _, anchor = target.partition("#")
        place = (ROOT / name).parent / path if path else ROOT / name
        if not place.exists() or (anchor and anchor not in anchors_of(text if not path else place.read_text())):
            yield target


@pytest.mark.parametrize("name", pages())
def test_every_link_leads_somewhere(name: str) -> None:
    assert list(dead_links(name, text_of(name))) == []


def test_every_page_is_linked_from_the_readme_or_from_one_that_is() -> None:
    reached, waiting = set[str](), ["README.md"]
    while waiting:
        name = waiting.pop()
        if name in reached or not name.endswith(".md"):
            continue
        reached.add(name)
        targets = (target.partition("#")[0] for target in re.findall(r"\]\(([^)\s]+)\)", text_of(name)))
        waiting += [os.path.normpath(os.path.join(os.path.dirname(name), target)) for target in targets
                    if target and not target.startswith("http")]  # fmt: skip
    assert {f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")} - reached == set()


# paths


def paths_in(text: str) -> set[str]:
    """Paths of source, tests and pages that a text speaks of; rooms are named from ``src/outlast``."""
    rooms = "|".join(
        path.name for path in (ROOT / "src" / "outlast").iterdir() if path.is_dir() and "__" not in path.name
    )
    return {
        found.rstrip("/.")
        for found in re.findall(
            rf"(?<![\w/.-])((?:src|tests|docs|benchmarks|examples|{rooms})/[\w/.-]*\w/?)(?![\w*<{{])", text
        )
    }


def missing_paths(text: str) -> list[str]:
    places = (ROOT, ROOT / "src" / "outlast", ROOT / "tests")
    return sorted(
        path for path in paths_in(text)
        if not re.match(r"config/.*\.yaml$", path)  # a person's own: our room of that name holds none
        and not any((place / path).exists() or (place / f"{path}.py").exists() for place in places)
    )  # fmt: skip


@pytest.mark.parametrize("name", [name for name in pages() if name != "CHANGELOG.md"])
def test_every_path_of_a_page_is_there(name: str) -> None:
    assert missing_paths(text_of(name)) == []


def test_every_file_that_a_docstring_or_comment_names_is_there() -> None:
    wrong = {
        name: missing
        for name in tracked()
        if name.startswith("src/") and name.endswith(".py")
        and (missing := [path for path in missing_paths(text_of(name)) if path.endswith((".py", ".md"))])
    }  # fmt: skip
    assert wrong == {}


def test_the_single_test_of_the_contributors_page_is_one() -> None:
    (path, words) = re.findall(r"pytest (\S+) -k (\w+)", text_of("CONTRIBUTING.md"))[0]
    assert re.search(rf"^def test_\w*{words}", text_of(path), re.MULTILINE)


# that it is noticed


def test_what_is_not_there_is_noticed() -> None:
    assert absent_papers('as DESIGN says ("How a trial ends"), see HANDBOOK.md') == ["DESIGN", "HANDBOOK.md"]
    assert absent_papers("see README.md and CONTRIBUTING.md; PLANET, DESIGNS") == []
    wrong = "[a](nowhere.md) [b](cli.md#no-such-heading) [c](cli.md#outlast-run) [d](#none)\n# some\n"
    assert list(dead_links("docs/x.md", wrong)) == ["nowhere.md", "cli.md#no-such-heading", "#none"]
    assert missing_paths("its rule in `core/faults.py`, or core/fault.py, tests/nowhere, `docs/cli.md`.") == [
        "core/fault.py",
        "tests/nowhere",
    ]
