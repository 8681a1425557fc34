"""Terminals' escape sequences in what other programs print. Pure."""

from __future__ import annotations

import re

#: ECMA-48 and ECMA-35: control sequences, strings for the terminal, sets of characters and single functions; an escape by itself,
#: too. A string without its end loses its beginning only: the rest of the line may hold a result.
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(\x07|\x1b\\)|[#%()*+][0-~]|[@-Z\\-_])?")


def without_escapes(text: str) -> str:
    """The text as it reads: without colours, titles and moves of the cursor."""
    return _ESCAPES.sub("", text) if "\x1b" in text else text


def as_on_a_screen(text: str) -> str:
    """The text as a terminal would have left it: without escapes, and of a line that wrote over itself what stood there last."""
    text = without_escapes(text).replace("\r\n", "\n")
    if "\r" not in text:
        return text
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
