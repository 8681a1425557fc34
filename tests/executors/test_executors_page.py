"""The executor that docs/executors.md shows, run through the contract as the page says, and by a study."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

_PAGE = (Path(__file__).parents[2] / "docs" / "executors.md").read_text()
_EXECUTOR, _TESTS = re.findall(r"^```python\n(.*?)^```$", _PAGE, re.DOTALL | re.MULTILINE)

_lab, _queue = types.ModuleType("my_lab"), types.ModuleType("my_lab.queue")
sys.modules.update({"my_lab": _lab, "my_lab.queue": _queue})
exec(_EXECUTOR, _queue.__dict__)
_shown: dict[str, type] = {}
exec(_TESTS, _shown)


class TestBackground(_shown["TestBackground"]):  # type: ignore[misc]
    """Pytest collects it from here."""


#: The rest of the contract is `JobExecutor`'s, and shown for it elsewhere.
_OWN = ("starts_the_runner", "goes_to_its_log", "outlives", "killed", "cancel_ends")
for _name in dir(TestBackground):
    if _name.startswith("test_") and not any(own in _name for own in _OWN):
        setattr(TestBackground, _name, None)
