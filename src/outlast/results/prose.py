"""A text of headings, sentences, lists, tables and code, written as Markdown or as LaTeX. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct

from outlast.results import latex

# What Markdown reads as its own inside a line (CommonMark 0.31, "Backslash escapes"), and GitHub's tables.
_MARKS = re.compile(r"([\\`*\[\]<>|]|(?<![^\W_])_|&(?=#?\w+;))")
# And at the beginning of a block: headings, lists, fences, rules.
_BEGINS = re.compile(r"^(\d{1,9}(?=[.)](?: |$))|(?=#{1,6}(?: |$)|[+-](?: |$)|~~~|=+$|-(?: *-){2,}$))")
_NOT_A_LABEL = re.compile(r"[^a-z0-9]+")


class Heading(Struct, frozen=True):
    """Level 1 is the title."""

    text: str
    level: int = 2


class Paragraph(Struct, frozen=True):
    """A few sentences."""

    text: str


class Bullets(Struct, frozen=True):
    """An unnumbered list; left out where it is empty."""

    items: Sequence[str]


class Table(Struct, frozen=True):
    """Cells as text; left out without rows."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""
    right: Sequence[int] = ()  # the columns of numbers


class Code(Struct, frozen=True):
    """What is to be copied as it is; left out where it is empty."""

    text: str
    language: str = ""


Block = Heading | Paragraph | Bullets | Table | Code


def as_markdown(blocks: Iterable[Block]) -> str:
    """GitHub's Markdown; whatever a text says stays text."""
    return "\n\n".join(filter(None, map(_markdown, blocks))) + "\n"


def as_latex(blocks: Iterable[Block]) -> str:
    """LaTeX for a document's body, without a package (`outlast.results.latex`)."""
    return "\n".join(filter(None, map(_latex, blocks)))


def _markdown(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {_begun(block.text)}"
        case Paragraph():
            return _begun(block.text)
        case Bullets():
            return "\n".join(f"- {_begun(item)}" for item in block.items)
        case Table():
            rule = ["---:" if at in block.right else "---" for at in range(len(block.header))]
            rows = [map(_plain, block.header), rule, *(map(_plain, row) for row in block.rows)]
            lines = [f"| {' | '.join(row)} |" for row in rows]
            caption = f"{_plain(block.caption)}:\n\n" if block.caption else ""
            return caption + "\n".join(lines) if block.rows else ""
        case Code():
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", block.text)), default=0))
            return f"{fence}{block.language}\n{block.text.rstrip()}\n{fence}" if block.text.strip() else ""


def _latex(block: Block) -> str:
    match block:
        case Heading():
            command = {1: "section", 2: "subsection"}.get(block.level, "paragraph")
            return f"\\{command}{{{latex.escaped(block.text)}}}\n"
        case Paragraph():
            return f"{latex.escaped(block.text)}\n"
        case Bullets():
            return latex.list_of(block.items) if block.items else ""
        case Table():
            label = f"tab:{_NOT_A_LABEL.sub('-', block.caption.lower()).strip('-')[:40]}"
            return (
                latex.table(block.header, block.rows, caption=block.caption, label=label, right=block.right)
                if block.rows
                else ""
            )
        case Code():
            return latex.verbatim(block.text) if block.text.strip() else ""


def _begun(text: str) -> str:
    return _BEGINS.sub(r"\1\\", _plain(text))


def _plain(text: str) -> str:
    return _MARKS.sub(r"\\\1", " ".join(text.split()))
