"""The JSON Schema of the study file, for editors, and its reference page; made from the shapes that the reader uses.

``python -m outlast.config.schema`` writes both: ``study-file.schema.json`` beside this module, where an installed package has
it too, and ``docs/study-file.md``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from outlast.config.campaign_shape import CAMPAIGN_FILE, OF_A_MEMBER
from outlast.config.load import CAMPAIGN_KEY
from outlast.config.native import STUDY_FILE
from outlast.config.notation import ParametersShape
from outlast.config.reference_dialect import HPO_FILE
from outlast.config.reference_dialect import ONLY_KEYS as HPO_KEYS
from outlast.config.shapes import nullable
from outlast.config.wandb import ONLY_KEYS as SWEEP_KEYS
from outlast.config.wandb import SWEEP_FILE

#: The published file.
SCHEMA_FILE = Path(__file__).with_name("study-file.schema.json")
_ID = "https://github.com/outlast-hpo/outlast/raw/main/src/outlast/config/study-file.schema.json"
_DIALECTS = {
    "study": ("Our own dialect", STUDY_FILE),
    "sweep": ("A W&B sweep file", SWEEP_FILE),
    "hpo": ("An HPO file with `search_space`", HPO_FILE),
    "campaign": ("A campaign: several studies", CAMPAIGN_FILE),
}
#: Where the schema has a key of our own dialect.
_OURS = "#/$defs/study/properties/"
#: Columns of the published file.
_WIDTH = 120
_INTRODUCTION = """\
# The study file

Three dialects are read, and campaigns of several studies; which one a file speaks is seen by its keys. What a study folder
keeps is always the first. An editor that knows YAML checks a file as it is typed with the JSON Schema that the package brings:

```console
$ python -c "from outlast.config.schema import SCHEMA_FILE; print(SCHEMA_FILE)"
```

Its first line then names that path: `# yaml-language-server: $schema=PATH`. `outlast check` says the rest: what only
several keys together can say, and what only this machine can.

This page is made by `python -m outlast.config.schema`.
"""


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of all dialects and of campaigns, told apart as the reader does: by keys of their own.

    It says what one key may hold. What only several keys together say (a range the right way round, a grid over
    continuous parameters, files that must be there) is the reader's.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _ID,
        "title": "Outlast study file",
        "type": "object",
        "if": _has_one_of((CAMPAIGN_KEY,)),
        "then": {"$ref": "#/$defs/campaign"},
        "else": _by_dialect("#/$defs/study"),
        "$defs": {
            **{name: _dialect(name) for name in _DIALECTS},
            **_inside_a_campaign(),
            **ParametersShape.definitions(),
        },
    }


def _by_dialect(ours: str) -> dict[str, Any]:
    return {
        "if": _has_one_of(HPO_KEYS),
        "then": {"$ref": "#/$defs/hpo"},
        "else": {"if": _has_one_of(SWEEP_KEYS), "then": {"$ref": "#/$defs/sweep"}, "else": {"$ref": ours}},
    }


def _inside_a_campaign() -> dict[str, Any]:
    """A study's keys inside a campaign file: in our dialect with those that only a campaign's study has; or in another one."""
    keys = {key: {"$ref": f"{_OURS}{key}"} for key in STUDY_FILE.shapes}
    member = {**keys, **{key: nullable(shape.schema()) for key, shape in OF_A_MEMBER.items()}}
    foreign = {"if": _has_one_of((*HPO_KEYS, *SWEEP_KEYS)), "then": {"type": "object"}}
    return {
        "base": {**foreign, "else": {"$ref": "#/$defs/study"}},
        "member": {
            **foreign,
            "else": {"type": ["object", "null"], "properties": member, "additionalProperties": False},
        },
    }


def _dialect(name: str) -> dict[str, Any]:
    """A dialect's schema. Where it takes a key as our own dialect does, it says so."""
    title, shape = _DIALECTS[name]
    schema = {"title": title, **shape.schema()}
    if shape is not STUDY_FILE:
        ours = STUDY_FILE.schema()["properties"]
        schema["properties"] = {
            key: {"$ref": f"{_OURS}{key}"} if held == ours.get(key) else held
            for key, held in schema["properties"].items()
        }
    return schema


def schema_text() -> str:
    """The content of the published file."""
    return _lines(json_schema()) + "\n"


def _lines(value: Any, indent: str = "") -> str:
    """JSON text; what fits in a line is in one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _WIDTH or not isinstance(value, (dict, list)):
        return line
    inner = f"{indent}  "
    heads = [f"{json.dumps(key)}: " for key in value] if isinstance(value, dict) else [""] * len(value)
    held = value.values() if isinstance(value, dict) else value
    body = ",\n".join(f"{inner}{head}{_lines(each, inner)}" for head, each in zip(heads, held, strict=True))
    return f"{{\n{body}\n{indent}}}" if isinstance(value, dict) else f"[\n{body}\n{indent}]"


def page() -> str:
    """The reference page: every key of every dialect, what it takes, and what it is for."""
    parts = [_INTRODUCTION]
    for name, (title, _) in _DIALECTS.items():
        schema = _dialect(name)
        own = {key: held for key, held in schema["properties"].items() if _OURS not in held.get("$ref", "")}
        shared = [f"`{key}`" for key in schema["properties"] if key not in own]
        lines = [f"| `{key}` | {takes} | {says} |" for key, takes, says in keys_of({"properties": own})]
        parts += [f"\n## {title}\n\n| key | takes | |\n|---|---|---|", *lines]
        parts += [f"\nBeside these, as in our own dialect: {', '.join(shared)}."] if shared else []
    return "\n".join(parts) + "\n"


def main(argv: list[str]) -> int:
    """Write schema and page; with a path, the schema there alone."""
    texts = {Path(argv[1]): schema_text()} if len(argv) > 1 else {SCHEMA_FILE: schema_text(), _page_file(): page()}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return 0


def _has_one_of(keys: tuple[str, ...]) -> dict[str, Any]:
    return {"anyOf": [{"required": [key]} for key in keys]}


def _page_file() -> Path:
    return Path(__file__).parents[3] / "docs" / "study-file.md"


def keys_of(schema: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Each key by its dotted name, what it takes and what it is for; below it the keys of the mapping that it takes."""
    for key, held in schema.get("properties", {}).items():
        forms = held.get("anyOf", [held])
        takes = " or ".join(dict.fromkeys(words for form in forms if (words := _takes(form))))
        yield f"{prefix}{key}", takes.replace("|", "\\|"), held.get("description", "").replace("|", "\\|")
        for form in forms:
            yield from keys_of(form, f"{prefix}{key}.")


_KINDS = {
    "string": "text",
    "array": "a list",
    "object": "a mapping",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


def _takes(form: Mapping[str, Any]) -> str:
    """The kinds of value; null, which an optional key may be, is none."""
    if "$ref" in form:
        return "parameters" if form["$ref"].startswith("#/$defs/param") else "a study's keys"
    if "enum" in form:
        return ", ".join(f"`{word}`" for word in form["enum"] if word is not None)
    if "anyOf" in form:
        return " or ".join(dict.fromkeys(_takes(each) for each in form["anyOf"]))
    kinds = form.get("type", "anything")
    return " or ".join(
        _KINDS.get(kind, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds) if kind != "null"
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv))
