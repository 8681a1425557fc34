"""Runs in an environment of its own, where nothing is installed."""

import importlib.util
import sys

visible = [name for name in ("optuna", "pydantic", "typer") if importlib.util.find_spec(name)]
if visible or not sys.prefix.endswith("environment"):
    sys.exit(f"this is not an environment of its own: {sys.prefix} holds {visible}")
x = float(sys.argv[1].partition("=")[2])
print("loss:", (x - 0.5) ** 2)
