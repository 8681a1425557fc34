"""Trains what it is told to: lines of JSON ``{"task", "params", "seed"}`` in, ``{"curve"}`` or ``{"trouble"}`` out."""

from __future__ import annotations

import json
import math
import os
import sys
import warnings

from training import models, networks


def main() -> None:
    """Answer until the input ends."""
    warnings.filterwarnings("ignore")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        said = json.loads(line)
        train = getattr(networks if said["task"].startswith("net_") else models, said["task"])
        try:
            curve = train(said["params"], said["seed"])
            answer = {"curve": [value if math.isfinite(value) else None for value in curve]}
        except (ValueError, MemoryError) as error:
            answer = {"curve": [], "trouble": f"{type(error).__name__}: {error}"[:200]}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
