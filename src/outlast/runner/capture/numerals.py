"""What counts as a number in a text, and what only begins like one.

``0,93`` is 0.93 in Berlin and two numbers in a list; ``1,234`` is a thousand and some or one and some; ``1.2k`` has lost its
digits. None of them is guessed: a number is read where only one reading is possible, and shown as text where not.
"""

from __future__ import annotations

import re

_TICK = "'’\u00a0\u2009\u202f\u066b\u066c"  # with or for a comma somewhere in the world, between digits
#: Fortran writes ``1.5D-03``, Windows ``1.#INF`` and ``-nan(ind)``, some printers a real minus sign.
NUMBER = (
    r"[-+\u2212]?(?:1\.#(?:INF|IND|QNAN|SNAN)|(?:\d+\.?\d*|\.\d+)(?:[eE][-+\u2212]?\d+|[dD][-+]\d{1,3})?"
    r"|∞|(?i:nan|inf(?:inity)?)\b)"
)
#: 91.2 %, 12.5ms, 3.2GB, 41it/s: the number counts as printed. A lone k or M is no unit, and a lone e an exponent cut off.
UNIT = r"(?:\s?[%‰]|(?![kKMGBTeEdD](?![a-zA-Zµ/]))[a-zA-Zµ]{1,3}(?:/s)?)?"
#: No clock, place in a file, version, fraction, date, range, product, complex number, what becomes of it (``0.5 -> 0.4``),
#: thousands or decimal comma.
NO_MORE = (
    rf"(?![\w:^#]|[./,\-\u2212\u2013]\d|[{_TICK}]\d|\.[^\W\d]|\*\*|\s?[×x*·]\s?10\b|[-+][\d.]+j"
    r"|\s?(?:[-=]>|→)\s?[-+\u2212]?\.?\d)"
)
_GROUPED = rf"[-+\u2212]?\d{{1,3}}(?:[{_TICK}_ ]\d{{3}})+(?:[.,]\d+)?(?=\s*%?\s*$|\s*[^\w\s])"
_SPAN = r"\d+\s?(?:d|h|hrs?|m|mins?)\s?\d+\s?(?:h|m|mins?|s|secs?)\b"  # 1h 20m: of two units
#: Comes before `NUMBER`: what would be read in part.
ODD = rf"(?:{_GROUPED}|{_SPAN})"
_WRAPPER = (
    r"(?:(?:np|numpy|torch|jnp|jax\.numpy|mx|tf)\.)?(?:[Tt]ensor|(?:Device)?[Aa]rray|float\d+|bfloat16|u?int\d+)\(\s*"
    r"|<tf\.\w+[^<>]{0,80}\bnumpy="
)
#: ``tensor(0.91, device='cuda:0')``, ``Array(0.91, dtype=float32)``, ``<tf.Tensor: shape=(), dtype=float32, numpy=0.91>``
WRAPPED = rf"(?:{_WRAPPER})(?P<wrapped>{NUMBER}){NO_MORE}(?:[^()]|\([^()]*\)){{0,80}}?[)>]"

_ONE = re.compile(rf"\s*(?!{ODD})(?:{_WRAPPER})?({NUMBER})\s*%?{NO_MORE}(?=[\s,;)\]}}]|\.?$)")
_UNCERTAIN = re.compile(
    rf"\s*[-+\u2212]?(?:\.?\d[\d.,{_TICK}_ ]*(?:[eEdD][-+]?\d*)?\s?(?:[%‰]|[a-zA-Zµ]{{1,3}})?|\d\S*[×*^].*)$"
)


def to_float(number: str) -> float:
    """The value of a text that `NUMBER` matches."""
    try:
        return float(number)
    except ValueError:
        plain = number.replace("\u2212", "-").replace("∞", "inf")
    if "#" in plain:
        return float(plain[: plain.index("1")] + ("inf" if "INF" in plain else "nan"))
    return float(plain.replace("D", "e").replace("d", "e"))


def as_number(text: str) -> float | None:
    """The number that a text is, allowing for a percent sign, a wrapper such as ``tensor(…)`` and punctuation."""
    match = _ONE.match(text)
    return None if match is None else to_float(match[1])


def is_uncertain(text: str) -> bool:
    """Whether a text is a number to a person, but which one cannot be told for certain."""
    return _UNCERTAIN.match(text) is not None and as_number(text) is None
