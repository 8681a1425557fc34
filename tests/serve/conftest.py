"""One campaign and one server for many tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from lab.browser import chromium, why_not
from lab.searched import HOSTILE
from lab.served import Running, Server, four, served

expect.set_options(timeout=60_000)  # milliseconds; five seconds by default, which a busy machine takes for a look


@pytest.fixture(scope="package")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served") / "maximal"


@pytest.fixture(scope="package")
def campaign(root: Path) -> Iterator[dict[str, Running]]:
    with four(root, 60, hostile=True) as found:
        yield found


@pytest.fixture(scope="package")
def server(root: Path, campaign: dict[str, Running]) -> Iterator[Server]:
    assert campaign
    with served(root) as found:
        yield found


@pytest.fixture(scope="package")
def keys(server: Server) -> dict[str, str]:
    """What a page calls each study."""
    return {each["study"].removesuffix(HOSTILE): each["key"] for each in server.data("/api/board")["data"]["studies"]}


@pytest.fixture(scope="module")  # no longer: while it is open, nothing else of asyncio runs in this thread
def browser() -> Iterator[Browser]:
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with chromium() as found:
        yield found
