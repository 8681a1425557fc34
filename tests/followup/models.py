"""A training for good and a test of its model, as small as can be; and what the small search found."""

from __future__ import annotations

import json
import sys
from pathlib import Path

SEARCH = "studies/small"
PYTHON = [sys.executable, "-S", "-E"]
#: Trains for good: says no score, leaves a model.
FOR_GOOD = """\
import os, sys
folder = os.environ["OUTLAST_CHECKPOINT_DIR"]
with open("audit.txt", "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
if os.path.exists("broken"):
    raise ValueError("broken")
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, "last.pkl"), "w") as file:
    file.write(sys.argv[1])
"""
#: Scores a model: how long its name is.
TEST = """\
import os, sys
with open("looks.txt", "a") as file:
    file.write(open(sys.argv[1]).read() + "\\n")
if os.path.exists("broken"):
    raise ValueError("broken")
print(f"test_score={float(open(sys.argv[1]).read().split('=')[1]):.4f}")
"""
HOW = {"command": [*PYTHON, "test.py", "${model}"], "metric": "test_score"}


def best() -> tuple[int, str]:
    """The search's best trial, and the word that its training is given."""
    found = json.loads(Path(SEARCH, "best_results.json").read_text())["best"]
    return found["trial"], f"--x={found['params']['x']}"
