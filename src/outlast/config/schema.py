"""The JSON Schema of the study file, for editors; made from the shapes that the reader uses.

``python -m outlast.config.schema`` writes it to ``docs/study-file.schema.json``, or to the path that is given.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from outlast.config.native import STUDY_FILE
from outlast.config.notation import ParametersShape

__all__ = ["json_schema", "main", "schema_text"]


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of our dialect.

    It says what one key may hold. What only several keys together say (a range the right way round, a grid over
    continuous parameters, files that must be there) is the reader's.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Outlast study file",
        **STUDY_FILE.schema(),
        "$defs": ParametersShape.definitions(),
    }


def schema_text() -> str:
    """The content of the published file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def main(argv: list[str]) -> int:
    """Write the schema."""
    path = argv[1] if len(argv) > 1 else "docs/study-file.schema.json"
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(schema_text())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
