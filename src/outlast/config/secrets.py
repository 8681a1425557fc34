"""Secrets never reach records, differences or reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

__all__ = ["MASK", "is_masked", "is_secret_name", "mask_secrets", "mask_text"]

#: What stands in a secret's place.
MASK = "***"

_SECRET_NAME = re.compile(r"(?:^|[_-])(?:API_?)?(?:KEY|TOKEN|SECRET)$|PASSWORD|PASSWD|CREDENTIAL", re.IGNORECASE)
#: A password that is a macro (``${envvar:DB_PASSWORD}``) is none.
_URL_PASSWORD = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:)(?!\$\{[^{}\s]*\}@)[^/\s@]+(?=@)")
_WEBHOOK = re.compile(r"(https://hooks\.slack\.com/services/|https://discord(?:app)?\.com/api/webhooks/)[^\s\"']+")
#: Below these, names are the search's own (``pad_token``), not credentials.
_OWN_NAMES = ("parameters", "enqueue", "metric", "constraints", "matrix")


def is_secret_name(name: str) -> bool:
    """Whether a value by this name is kept to ourselves: ``*_KEY``, ``*_TOKEN``, ``*PASSWORD*`` and the like."""
    return bool(_SECRET_NAME.search(name))


def mask_text(text: str) -> str:
    """The text without passwords in URLs and without webhook addresses."""
    return _WEBHOOK.sub(rf"\g<1>{MASK}", _URL_PASSWORD.sub(rf"\g<1>{MASK}", text))


def is_masked(text: str) -> bool:
    """Whether a secret stood here before it was recorded."""
    found = text.replace(MASK, "x")
    return MASK in text and mask_text(found) != found


def mask_secrets(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with every secret replaced by ``***``: by name, and passwords in URLs wherever they stand."""
    return {
        key: _mask(value, by_name=key not in _OWN_NAMES) if not _hidden(key, value) else MASK
        for key, value in mapping.items()
    }


def _hidden(key: str, value: Any) -> bool:
    return isinstance(value, (str, int, float)) and not isinstance(value, bool) and is_secret_name(key)


def _mask(value: Any, *, by_name: bool) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {k: MASK if by_name and _hidden(k, v) else _mask(v, by_name=by_name) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_mask(item, by_name=by_name) for item in value]
    return value
