"""How parameters are written: W&B's mappings, and the short forms ``log(1e-5, 1e-1)``, ``[a, b]``, ``20``.

Reads the ``parameters`` of a document into `Parameter` objects, and knows their JSON Schema.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from outlast.config import yaml
from outlast.config.shapes import At, Shape, show
from outlast.core.nearest import nearest
from outlast.errors import StudyFileError
from outlast.space.definitions import ALL_FIGURES, FIGURES, define
from outlast.space.lookalikes import figure_for
from outlast.space.parameters import Parameter, SpaceError

#: A parameter's name; dots nest it, ``+`` in front is Hydra's.
NAME = r"^\+{0,2}[A-Za-z_][A-Za-z0-9_@/:-]*(?:\.[A-Za-z0-9_][A-Za-z0-9_@/:-]*)*$(?!\n)"

_NUMBER = r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?"
#: The short forms with two figures → the distribution, and what its figures are called.
_FORMS = {
    "log": ("log_uniform_values", "min", "max"),
    "int": ("int_uniform", "min", "max"),
    "float": ("uniform", "min", "max"),
    "logint": ("int_log_uniform", "min", "max"),
    "normal": ("normal", "mu", "sigma"),
}
_RANGE = rf"^\s*({'|'.join(_FORMS)})\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)\s*$(?!\n)"
_CHOICE = r"^\s*choice\((.*\S.*)\)\s*$(?!\n)"
#: Other programs' calls: ``uniform(0, 1)``, ``tune.loguniform(1e-5, 1)``, ``trial.suggest_int('n', 1, 4)``.
_FOREIGN = {
    "float": "uniform|interval|suggest_float|suggest_uniform|uniform_float|real",
    "log": "loguniform|log_uniform|log_uniform_values|loginterval|suggest_loguniform|reciprocal",
    "int": "randint|int_uniform|integer|integers|range|suggest_int|uniform_int|randrange",
    "logint": "lograndint|int_log_uniform|log_int",
    "normal": "gauss|gaussian|randn|normalvariate",
    "choice": "choices|categorical|suggest_categorical|grid_search|one_of|sample_from|pchoice",
}
_CUT = rf"^\s*(?:{'|'.join((*_FORMS, 'choice', *_FOREIGN.values()))})\([^)]*$(?!\n)"
_DOTTED_CALL = rf"^\s*(?:[A-Za-z_][A-Za-z0-9_]*\.)+({'|'.join((*_FORMS, 'choice', *_FOREIGN.values()))})\(.*$(?!\n)"
_ANY_CALL = r"^\s*[A-Za-z_]+\(.*\)\s*$(?!\n)"


def definitions(group: Any, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """What `parameters` holds as a file has it: the keys that lead to each definition; a nested group before its own."""
    for key, definition in group.items() if isinstance(group, Mapping) else ():
        yield (*above, key), definition
        if holds_others(definition):
            yield from definitions(definition["parameters"], (*above, key))


def holds_others(definition: Any) -> bool:
    """Whether a definition is a group of nested parameters."""
    return isinstance(definition, Mapping) and isinstance(definition.get("parameters"), Mapping)


def is_short_form(text: str) -> bool:
    """Whether text is meant as a short form: it looks like a call."""
    return bool(re.search(_ANY_CALL, text))


def expand(value: Any, at: At) -> dict[str, Any]:
    """The W&B mapping that a parameter's value says in short.

    Raises:
        StudyFileError: An unknown short form, or wrong figures in it.
    """
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (list, tuple)):
        return {"values": list(value)}
    if value is None:
        raise at.error("says no value", "write `log(1e-5, 1e-1)`, `int(1, 4)`, `[a, b]`, or a number")
    if isinstance(value, str) and re.search(_CUT, value):
        raise at.error(f"{show(value)} is cut off at its comma", "inside { } or [ ], put a short form in quotes")
    if isinstance(value, str) and re.search(_DOTTED_CALL, value):
        raise at.error(f"{show(value)} is no value, and nothing of another program's is called here", _foreign(value))
    if not isinstance(value, str) or not is_short_form(value):
        return {"value": value}
    if match := re.search(_RANGE, value):
        word, first, second = _FORMS[match[1]]
        figures = [yaml.parse_value(match[i], at.document.file) for i in (2, 3)]
        return {first: figures[0], second: figures[1], "distribution": word}
    if match := re.search(_CHOICE, value):
        return {"values": _list(match[1], at)}
    word = value.strip().partition("(")[0]
    if word in _FORMS:
        first, second = _FORMS[word][1:]
        raise at.error(f"{show(value)} is not of the form {word}({first}, {second}) with two numbers")
    forms = ("choice", *_FORMS)
    cure = _foreign(value) or nearest(word, forms)
    raise at.error(f"unknown short form `{word}(…)`; known: {', '.join(forms)}", cure)


def _foreign(call: str) -> str | None:
    """Our short form for another program's call."""
    word, _, inside = call.strip().partition("(")
    word, inside = word.rpartition(".")[2], inside.rpartition(")")[0]
    ours = word if word in (*_FORMS, "choice") else None
    ours = ours or next((form for form, theirs in _FOREIGN.items() if word in theirs.split("|")), None)
    if re.search(r"log\s*=\s*True", inside):
        ours = {"float": "log", "int": "logint"}.get(str(ours), ours)
    if ours is None:
        return "write `{min: …, max: …, q: …}`" if word.startswith("q") else None
    inside = re.sub(r"""^\s*(["']).*?\1\s*,\s*""", "", inside) if word.startswith("suggest_") else inside
    if ours == "choice":
        return f"write `choice({inside.strip().strip('[]()')})`"
    figures = re.findall(_NUMBER, inside)
    return f"write `{ours}({', '.join(figures)})`" if len(figures) == 2 else f"write `{ours}(…, …)` with two numbers"


def _refuse_forgotten(key: str, definition: Mapping[str, Any], at: At) -> None:
    """Parameters below a name without the word `parameters`."""
    if not definition or any(figure in ALL_FIGURES or figure == "parameters" for figure in definition):
        return
    inner = next(iter(definition))
    for name, value in definition.items():
        if isinstance(value, str) and re.search(_CUT, value):
            expand(value, at.child(name))
    if any(figure_for(name, definition) or nearest(name, ALL_FIGURES) for name in definition) and not any(
        isinstance(value, Mapping) for value in definition.values()
    ):
        return
    raise at.error(
        f"says no value: no figure of a parameter among {', '.join(f'`{name}`' for name in list(definition)[:4])}",
        f"nested parameters go below `parameters:`, as in `{key}: {{parameters: {{{inner}: …}}}}`; or write `{key}.{inner}: …`",
    )


def _list(text: str, at: At) -> list[Any]:
    try:
        values = yaml.parse_value(f"[{text}]", at.document.file)
    except StudyFileError:
        values = None
    if not isinstance(values, list):
        raise at.error(f"`choice({text})` is not a list of values", "write choice(a, b)")
    return values


class ParametersShape(Shape, frozen=True):
    """``parameters``: names to definitions, nested by ``parameters`` inside, read as a tuple of `Parameter`."""

    def read(self, value: Any, at: At) -> tuple[Parameter, ...]:
        """Every parameter, in the order of the file."""
        if not isinstance(value, Mapping):
            raise at.error(f"must be parameter names with their values, not {show(value)}")
        parameters: dict[str, Parameter] = {}
        self._group(value, at, "", {}, parameters)
        return tuple(parameters.values())

    def _group(
        self, group: Mapping[str, Any], at: At, prefix: str, when: dict[str, tuple[Any, ...]], out: dict[str, Parameter]
    ) -> None:
        for key, value in group.items():
            here = at.child(key)
            if not re.search(NAME, key):
                raise here.error(f"`{key}` is not a parameter name", "letters, digits, _ - / and dots between")
            name = f"{prefix}{key}"
            definition = expand(value, here)
            if isinstance(value, Mapping):
                _refuse_forgotten(key, value, here)
            conditions = {**when, **self._when(definition, here)}
            if "parameters" in definition:
                self._nested(definition, here, name, conditions, out)
                continue
            try:
                parameter = define(name, definition, conditions or None)
            except SpaceError as error:
                place = here.child(error.key) if error.key and isinstance(value, Mapping) else here
                raise place.error(error.fact, error.cure) from None
            if name in out:
                raise here.error(f"`{name}` is there twice: dotted and nested")
            out[name] = parameter

    def _nested(
        self, definition: dict[str, Any], at: At, name: str, when: dict[str, tuple[Any, ...]], out: dict[str, Parameter]
    ) -> None:
        for key in definition:
            if key not in ("parameters", "when"):
                raise at.child(key).error("unknown key beside `parameters`; allowed: parameters, when")
        inner = definition["parameters"]
        if not isinstance(inner, Mapping) or not inner:
            raise at.child("parameters").error("must be parameter names with their values")
        self._group(inner, at.child("parameters"), f"{name}.", when, out)

    def _when(self, definition: Mapping[str, Any], at: At) -> dict[str, tuple[Any, ...]]:
        when = definition.get("when")
        if when is None:
            return {}
        if not isinstance(when, Mapping) or not when:
            raise at.child("when").error("must be another parameter with its value", "such as {model: cnn}")
        for parent, values in when.items():
            if isinstance(values, list) and not values:
                raise at.child("when").child(parent).error("must not be empty: this parameter could never be active")
        return {parent: tuple(v) if isinstance(v, list) else (v,) for parent, v in when.items()}

    def _schema(self) -> dict[str, Any]:
        return {"description": "names and what each may be", "$ref": "#/$defs/parameters"}

    @staticmethod
    def definitions() -> dict[str, Any]:
        """The schema's ``$defs``."""
        group = {
            "type": "object",
            "required": ["parameters"],
            "properties": {"parameters": {"$ref": "#/$defs/parameters", "minProperties": 1}, "when": _WHEN},
            "additionalProperties": False,
        }
        text = {
            "type": "string",
            "anyOf": [
                {"pattern": _RANGE},
                {"pattern": _CHOICE},
                {"not": {"pattern": f"{_ANY_CALL}|{_CUT}|{_DOTTED_CALL}"}},
            ],
        }
        short = [text, {"type": ["number", "boolean"]}, {"type": "array", "minItems": 1}]
        forms = [_definition(word) for word in FIGURES]
        return {
            "parameters": {
                "type": "object",
                "propertyNames": {"pattern": NAME},
                "additionalProperties": {"$ref": "#/$defs/parameter"},
            },
            "parameter": {"anyOf": [*short, *forms, *_inferred(), group]},
        }


_WHEN: dict[str, Any] = {
    "description": "active only when another parameter has this value, or one of these",
    "anyOf": [
        {"type": "object", "minProperties": 1, "additionalProperties": {"not": {"type": "array", "maxItems": 0}}},
        {"type": "null"},
    ],
}
_NUMERIC: dict[str, Any] = {"type": "number"}
_FIGURE_SCHEMAS: dict[str, dict[str, Any]] = {
    "value": {},
    "values": {"type": "array", "minItems": 1},
    "probabilities": {"type": "array", "minItems": 1, "items": {"type": "number", "minimum": 0}},
    "sigma": {"type": "number", "minimum": 0},
    "q": {"type": "number", "exclusiveMinimum": 0},
    "a": {"type": "number", "exclusiveMinimum": 0},
    "b": {"type": "number", "exclusiveMinimum": 0},
}


def _definition(word: str) -> dict[str, Any]:
    required, optional = FIGURES[word]
    properties: dict[str, Any] = {key: _FIGURE_SCHEMAS.get(key, _NUMERIC) for key in (*required, *optional)}
    if word.startswith("int_"):
        properties = {key: {"type": "integer"} for key in properties}
    if "log_uniform_values" in word:
        properties["min"] = {"type": "number", "exclusiveMinimum": 0}
    if word == "int_log_uniform":
        properties["min"] = {"type": "integer", "minimum": 1}
    return {
        "type": "object",
        "required": [*required, "distribution"],
        "properties": {**properties, "distribution": {"const": word}, "when": _WHEN},
        "additionalProperties": False,
    }


def _inferred() -> list[dict[str, Any]]:
    """The same without ``distribution``, where the figures say it."""
    forms = []
    for word, needs in (("constant", ()), ("categorical", ()), ("uniform", ()), ("q_uniform", ("q",))):
        form = _definition(word)
        required = [key for key in form["required"] if key != "distribution"] + list(needs)
        properties = {key: value for key, value in form["properties"].items() if key != "distribution"}
        forms.append({**form, "required": required, "properties": properties})
    return forms
