"""How the commands explain themselves: plain text that fits a narrow terminal, examples as they are typed.

Typer's boxes are left out: they take half of a narrow window, and what stands in brackets would be read as markup.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

from typer.core import TyperCommand, TyperGroup

__all__ = ["CARE", "RESULTS", "SEARCH", "Command", "Group", "examples_of", "sentences_of"]

SEARCH, RESULTS, CARE = "Search", "Results", "Care"


def examples_of(docstring: str) -> list[str]:
    """The command lines under ``Example:``, one each."""
    _, found, below = inspect.cleandoc(docstring).partition("Example:")
    return [line.strip() for line in below.splitlines() if line.strip()] if found else []


def sentences_of(docstring: str) -> str:
    """What stands above ``Example:``."""
    return inspect.cleandoc(docstring).partition("Example:")[0].strip()


class Command(TyperCommand):
    """A command whose examples are printed line by line."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Without Typer's braces around what is required."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments by the name that the usage line has for them, then the options."""
        for heading, kind in (("Arguments", "argument"), ("Options", "option")):
            rows = [
                (param.metavar or record[0] if kind == "argument" else record[0], _plain(record[1]))
                for param in self.get_params(ctx)
                if param.param_type_name == kind and (record := param.get_help_record(ctx)) is not None
            ]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """The sentences, then the examples."""
        _write(formatter, self.help or "")


class Group(TyperGroup):
    """The list of commands, under the three headings that say what they are for."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """The sentences, then the examples."""
        _write(formatter, self.help or "")

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """One section for each heading; the first sentence of each command, whole."""
        for heading in (SEARCH, RESULTS, CARE):
            rows = []
            for name in self.list_commands(ctx):
                command = self.get_command(ctx, name)
                if command is not None and not command.hidden and _heading(command) == heading:
                    rows.append((name, _first_sentence(command.help or "")))
            with formatter.section(heading):
                formatter.write_dl(rows)


def _plain(text: str) -> str:
    """Without Typer's ``[x>=1]``: the message for a value that is out of range says it."""
    return re.sub(r"\s*\[x>=\d+\]", "", text)


def _heading(command: object) -> str | None:
    return getattr(command, "rich_help_panel", None)


def _first_sentence(docstring: str) -> str:
    text = " ".join(sentences_of(docstring).split("\n\n", maxsplit=1)[0].split())
    return text.partition(". ")[0].rstrip(".")


def _write(formatter: Any, docstring: str) -> None:
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(sentences_of(docstring))
        examples = examples_of(docstring)
        if examples:
            formatter.write_paragraph()
            for example in examples:
                formatter.write(textwrap.indent(example, " " * formatter.current_indent) + "\n")
