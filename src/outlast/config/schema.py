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

from outlast.config.native import STUDY_FILE
from outlast.config.notation import ParametersShape
from outlast.config.reference_dialect import HPO_FILE
from outlast.config.reference_dialect import ONLY_KEYS as HPO_KEYS
from outlast.config.wandb import ONLY_KEYS as SWEEP_KEYS
from outlast.config.wandb import SWEEP_FILE

#: The published file.
SCHEMA_FILE = Path(__file__).with_name("study-file.schema.json")
_ID = "https://github.com/outlast-hpo/outlast/raw/main/src/outlast/config/study-file.schema.json"
_DIALECTS = {
    "study": ("Our own dialect", STUDY_FILE),
    "sweep": ("A W&B sweep file", SWEEP_FILE),
    "hpo": ("An HPO file with `search_space`", HPO_FILE),
}
_INTRODUCTION = """\
# The study file

Three dialects are read; which one a file speaks is seen by its keys. What a study folder keeps is always the first. An
editor that knows YAML checks a file as it is typed with the JSON Schema that the package brings:

```console
$ python -c "from outlast.config.schema import SCHEMA_FILE; print(SCHEMA_FILE)"
```

Its first line then names that path: `# yaml-language-server: $schema=PATH`. `outlast check` says the rest: what only
several keys together can say, and what only this machine can.

This page is made by `python -m outlast.config.schema`.
"""


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of all dialects, told apart as the reader does: by keys that only one of them has.

    It says what one key may hold. What only several keys together say (a range the right way round, a grid over
    continuous parameters, files that must be there) is the reader's.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": _ID,
        "title": "Outlast study file",
        "type": "object",
        "if": _has_one_of(HPO_KEYS),
        "then": {"$ref": "#/$defs/hpo"},
        "else": {
            "if": _has_one_of(SWEEP_KEYS),
            "then": {"$ref": "#/$defs/sweep"},
            "else": {"$ref": "#/$defs/study"},
        },
        "$defs": {
            **{name: {"title": title, **shape.schema()} for name, (title, shape) in _DIALECTS.items()},
            **ParametersShape.definitions(),
        },
    }


def schema_text() -> str:
    """The content of the published file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def page() -> str:
    """The reference page: every key of every dialect, what it takes, and what it is for."""
    parts = [_INTRODUCTION]
    for title, shape in _DIALECTS.values():
        lines = [f"| `{key}` | {takes} | {says} |" for key, takes, says in keys_of(shape.schema())]
        parts += [f"\n## {title}\n\n| key | takes | |\n|---|---|---|", *lines]
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
        forms = [form for form in held.get("anyOf", [held]) if form.get("type") != "null"]
        takes = " or ".join(dict.fromkeys(_takes(form) for form in forms))
        yield f"{prefix}{key}", takes.replace("|", "\\|"), held.get("description", "").replace("|", "\\|")
        for form in forms:
            yield from keys_of(form, f"{prefix}{key}.")


def _takes(form: Mapping[str, Any]) -> str:
    if "enum" in form:
        return ", ".join(f"`{word}`" for word in form["enum"])
    if "anyOf" in form:
        return " or ".join(dict.fromkeys(_takes(each) for each in form["anyOf"]))
    kinds = form.get("type", "anything")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    named = {
        "string": "text",
        "array": "a list",
        "object": "a mapping",
        "integer": "a whole number",
        "number": "a number",
    }
    words = [named.get(kind, {"boolean": "true or false"}.get(kind, kind)) for kind in kinds]
    return " or ".join(words) if "$ref" not in form else "parameters"


if __name__ == "__main__":
    sys.exit(main(sys.argv))
