"""Pages of searches that never were."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.report_data import MADE_AT, data_of
from lab.searched import HOSTILE
from outlast.results.page_data import for_comparison
from outlast.results.report_page import report_page


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of each kind."""
    folder = tmp_path_factory.mktemp("pages")
    several = data_of(40), data_of(60), data_of(30, hostile=True)
    data: dict[str, dict[str, Any]] = {
        "small": data_of(240), "hostile": data_of(60, hostile=True), "two": data_of(80, objectives=2), "none": data_of(0),
        "compared": {"made_at": MADE_AT, "studies": list(map(for_comparison, several))},
    }  # fmt: skip
    found = {}
    for name, each in data.items():
        found[name] = folder / f"{name}.html"
        found[name].write_text(report_page(each, title=f"{name} {HOSTILE}"))
    return found
