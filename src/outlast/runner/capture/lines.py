"""Reading one line of output: metrics, marked scores, how far the training is. Pure functions over text."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Marker", "Steps", "as_number", "clean", "find_marker", "find_metrics", "find_steps"]

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+(?:[eE][-+]?\d+)?|(?i:nan|inf(?:inity)?)\b)"
_UNIT = r"(?:\s?%|[a-zA-Zµ]{1,3}(?:/s)?)?"  # 91.2 %, 12.5ms, 3.2GB, 41it/s: the number counts as printed
_NO_MORE = r"(?![\w:]|[./-]\d|,\d{3}(?!\d))"  # no clock, place in a file, version, fraction, date, or thousands
_WORD = r"[^\W\d]\w*(?:[./@+-]+\w+)*"
_WRAPPER = r"(?:np\.|numpy\.|torch\.)?(?:tensor|array|float\d+|int\d+)\(\s*"

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-Z\\-_]")
_PAIR = re.compile(
    rf"(?<![\w./@-])(?P<name>{_WORD}(?: {_WORD}){{0,3}})['\"]?\s*[:=]\s*"
    rf"(?:{_WRAPPER}(?P<wrapped>{_NUMBER})[^()]{{0,80}}\)|(?P<number>{_NUMBER}){_UNIT}{_NO_MORE}"
    r"|(?P<part>\d+)/(?P<whole>\d+)\s*\(\s*\d+(?:\.\d+)?\s?%\))"
)
_TABLE_ROW = re.compile(rf"^[\s│┃|]*(?P<name>{_WORD}(?: {_WORD})*)\s*[│┃|]\s*(?P<number>{_NUMBER})\s*[│┃|]?\s*$")
_MARKER = re.compile(
    r"\b(?:(?P<kind>OUTLAST_SCORE|OPTUNA_SCORE)(?:\[(?P<name>[^\]]{1,200})\])?|(?i:Best validation score))"
    r"\s*[:=]\s*(?P<value>.*)"
)
_STEP = re.compile(
    r"(?<![\w/])(?:train/|trainer/)?(?P<unit>epoch|global[_ ]step|step|iteration|iter)\b[\s:=#\[(]{0,3}"
    r"(?P<number>\d{1,12}(?:\.\d+)?)(?!\w|\.\w|\s?%)",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    rf"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(?P<number>{_NUMBER})(?!\w)|(?P<word>[^\W\d][\w.]*)|(?P<sign>[{{}}\[\]():,])"
)
_DICT = re.compile(r"\{\s*['\"]")
_EPOCH_NAMES = frozenset(["epoch", "train/epoch"])
_STEP_NAMES = frozenset(
    ["step", "_step", "iter", "iteration", "global_step", "train/global_step", "trainer/global_step"]
)
_CONSTANTS = frozenset(["True", "False", "None", "true", "false", "null"])
_DEEPEST = 32


class Marker(NamedTuple):
    """A score that the script marked as such. ``value`` is ``None`` where it cannot be read as a number."""

    kind: str  # OUTLAST_SCORE | OPTUNA_SCORE | OUTLAST_SCORE[] | Best validation score
    name: str  # in the brackets, or empty
    value: float | None
    text: str


class Steps(NamedTuple):
    """How far the training is, as far as a line says it."""

    epoch: float | None
    step: float | None


def clean(text: str) -> str:
    """Without colours, and of a line that was overwritten by backspaces only what stands there in the end."""
    if "\x1b" in text:
        text = _ANSI.sub("", text)
    return text.rsplit("\x08", 1)[-1]


def as_number(text: str) -> float | None:
    """The number that a text is, allowing for a percent sign, a wrapper such as ``tensor(…)`` and punctuation."""
    match = re.match(rf"\s*(?:{_WRAPPER})?({_NUMBER})\s*%?(?=[\s,;)\]}}]|\.?$)", text)
    return None if match is None else float(match[1])


def find_marker(text: str) -> Marker | None:
    """The marked score in a line, if there is one."""
    if "_SCORE" not in text and "alidation " not in text and "VALIDATION " not in text:
        return None
    match = _MARKER.search(text)
    if match is None:
        return None
    kind, name = match["kind"] or "Best validation score", match["name"] or ""
    value = match["value"].strip()
    return Marker(kind + "[]" if name else kind, name.strip(), as_number(value), value[:80])


def find_metrics(text: str) -> list[tuple[str, float]]:
    """(name, value) of everything in a line that looks like a metric, in the order of the line."""
    found: list[tuple[str, float]] = []
    start = _DICT.search(text)
    if start is not None:
        found, end = _read_dict(text, start.start())
        text = text[: start.start()] + " " + text[end:]
    for match in _PAIR.finditer(text):
        number = match["number"] or match["wrapped"]
        if number is not None:
            found.append((match["name"], float(number)))
        elif float(match["whole"]):
            found.append((match["name"], float(match["part"]) / float(match["whole"])))
    if not found and ("|" in text or "│" in text or "┃" in text):
        row = _TABLE_ROW.match(text)
        if row is not None:
            found.append((row["name"], float(row["number"])))
    return found


def find_steps(text: str, metrics: list[tuple[str, float]]) -> Steps:
    """The epoch and the step that a line names, in words or among its metrics. A line about the best one names none."""
    found: dict[str, float] = {}
    for name, value in metrics:
        if name.lower() in _EPOCH_NAMES and 0 <= value < 1e15:
            found["epoch"] = value
        elif name.lower() in _STEP_NAMES and 0 <= value < 1e15:
            found["step"] = value
    for match in _STEP.finditer(text):
        unit = "epoch" if match["unit"].lower() == "epoch" else "step"
        found.setdefault(unit, float(match["number"]))
    if found and "best" in text.lower():
        return Steps(None, None)
    return Steps(found.get("epoch"), found.get("step"))


def _read_dict(text: str, start: int) -> tuple[list[tuple[str, float]], int]:
    """Numbers in a JSON object or a dict as Python prints it, nested names joined by dots, and where it ends.

    Tolerant where a parser would give up: ``nan``, ``tensor(0.5, device='cuda:0')``, ``np.float64(0.5)``, an object cut
    off at the end of the line.
    """
    found: list[tuple[str, float]] = []
    path: list[str] = []  # the key before each open brace, bracket and parenthesis
    opened: list[str] = []
    key, in_value, taken = "", False, False
    for match in _TOKEN.finditer(text, start):
        piece = match[0]
        if piece in ("{", "[", "("):
            if len(opened) >= _DEEPEST:
                return found, match.end()
            path.append(key)
            opened.append(piece)
            if piece != "(":
                key, in_value = "", False
        elif piece in ("}", "]", ")"):
            key, _ = path.pop(), opened.pop()
            if not opened:
                return found, match.end()
        elif opened[-1] == "{" and piece == ":":
            in_value, taken = True, False
        elif opened[-1] != "(" and piece == ",":
            in_value = False
        elif opened[-1] == "{" and not in_value:
            key = piece.strip("'\"")
        elif in_value and not taken and opened[-1] != "[" and (match["word"] is None or piece in _CONSTANTS):
            taken = True
            value = None if match["word"] else as_number(piece.strip("'\""))
            if value is not None:
                found.append((".".join(filter(None, [*path[1 : len(path) - (opened[-1] == "(")], key])), value))
    return found, len(text)
