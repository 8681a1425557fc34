"""The card of an exported model: README.md with a head in YAML, as Hugging Face's hub reads it. Pure.

https://huggingface.co/docs/hub/model-cards (head), https://huggingface.co/docs/hub/eval-results (``model-index``)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from outlast.config import yaml_writer


def model_card(facts: Mapping[str, Any], *, files: Mapping[str, str], told: Sequence[str] = ()) -> str:
    """The card.

    Args:
        facts: What ``metrics.json`` says, with ``params``, the whole configuration.
        files: What the folder holds: name → what it is.
        told: What a reader should know, a sentence each.
    """
    name, search = str(facts["study"]), facts["search"]
    lines = [
        f"# {name}",
        "",
        f"The configuration of trial {search['trial']} of the search `{name}`: {facts['why']}.",
        *_trained(facts),
        *(f"\n{_sentence(line)}" for line in told),
        "",
        "## How good it is",
        "",
        *_scores(facts),
        "",
        "## Configuration",
        "",
        *_table(
            [(f"`{key}`", f"`{_figure(value)}`") for key, value in facts["params"].items()], ("parameter", "value")
        ),
        "",
        "## What is here",
        "",
        *_table([(f"`{key}`", about) for key, about in files.items()], ("file", "what it is")),
        "",
    ]
    return f"---\n{yaml_writer.dump(_head(facts, files))}---\n\n" + "\n".join(lines)


def _trained(facts: Mapping[str, Any]) -> list[str]:
    """How it was trained for good; nothing where it was not."""
    refit = facts["refit"]
    if refit is None:
        return []
    number = refit["trained_for"].get("epochs")
    long = "" if number is None else f", for {number} epoch{'' if number == 1 else 's'}"
    return ["", f"It was trained once more for good, with seed {refit['seed']}{long}."]


def _head(facts: Mapping[str, Any], files: Mapping[str, str]) -> dict[str, Any]:
    test = _test(facts)
    metrics = list(test["scores"]) if test else [facts["metric"]["name"]]
    head: dict[str, Any] = {
        "tags": ["hyperparameter-search", "outlast"],
        "metrics": metrics,
    }
    if facts["pretrained"]:
        head["library_name"] = "transformers"
    if test:
        results = [{"type": key, "name": key, "value": value} for key, value in test["scores"].items()]
        dataset = {"type": "unknown", "name": "the test set of the study"}
        result = {"task": {"type": "other"}, "dataset": dataset, "metrics": results}
        head["model-index"] = [{"name": facts["study"], "results": [result]}]
    return head


def _test(facts: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first look at the test set with this model."""
    looks = (facts["test"] or {}).get("looks", ())
    mine: Mapping[str, Any] | None = next((look for look in looks if look["of_this_model"]), None)
    return mine


def _scores(facts: Mapping[str, Any]) -> list[str]:
    search, test = facts["search"], _test(facts)
    rows = [("the search's validation", _values(search["scores"]), "the best of many by this very score: too good")]
    confirmed = facts["confirm"]
    if confirmed is not None and confirmed.get("mean") is not None:
        n = confirmed.get("n") or 1  # one training says nothing of the noise
        known = n > 1 and confirmed.get("low") is not None
        between = f" ({_figure(confirmed['low'])} to {_figure(confirmed['high'])})" if known else ""
        of = "of one training" if n == 1 else f"mean of {n} trainings"
        rows.append(("fresh seeds", f"{_figure(confirmed['mean'])}{between}", of))
    if test:
        looked = facts["test"]["looked"]
        said = "looked at once" if looked == 1 else f"the test set was looked at {looked} times in all"
        rows.append(("**test**", f"**{_values(test['scores'])}**", said))
    else:
        looked = facts["test"]["looked"] if facts["test"] else 0
        times = "once" if looked == 1 else f"{looked} times"
        with_others = f"not of this model: the test set was looked at {times} with others"
        rows.append(("test", "not known", with_others if looked else "nobody has looked yet"))
    return _table(rows, ("on", "score", ""))


def _values(scores: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {_figure(value)}" for name, value in scores.items())


def _figure(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()).replace("|", "\\|").replace("`", "'")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _table(rows: Sequence[Sequence[str]], head: Sequence[str]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]
