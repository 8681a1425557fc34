"""A status report: what was searched, the best so far, what the trials say, what happened. From a report's data to text. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from outlast.results.findings import at_length, number
from outlast.results.follow_ups import afterwards
from outlast.results.prose import Block, Bullets, Code, Heading, Paragraph, Table

_MOST_INCIDENTS = 40
_MOST_GROUPS = 15
_MOST_ON_FRONT = 30

Data = Mapping[str, Any]  # as `outlast.results.page_data.page_data` makes it


def status_report(data: Data) -> list[Block]:
    """The report of one study, dated.

    Args:
        data: What a report's page shows, with ``facts`` (`outlast.results.report_facts.report_facts`).
    """
    study = data["study"]
    return [
        Heading(f"{study['name']}: {study['state'] or 'not run yet'}, {data['made_at'][:10]}", 1),
        Paragraph(_standing(data)),
        Heading("What was searched"),
        Bullets(searched(data)),
        space_table(data),
        Heading("The best so far"),
        *_best(data),
        Heading("What the trials say"),
        *(
            block
            for heading, said in at_length(data["facts"]["analysis"])
            for block in (Heading(heading, 3), Bullets(said))
        ),
        *_importances(data),
        *_failures(data),
        *_incidents(data),
        Heading("Where it ran"),
        Bullets(where_it_ran(data)),
    ]


def searched(data: Data) -> list[str]:
    """What was optimised, by what, within which budget."""
    study = data["study"]
    goals = ", ".join(f"{metric['name']} ({metric['goal']})" for metric in study["metrics"])
    rows = (
        ("metric", goals),
        ("command", study["command"]),
        ("sampler", study["sampler"]),
        ("pruner", study["pruner"]),
        ("budget", study["budget"]),
        ("for each trial", study["resources"]),
    )
    return [f"{label}: {text}" for label, text in rows if text]


def space_table(data: Data) -> Table:
    """The search space: bounds, scale, choices, conditions."""
    space = [*data["space"], *data["facts"]["drawn"]]
    rows = [[row["name"], row["distribution"].replace("_", " "), _range(row), _when(row)] for row in space]
    return Table(["parameter", "distribution", "values", "only where"], rows, "The search space")


def top_table(data: Data, most: int = 10) -> Table:
    """The best configurations: a row each, a column for each objective and each parameter that differs."""
    study, top = data["study"], data["facts"]["top"][:most]
    names = list(dict.fromkeys(name for each in top for name in each["params"]))
    constant = {name for name in names if len(top) > 1 and len({json.dumps(e["params"].get(name)) for e in top}) == 1}
    shown = [name for name in names if name not in constant]
    header = ["trial", *(metric["name"] for metric in study["metrics"]), *shown]
    rows = [
        [
            str(each["trial"]),
            *(number(value, 6) for value in each["values"]),
            *(_cell(each["params"].get(n)) for n in shown),
        ]
        for each in top
    ]
    same = "; ".join(f"{name} = {_cell(top[0]['params'][name])}" for name in names if name in constant)
    caption = f"The best {len(top)} configurations of {study['name']}" + (f", all with {same}" if same else "")
    return Table(header, rows, caption, range(1 + len(study["metrics"])))


def where_it_ran(data: Data) -> list[str]:
    """Hosts, cards, code, versions."""
    environment = data["environment"]
    rows = (
        ("Outlast", environment["outlast"]),
        ("code", ", ".join(environment["code"])),
        ("hosts", ", ".join(environment["hosts"])),
        ("GPUs", ", ".join(environment["gpus"])),
        ("seed of the study", str(environment["study_seed"])),
    )
    return [f"{label}: {text}" for label, text in rows if text]


def _standing(data: Data) -> str:
    study = data["study"]
    counts = ", ".join(f"{count} {state}" for state, count in study["counts"].items() if count) or "no trials"
    target = f" of {study['target']}" if study["target"] is not None else ""
    reason = f" ({study['reason']})" if study["reason"] else ""
    began, ended = data["facts"]["when"]
    when = f" First start {_time(began)}, last end {_time(ended)} (UTC)." if began and ended else ""
    warned = "".join(f" {text}." for text in study["warnings"][:5])
    return f"{study['counted']}{target} trials counted{reason}: {counts}.{when}{warned}"


def _best(data: Data) -> list[Block]:
    best = data["best"]
    if best is None:
        return [Paragraph("No trial has completed.")]
    names = [metric["name"] for metric in data["study"]["metrics"]]
    values = ", ".join(f"{name} {number(value, 6)}" for name, value in zip(names, best["values"], strict=False))
    blocks: list[Block] = [Paragraph(f"Trial {best['trial']}: {values}."), Code(best["yaml"], "yaml")]
    if best["command"]:
        blocks.append(Code(best["command"], "sh"))
    front = data["study"]["pareto"]
    if front:
        more = f" and {len(front) - _MOST_ON_FRONT} more" if len(front) > _MOST_ON_FRONT else ""
        blocks.append(Paragraph(f"On the Pareto front: trials {', '.join(map(str, front[:_MOST_ON_FRONT]))}{more}."))
    return [*blocks, *afterwards(data), top_table(data)]


def _importances(data: Data) -> list[Block]:
    found = data["facts"]["importances"]
    rows = [
        [each["name"], number(each["value"], 2), f"{number(each['low'], 2)} to {number(each['high'], 2)}"]
        for each in found
    ]
    if not rows:
        return []
    note = data["facts"]["importances_note"]
    return [
        Heading("What matters", 3),
        Paragraph(note),
        Table(["parameter", "share", "interval"], rows, "Importances", [1]),
    ]


def _failures(data: Data) -> list[Block]:
    rows = []
    for group in data["facts"]["failures"][:_MOST_GROUPS]:
        shared = [f"{name} = {_cell(value)}" for name, value in group["shared"].items()]
        shared += [f"{each['parameter']} {each['is']} {number(each['than'], 3)}" for each in group["ranges"]]
        rows.append([str(len(group["trials"])), group["cause"].replace("_", " "), group["reason"], ", ".join(shared)])
    return (
        [Heading("What failed"), Table(["trials", "cause", "reason", "they share"], rows, "Failures", [0])]
        if rows
        else []
    )


def _incidents(data: Data) -> list[Block]:
    found = data["facts"]["incidents"]
    if not found:
        return []
    left_out = [f"{len(found) - _MOST_INCIDENTS} earlier ones are left out"] if len(found) > _MOST_INCIDENTS else []
    shown = [
        f"{_time(each['at'])} {_WHAT[each['what']]}{each['text']}{_until(each)}" for each in found[-_MOST_INCIDENTS:]
    ]
    return [Heading("What happened, and what became of it"), Bullets([*left_out, *shown])]


def _until(each: Data) -> str:
    return f", until {_time(each['until'])}" if each.get("times", 1) > 1 else ""


_WHAT = {"fault": "", "revision": "the study file was changed: ", "ended": "the search was "}


def _range(row: Data) -> str:
    if "value" in row:
        return f"always {_cell(row['value'])}"
    if "choices" in row:
        return ", ".join(map(_cell, row["choices"]))
    step = f" in steps of {number(row['step'])}" if "step" in row else ""
    scale = ", on a logarithmic scale" if row["log"] else ""
    return f"{number(row['low'])} to {number(row['high'])}{step}{scale}"


def _when(row: Data) -> str:
    conditions = row.get("when") or {}
    return " and ".join(f"{name} is {' or '.join(map(_cell, values))}" for name, values in conditions.items())


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return number(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _time(at: str) -> str:
    return at[:16].replace("T", " ")
