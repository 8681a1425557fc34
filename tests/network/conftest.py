from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.hosts import Share, why_not


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Share]:
    """A shared folder that hosts can mount."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    shared = Share(tmp_path / f"share-{uuid.uuid4().hex[:6]}", tmp_path)
    yield shared
    shared.close()
