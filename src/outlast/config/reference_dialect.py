"""The ``search_space`` / ``sampling`` / ``objective`` dialect, translated into ours key by key.

It names no command: `command` or `function`, and those of our keys that it has no word for, may stand beside it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from outlast._system.platforms import studies_folder
from outlast.config.mlflow_file import tracking_as_mapping
from outlast.config.native import STUDY_FILE
from outlast.config.scalars import Anything, Flag, Number, Text, Word
from outlast.config.shapes import At, Fields, ListOf, MapOf
from outlast.config.yaml import Document

_TYPES = {
    "choice": "categorical",
    "uniform": "uniform",
    "loguniform": "log_uniform_values",
    "int": "int_uniform",
    "loguniform_int": "int_log_uniform",
}
_ALGORITHMS = {
    "random": "random",
    "bayesian": "tpe",
    "tpe": "tpe",
    "gp": "gp",
    "cmaes": "cmaes",
    "grid": "grid",
    "sobol": "qmc",
    "nsga2": "nsga2",
}
_GOALS = {"maximize": "maximize", "minimize": "minimize", "Maximize": "maximize", "Minimize": "minimize"}

_PARAMETER = Fields(
    {"type": Word(tuple(_TYPES)), "values": ListOf(Anything(), least=1), "min": Number(), "max": Number()},
    required=("type",),
)
_OWN: dict[str, Any] = {
    "search_space": MapOf(_PARAMETER, least=1),
    "sampling": Fields(
        {
            "algorithm": Word(tuple(_ALGORITHMS)),
            "max_trials": Number(whole=True, least=1),
            "timeout_minutes": Number(above=0),
            "random_seed": Number(whole=True, least=0),
        }
    ),
    "objective": Fields({"metric": Text(), "goal": Word(tuple(_GOALS))}, required=("metric", "goal")),
    "early_termination": Fields(
        {
            "policy": Word(("bandit", "median", "none")),
            "evaluation_interval": Number(whole=True, least=1),
            "slack_factor": Number(least=0),
            "slack_amount": Number(least=0),
            "delay_evaluation": Number(whole=True, least=0),
        },
        required=("policy",),
    ),
    "k_fold": Fields(
        {
            "enabled": Flag(),
            "n_splits": Number(whole=True, least=2),
            "random_seed": Number(whole=True),
            "shuffle": Flag(),
            "stratified": Flag(),
            "ids": Text(),  # this and the next are ours: folds of documents, not of what they consist of
            "group": Text(),
        }
    ),
    "checkpoint": Fields(
        {
            "enabled": Flag(),
            "storage_path": Text(),
            "auto_resume": Flag(),
            "study_name": Text(),
            "save_only_best": Flag(),
        }
    ),
    "mlflow": Anything(),
}
ONLY_KEYS = tuple(_OWN)
#: Our keys that this dialect has its own word for: both together would be a mixture.
COUNTERPARTS = ("parameters", "budget", "sampler", "metric", "goal", "pruner", "index")
HPO_FILE = Fields({**_OWN, **{k: shape for k, shape in STUDY_FILE.shapes.items() if k not in COUNTERPARTS}})


def translate(document: Document) -> tuple[Document, tuple[str, ...]]:
    """The same study in our dialect, and what was noted on the way.

    Raises:
        StudyFileError: An unknown key, a wrong type, a part that is missing.
    """
    at = At(document)
    told = _refit(document)
    values = HPO_FILE.read(document.data, at)
    out = Document({}, document.file, {(): document.place(())})
    for key, value in document.data.items():
        if key not in ONLY_KEYS:
            out.put((key,), value, (key,), document)
    if "search_space" in values:
        _space(values["search_space"], at, out)
    _sampling(values.get("sampling", {}), document, out)
    if "objective" in values:
        objective = values["objective"]
        metric = {"name": objective["metric"], "goal": _GOALS[objective["goal"]]}
        out.put(("metric",), metric, ("objective",), document)
    _early_termination(values.get("early_termination", {"policy": "none"}), document, out)
    _folds(values.get("k_fold", {}), document, out)
    notes = _checkpoint(values.get("checkpoint", {}), values.get("search_space", {}), document, out)
    if values.get("mlflow") is not None:
        merged = {**tracking_as_mapping(out.data.get("tracking")), "mlflow": values["mlflow"]}
        out.put(("tracking",), merged, ("mlflow",), document)
    return out, (*notes, *told, *_selection(out))


def _selection(out: Document) -> list[str]:
    """Accuracy first, then speed: what `outlast confirm` decides by (that project's "Model Selection Strategy").

    Its minimum gain of a slower model is a tolerance as well: whichever of the two is larger holds.
    """
    given = out.data.get("selection")
    if not isinstance(given, Mapping) or not isinstance(given.get("accuracy_threshold"), (int, float)):
        return []
    gain = given.get("min_accuracy_gain")
    within = max(float(given["accuracy_threshold"]), float(gain) if isinstance(gain, (int, float)) else 0.0)
    prefer = {"metric": "latency_ms", "within": within, "relative": given.get("use_relative_threshold") is not False}
    del out.data["selection"]
    if isinstance(out.data.get("confirm"), Mapping) and "prefer" in out.data["confirm"]:
        return []
    out.put(("confirm", "prefer"), prefer, ("selection",), out)
    return [
        "`selection`: what `outlast confirm` decides by; the training reports its latency_ms, or confirm.prefer names another"
    ]


def _refit(document: Document) -> list[str]:
    """Whether there is a refit at the end of the search is not for the search to say: ours is a command of its own."""
    given = document.data.get("refit")
    if not isinstance(given, Mapping) or "enabled" not in given:
        return []
    document.data["refit"] = {key: value for key, value in given.items() if key != "enabled"}
    return ["`refit.enabled`: not used; when the search is done, `outlast refit` trains the best again"]


def _space(space: Mapping[str, Any], at: At, out: Document) -> None:
    for name, definition in space.items():
        here = at.child("search_space").child(name)
        kind = definition["type"]
        needed = ("values",) if kind == "choice" else ("min", "max")
        for key in needed:
            if key not in definition:
                raise here.error(f"{kind} needs `{key}`", f"add `{key}: …`")
        for key in definition:
            if key not in (*needed, "type"):
                raise here.child(key).error(f"means nothing for {kind}; allowed: {', '.join(('type', *needed))}")
        figures = {key: list(v) if isinstance(v, tuple) else v for key, v in definition.items() if key != "type"}
        word = _TYPES[kind]
        if kind == "loguniform" and all(isinstance(figures[key], int) for key in ("min", "max")):
            word = "int_log_uniform"
        out.put(("parameters", name), {**figures, "distribution": word}, ("search_space", name), at.document)


def _sampling(sampling: Mapping[str, Any], document: Document, out: Document) -> None:
    source = "sampling"
    out.put(("budget", "count"), ["complete"], (source,), document)  # as that project counts what remains
    if "algorithm" in sampling or "random_seed" in sampling:
        sampler: dict[str, Any] = {"name": _ALGORITHMS[sampling["algorithm"]] if "algorithm" in sampling else "auto"}
        if "random_seed" in sampling:
            sampler["seed"] = sampling["random_seed"]
        out.put(("sampler",), sampler, (source, "algorithm" if "algorithm" in sampling else "random_seed"), document)
    if "max_trials" in sampling:
        out.put(("budget", "trials"), sampling["max_trials"], (source, "max_trials"), document)
    if "timeout_minutes" in sampling:
        out.put(("budget", "time"), sampling["timeout_minutes"] * 60, (source, "timeout_minutes"), document)


def _early_termination(policy: Mapping[str, Any], document: Document, out: Document) -> None:
    options = {key: value for key, value in policy.items() if key != "policy"}
    if policy["policy"] == "none":
        return
    if policy["policy"] == "median":  # Optuna's words for the same
        words = {"evaluation_interval": "interval_steps", "delay_evaluation": "n_warmup_steps"}
        options = {words[key]: value for key, value in options.items() if key in words}
    out.put(("pruner",), {"name": policy["policy"], **options}, ("early_termination",), document)


def _folds(k_fold: Mapping[str, Any], document: Document, out: Document) -> None:
    if not k_fold.get("enabled", bool(k_fold)):
        return
    folds: dict[str, Any] = {"n": k_fold.get("n_splits", 5)}
    words = {"random_seed": "seed", "shuffle": "shuffle", "stratified": "stratify", "ids": "ids", "group": "group"}
    folds |= {words[key]: value for key, value in k_fold.items() if key in words}
    out.put(("trial", "folds"), folds, ("k_fold",), document)


def _checkpoint(
    checkpoint: Mapping[str, Any], space: Mapping[str, Any], document: Document, out: Document
) -> list[str]:
    """Where and how the study is kept."""
    notes: list[str] = []
    index: dict[str, Any] = {}
    kept = not checkpoint or checkpoint.get("enabled", False)
    if not kept:
        index["in_memory"] = True
    elif "storage_path" in checkpoint:
        index["url"] = _store(checkpoint["storage_path"])
    if checkpoint.get("auto_resume") is False:
        index["auto_resume"] = False
    if index:
        out.put(("index",), index, ("checkpoint",), document)
    if "study_name" in checkpoint:
        out.put(("name",), checkpoint["study_name"], ("checkpoint", "study_name"), document)
    if kept:
        notes += _one_for_each(f"{index.get('url', '')} {checkpoint.get('study_name', '')}", space, document, out)
    if checkpoint.get("save_only_best") and "checkpoints" not in out.data:
        out.put(("checkpoints", "keep"), 1, ("checkpoint", "save_only_best"), document)
        notes.append("`save_only_best` becomes `checkpoints: {keep: 1}`")
    return notes


def _store(path: str) -> str:
    """Where the store lies: below the folder that studies lie in, which is that project's ``output_dir``."""
    return (
        path if "://" in path or path.startswith(("~", "$")) else os.path.abspath(os.path.join(studies_folder(), path))
    )


def _one_for_each(paths: str, space: Mapping[str, Any], document: Document, out: Document) -> list[str]:
    """A choice that a path names, such as ``{backbone}``, is not searched: each of its values is a study of its own."""
    notes: list[str] = []
    if document.data.get("matrix", {}) is None:
        return notes
    for name in dict.fromkeys(re.findall(r"(?<![{$])\{([^{}]+)\}", paths)):
        if name in space and space[name]["type"] == "choice" and name not in out.data.get("matrix", ()):
            source = ("search_space", name, "values")
            out.put(("matrix", name), list(space[name]["values"]), source, document)
            notes.append(f"`{{{name}}}` stands in `checkpoint`: one study for each of its values")
    return notes
