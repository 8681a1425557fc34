"""Reading one line of output: metrics, marked scores, how far the training is. Pure functions over text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

from outlast.core.escapes import without_escapes
from outlast.runner.capture.numerals import NO_MORE, NUMBER, ODD, UNIT, WRAPPED, as_number, is_uncertain, to_float

_WORD = r"[^\W\d]\w*(?:[./@+%-]+\w+)*(?:@\[[\d.:]+\])?"
_NAME = rf"{_WORD}(?:['’]s)?(?: {_WORD}){{0,3}}(?:\s?\([\w .%@/,-]{{1,30}}\))?"  # valid_0's auc, F1 (macro)
_PLAIN_NAME = re.compile(_NAME)

_URL = re.compile(r"\b\w+://\S+")
_SEGMENT = re.compile(rf"(?P<name>{_NAME}) +(?P<number>{NUMBER}){UNIT}{NO_MORE}")
_MARKER = re.compile(
    r"\b(?:(?P<kind>OUTLAST_SCORE|OPTUNA_SCORE)(?:\[(?P<name>[^\]]{1,200})\])?|(?i:Best validation score))"
    r"\s*[:=]\s*(?P<value>.*)"
)
_STEP = re.compile(
    r"(?<![\w/])(?:train/|trainer/)?(?P<unit>epoch|global[_ ]step|step|iteration|iter)\b(?:\([a-z]+\))?[\s:=#\[(]{0,3}"
    r"(?P<number>\d{1,3}(?:,\d{3})+(?![\d.,]*\d)|\d{1,12}(?:\.\d+)?(?!,\d{3}(?!\d)))(?!\w|\.\w|\s?%)",
    re.IGNORECASE,
)
_BOOSTED = re.compile(r"^(?:\[\w+\]:)?\[(\d{1,12})\]\t")  # XGBoost and LightGBM begin their lines with the iteration
_TOKEN = re.compile(
    rf"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|(?P<number>{NUMBER}){NO_MORE}"
    rf"|(?P<odd>[-+]?\.?\d(?:[^\s,:}}\])]|[,:](?=\d))*)|(?P<word>[^\W\d][\w.]*)|(?P<sign>[{{}}\[\]():,])"
)
_DICT = re.compile(r"\{\s*['\"]")
EPOCH_NAMES = frozenset(["epoch", "train/epoch"])
STEP_NAMES = frozenset(
    ["step", "_step", "iter", "iteration", "global_step", "train/global_step", "trainer/global_step"]
)
_CONSTANTS = frozenset(["True", "False", "None", "true", "false", "null"])
_DEEPEST = 32
_LONGEST_NAME = 200


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


class Line(NamedTuple):
    """What a line says, in its order: (name, value), and (name, text) of what is a number, but which is uncertain."""

    metrics: list[tuple[str, float]]
    uncertain: list[tuple[str, str]]


def clean(text: str) -> str:
    """Without colours, and of a line that was overwritten by backspaces only what stands there in the end."""
    return without_escapes(text).rsplit("\x08", 1)[-1]


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


def read_line(text: str, own: Sequence[str] = ()) -> Line:
    """Everything in a line that looks like a metric.

    The line is cleaned. The study's objectives (`own`) are found whatever characters their names are made of.
    """
    line = Line([], [])
    start = _DICT.search(text)
    if start is not None:
        end = _read_dict(text, start.start(), line)
        text = text[: start.start()] + " " + text[end:]
    if "://" in text:
        text = _URL.sub(" ", text)
    pair, row = _patterns(tuple(own))
    for match in pair.finditer(text):
        _take(match, line)
    if not line.metrics and not line.uncertain:
        found = row.match(text) if "|" in text or "│" in text or "┃" in text else None
        for match in [found] if found is not None else _segments(text):
            _take(match, line)
    return line


@lru_cache(maxsize=16)
def _patterns(own: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    odd = [re.escape(name).replace(r"\ ", " +") for name in own if _PLAIN_NAME.fullmatch(name) is None]
    return _compiled(odd) if odd else _PLAIN


def _compiled(odd: Sequence[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A name with its value, and a row of a table that is nothing else; some names are made of other characters."""
    names = "|".join([*(rf"(?:{_WORD} ){{0,3}}{name}" for name in sorted(odd, key=len, reverse=True)), _NAME])
    value = rf"(?P<odd>{ODD})|{WRAPPED}|(?P<number>{NUMBER}){UNIT}{NO_MORE}"
    counted = r"(?P<part>\d+)/(?P<whole>\d+)\s*\(\s*\d+(?:\.\d+)?\s?%\)"
    rest = r"(?P<rest>[-+\u2212]?\.?\d[^\s|]{0,40})"
    bar = r"\s*[│┃|]"
    return (
        re.compile(rf"(?<![\w./@?&%-])(?P<name>{names})['\"]?\s*[:=]\s*['\"]?(?:{value}|{counted}|{rest})"),
        re.compile(rf"^[\s│┃|]*(?P<name>{names}){bar}\s*['\"]?(?:{value}|{rest})['\"]?(?:{bar})?\s*$"),
    )


#: Made when this is imported, before runners are forked: it takes as long as a small trial's training.
_PLAIN = _compiled(())


def _take(match: re.Match[str], line: Line) -> None:
    name, kind = match["name"], match.lastgroup
    if len(name) > _LONGEST_NAME or kind is None:
        return
    if kind == "number" or kind == "wrapped":
        line.metrics.append((name, to_float(match[kind])))
    elif kind != "whole":
        text = match[kind].rstrip(",;)]}'\"")
        if kind == "odd" or is_uncertain(text):
            line.uncertain.append((name, text))
    elif float(match["whole"]):
        line.metrics.append((name, float(match["part"]) / float(match["whole"])))


def _segments(text: str) -> Iterator[re.Match[str]]:
    """``step 250: train loss 1.86, val loss 1.96``: names and values without a sign, where a line is nothing else."""
    parts = text.rsplit(": ", 1)[-1].strip().split(", ")
    found = [_SEGMENT.fullmatch(part) for part in parts if len(parts) > 1 and len(part) <= _LONGEST_NAME]
    matched = [match for match in found if match is not None]
    if len(matched) == len(parts):
        yield from matched


def find_steps(text: str, metrics: list[tuple[str, float]]) -> Steps:
    """The epoch and the step that a line names, in words or among its metrics. A line about the best one names none."""
    found: dict[str, float] = {}
    for name, value in metrics:
        if name.lower() in EPOCH_NAMES and 0 <= value < 1e15:
            found["epoch"] = value
        elif name.lower() in STEP_NAMES and 0 <= value < 1e15:
            found["step"] = value
    for match in _STEP.finditer(text):
        unit = "epoch" if match["unit"].lower() == "epoch" else "step"
        found.setdefault(unit, float(match["number"].replace(",", "")))
    boosted = _BOOSTED.match(text) if metrics and not found else None
    if boosted is not None:
        found["step"] = float(boosted[1])
    if found and "best" in text.lower():
        return Steps(None, None)
    return Steps(found.get("epoch"), found.get("step"))


def _read_dict(text: str, start: int, line: Line) -> int:
    """Numbers in a JSON object or a dict as Python prints it, nested names joined by dots. Returns where it ends.

    Tolerant where a parser would give up: ``nan``, ``tensor(0.5, device='cuda:0')``, ``np.float64(0.5)``, an object cut
    off at the end of the line.
    """
    path: list[str] = []  # the key before each open brace, bracket and parenthesis
    opened: list[str] = []
    key, in_value, taken = "", False, False
    for match in _TOKEN.finditer(text, start):
        piece = match[0]
        if piece in ("{", "[", "("):
            if len(opened) >= _DEEPEST:
                return match.end()
            path.append(key)
            opened.append(piece)
            if piece != "(":
                key, in_value = "", False
        elif piece in ("}", "]", ")"):
            key, _ = path.pop(), opened.pop()
            if not opened:
                return match.end()
        elif opened[-1] == "{" and piece == ":":
            in_value, taken = True, False
        elif opened[-1] != "(" and piece == ",":
            in_value = False
        elif opened[-1] == "{" and not in_value:
            key = piece.strip("'\"")
        elif in_value and not taken and opened[-1] != "[" and (match["word"] is None or piece in _CONSTANTS):
            taken = True
            name = ".".join(filter(None, [*path[1 : len(path) - (opened[-1] == "(")], key]))
            said = piece.strip("'\"")
            value = None if match["word"] else as_number(said)
            if len(name) > _LONGEST_NAME:
                continue
            if value is not None:
                line.metrics.append((name, value))
            elif is_uncertain(said):
                line.uncertain.append((name, said))
    return len(text)
