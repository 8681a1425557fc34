"""One output of a notebook's cell that is brought up to date in place."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class Page(Struct, frozen=True):
    """The same for whoever shows HTML, and for whoever shows text only."""

    html: str
    plain: str

    @property
    def bundle(self) -> dict[str, str]:
        """By media type, as Jupyter's messages have it (https://jupyter-client.readthedocs.io/en/stable/messaging.html)."""
        return {"text/html": self.html, "text/plain": self.plain}


class CellOutput:
    """Shown first where the cell runs, then replaced there: one output, however long the search takes."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._before: Page | None = None

    def show(self, page: Page) -> None:
        """Put a page in the place of the one before; nothing is sent where it is the same."""
        if page == self._before:
            return
        self._before = page
        if self._handle is None:
            from IPython.display import display

            self._handle = display(page.bundle, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(page.bundle, raw=True)
