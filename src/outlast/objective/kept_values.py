"""What an objective notes, as text that lasts: values that JSON knows, NumPy's and torch's included."""

from __future__ import annotations

import json
from typing import Any

#: A note is kept in the ledger and in every copy of it: what is larger belongs into a file.
MOST_BYTES = 1 << 20
#: The system attribute of a trial that failed with an exception that `catch` names: the exception's name, and the attempt.
CAUGHT = "outlast:caught"


def kept_text(call: str, value: Any) -> str:
    """A value as JSON.

    Args:
        call: What was called with it, as the error says it.

    Raises:
        TypeError: A value that JSON does not know.
        ValueError: One of more than a megabyte.
    """
    try:
        text = json.dumps(value, default=plain)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{call}: {error}; save it in a file, and note the file's path") from None
    if len(text) > MOST_BYTES:
        raise ValueError(
            f"{call}: {len(text)} bytes, and at most {MOST_BYTES} are kept; save it in a file, and note the file's path"
        )
    return text


def plain(value: Any) -> Any:
    """NumPy's and torch's arrays and numbers as plain data, for `json.dumps`."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be kept")
