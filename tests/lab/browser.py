"""A real headless Chromium, and what a page in it said and asked for."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")


def why_not() -> str | None:
    """Why there is no browser here, or ``None``: what `.ci/system-packages` could not install, in its words."""
    if _program() is not None:
        return None
    note = Path(sys.prefix) / ".without-system-packages"
    if not note.exists():
        raise RuntimeError("no Chromium found: `make test` installs it")
    return note.read_text().strip()


def _program() -> str | None:
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


@dataclass
class Opened:
    """A page that is open.

    Attributes:
        page: To look at and to touch.
        said: What it wrote on the console, errors and refusals of its policy among it.
        asked: Every address that it asked for, itself left out.
    """

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def count(self, selector: str) -> int:
        """How many elements there are."""
        return self.page.locator(selector).count()

    def text(self, selector: str) -> str:
        """What an element says."""
        return self.page.locator(selector).first.inner_text()


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, for as long as it is needed. Its own sandbox needs what a container does not give."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=_program(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def opened(
    browser: Browser, file: Path, *, width: int = 1280, height: int = 900, dark: bool = False
) -> Iterator[Opened]:
    """A page from a file, drawn."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    try:
        page = context.new_page()
        page.set_default_timeout(30_000)
        found = Opened(page)
        page.on("console", lambda message: found.said.append(message.text))
        page.on("pageerror", lambda error: found.said.append(str(error)))
        page.on("request", lambda request: found.asked.append(request.url))
        page.goto(file.as_uri())
        page.wait_for_function("window.outlastReady")
        found.asked.remove(file.as_uri())
        yield found
    finally:
        context.close()
