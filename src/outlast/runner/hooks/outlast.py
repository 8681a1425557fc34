"""``import outlast`` in the training's Python.

Where the whole package is installed there, this module makes way for it. Otherwise it becomes `client.py`, the one file
that a training script needs, and has the callbacks for training frameworks in it.
"""

from __future__ import annotations

import sys

import outlast_hooks

_whole = outlast_hooks.installed_elsewhere("outlast")
if _whole is not None:
    outlast_hooks.load(_whole)  # takes this module's place; the import statement hands out what stands there
else:
    sys.modules["outlast"] = outlast_hooks.load_client("outlast")
