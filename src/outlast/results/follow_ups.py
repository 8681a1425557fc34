"""What came after a search, in a text: the best again with fresh seeds, trained for good, scored on the test set. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from outlast.results.findings import number
from outlast.results.prose import Block, Paragraph, Table

Data = Mapping[str, Any]  # as `outlast.results.page_data.page_data` makes it


def afterwards(data: Data) -> list[Block]:
    """A paragraph for each follow-up study that there is, and the table of repetitions."""
    return [*confirmed(data), *_trained(data.get("refit") or {}), *_tested(data.get("evaluate") or {})]


def confirmed(data: Data) -> list[Block]:
    """What ``confirmation.json`` says: the verdict, and each configuration's mean with its interval."""
    said = data.get("confirm") or {}
    if not said.get("verdict"):
        return []
    level = f"{100 * (1 - said.get('error_level', 0.05)):.0f} % interval"
    rows = [
        [str(row["trial"]), str(row["n"]), number(row["mean"]), *_spread(row)]
        for row in said.get("ranking", ())
        if row["mean"] is not None
    ]
    header = ["trial", "runs", "mean", level, "standard deviation"]
    return [
        Paragraph(f"Repeated with fresh seeds: {said['verdict']}."),
        Table(header, rows, "The best configurations, repeated with fresh seeds", [0, 1, 2, 4]),
    ]


def verdict(data: Data) -> str | None:
    """What a confirmation came to, in a sentence's words."""
    found = (data.get("confirm") or {}).get("verdict")
    return None if found is None else str(found)


def _spread(row: Data) -> list[str]:
    """Interval and standard deviation, which one repetition has none of."""
    if row["n"] < 2 or row["low"] is None:
        return ["", ""]
    return [f"{number(row['low'])} to {number(row['high'])}", number(row["std"], 2)]


def _trained(said: Data) -> list[Block]:
    if not said.get("trainings"):
        return []
    done = sum(each["state"] == "complete" for each in said["trainings"])
    epochs = f" for {said['epochs']} epochs" if said.get("epochs") else ""
    why = f" ({said['why']})" if said.get("why") else ""
    return [
        Paragraph(
            f"Trained for good: trial {said['trial']}{why}{epochs}, {done} of {len(said['trainings'])} trainings done."
        )
    ]


def _tested(said: Data) -> list[Block]:
    if not said.get("looks"):
        return []
    last = said["looks"][-1]
    scores = ", ".join(f"{name} {number(value, 6)}" for name, value in last["scores"].items())
    times = {1: "once", 2: "twice"}.get(said["looked"], f"{said['looked']} times")
    models = f", the mean of {len(last['models'])} models" if len(last["models"]) > 1 else ""
    return [Paragraph(f"On the test set, which was looked at {times}: {scores}{models}.")]
