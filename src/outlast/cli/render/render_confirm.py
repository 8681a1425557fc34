"""What ``outlast confirm`` prints: what is run, the ranking, what it comes to. Values in, renderables out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from outlast.cli.render.styled import Group, Text
from outlast.cli.render.text import LABELS, Command, Facts, Paragraph, Rows, next_line, one_line
from outlast.monitor.times import figure, metric_value

if TYPE_CHECKING:
    from rich.console import RenderableType

_MANY = 30  # seeds: nobody runs more of them because a line says so


def beginning(said: Mapping[str, Any], *, folder: str, ended: int) -> RenderableType:
    """What is going to be run.

    Args:
        said: What ``confirmation.json`` would say now.
        folder: Of the repetitions, as a person types it.
        ended: How many repetitions there are already.
    """
    many, seeds = len(said["ranking"]), len(said["seeds"])
    of = f"{said['trials_ended']} trials" + (
        "" if said["trials_ended"] == said["trials"] else " that have ended so far"
    )
    race = "; those that cannot win any more get no more of them" if said["racing"] else ""
    rows = [
        ("search", f"the best {many} of {of}, with {seeds} fresh seed{'' if seeds == 1 else 's'} each{race}"),
        ("folder", folder),
        ("so far", f"{ended} of {said['repetitions']['planned']} repetitions" if ended else ""),
    ]
    promise = Text("Resumable: you can safely stop and restart with the same command.", style="dim")
    title = Paragraph(Text.assemble(("CONFIRMING", "bold"), "  ", (one_line(said["search"]), "bold cyan")))
    return Group(title, Facts(rows, label_width=LABELS), Paragraph(promise, indent=2), Text())


def summary(said: Mapping[str, Any], *, search: str, folder: str, files: Mapping[str, str]) -> RenderableType:
    """What the repetitions say.

    Args:
        said: What ``confirmation.json`` says.
        search: The search's folder, as a person types it.
        folder: Of the repetitions.
        files: Label → path of what was written.
    """
    ended, planned = said["repetitions"]["ended"], said["repetitions"]["planned"]
    spared = f"{planned - ended} spared: they could change nothing" if said["final"] and planned > ended else ""
    failed = f"{said['repetitions']['failed']} failed" if said["repetitions"]["failed"] else ""
    best = said["best"]
    rows: list[tuple[str, str | Text]] = [
        ("runs", ", ".join(filter(None, (f"{ended} of {planned}", failed, spared)))),
        ("verdict", Text(said["verdict"], style="bold")),
        ("taken", "" if best is None else f"trial {best['trial']}: {best['reason']}"),
        ("front", _front(said)),
        ("note", _chosen_note(said)),
        *((label, path) for label, path in files.items()),
    ]
    parts: list[RenderableType] = [
        Text(),
        Paragraph(Text.assemble(("Confirmation", "bold"), "  ", (one_line(said["search"]), "bold cyan"))),
        _table(said),
        Text(),
        Facts(rows, label_width=LABELS),
    ]
    if said["seed_unused"]:
        text = "all repetitions of a configuration scored exactly alike: the script does not seem to use its seed"
        cure = "read OUTLAST_SEED in the script, or hand it over: --seed ${seed}; a model without any chance in it needs neither"
        parts += [Facts([("warning", text), ("", cure)], label_width=LABELS, label_style="bold yellow")]
    return Group(*parts, *_next(said, search, folder))


def laid_out(said: Mapping[str, Any], *, search: str, folder: str, waiting: int) -> RenderableType:
    """What waits to be run, and how.

    Args:
        said: What ``confirmation.json`` says.
        search: The search's folder.
        folder: Of the repetitions.
        waiting: How many of them have not ended.
    """
    many = "1 repetition waits" if waiting == 1 else f"{waiting} repetitions wait"
    return Group(
        Paragraph(Text(f"{many} in {folder}; {said['repetitions']['ended']} have ended"), indent=2),
        next_line(f"outlast run {folder}"),
        Command(f"outlast submit {folder}", label="or"),
        Command(f"outlast confirm {search}", label="then"),
    )


def _table(said: Mapping[str, Any]) -> RenderableType:
    name = said["metric"]["name"]
    extra = list(said["ranking"][0].get("preferred", {})) if said["ranking"] else []
    others = [metric["name"] for metric in said.get("metrics", [])[1:]]
    header = [
        "trial",
        one_line(name),
        "95% interval",
        "runs",
        "search",
        *map(one_line, [*others, *extra]),
        "to the best",
    ]
    rows = []
    for entry in said["ranking"]:
        failed = f" ({entry['failed']} failed)" if entry["failed"] else ""
        more = [_value(other, entry["objectives"][other]["mean"]) for other in others]
        more += [_value(word, entry["preferred"][word]) for word in extra]
        rows.append(
            [
                str(entry["trial"]), _value(name, entry["mean"]), _interval(name, entry), f"{entry['n']}{failed}",
                _value(name, entry["search_value"]), *more, _behind(entry),
            ]
        )  # fmt: skip
    taken = None if said["best"] is None else said["best"]["trial"]
    styles = {at: "bold" for at, entry in enumerate(said["ranking"]) if entry["trial"] == taken}
    return Rows(header, rows, right=frozenset({0, 1, 3, 4}), keep=5, styles=styles, packed="")


def _value(name: str, value: float | None) -> str:
    return "" if value is None else metric_value(name, float(value))


def _interval(name: str, entry: Mapping[str, Any]) -> str:
    return "" if entry["n"] < 2 else f"{_value(name, entry['low'])} to {_value(name, entry['high'])}"


def _behind(entry: Mapping[str, Any]) -> str:
    behind, left = entry["behind"], entry["dropped"]
    said = ""
    if behind is not None:
        half = "" if not behind["std"] else f" ± {figure(float(behind['high']) - float(behind['mean']))}"
        said = f"{figure(-float(behind['mean']))}{half}"
    return said + (f", out after {left['after']} seeds" if left is not None else "")


def _front(said: Mapping[str, Any]) -> str:
    front = said.get("pareto_front")
    if not front:
        return ""
    ran = "; all ran all seeds" if said["final"] else ""
    return f"trials {', '.join(map(str, front))}: by their means no other is as good in all objectives{ran}"


def _chosen_note(said: Mapping[str, Any]) -> str:
    """What the search said of the one that is taken, beside what fresh seeds say."""
    best, name = said["best"], said["metric"]["name"]
    if best is None:
        return ""
    was = next(entry["search_value"] for entry in said["ranking"] if entry["trial"] == best["trial"])
    if was is None:
        return ""
    return f"the search's own {_value(name, was)} for it is no part of its mean: it was chosen for that"


def _next(said: Mapping[str, Any], search: str, folder: str) -> list[RenderableType]:
    needed = said["seeds_that_would_tell"]
    if not said["final"]:
        return [next_line(f"outlast confirm {search}")]
    parts: list[RenderableType] = [] if said["best"] is None else [next_line(f"outlast refit {search}")]
    if needed is not None and len(said["seeds"]) < needed <= _MANY and not said["beyond_noise"]:
        parts.append(Command(f"outlast confirm {search} --seeds {needed}", label="to tell"))
    if said["repetitions"]["failed"]:
        parts.append(Command(f"outlast show {folder} failures", label="failures"))
    return parts
