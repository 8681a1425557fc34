"""What a person can do about a failure whose message says it, in a few words behind the message. Pure."""

from __future__ import annotations

import re

#: argparse, click and getopt about a flag that got a value although it takes none.
_NO_VALUE = re.compile(
    r"argument .+: ignored explicit argument '(True|False|None)'"
    r"|Option '?--\S+? does not take a value"
    r"|option --\S+ must not have an argument"
    r"|unrecognized arguments:.* (True|False)\b"
)


def advice(message: str) -> str:
    """The words, with the blank before them; empty where the message says nothing that is known here."""
    if _NO_VALUE.search(message):
        return "  (that flag takes no value: ${args_no_boolean_flags} in the command writes it, or nothing)"
    return ""
