"""How the commands explain themselves: plain text that fits a narrow terminal, examples as they are typed.

Each command is made when it is asked for, so that looking at a study does not load what runs one.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

import click


def examples_of(docstring: str) -> list[str]:
    """The command lines under ``Example:``, one each."""
    _, found, below = inspect.cleandoc(docstring).partition("Example:")
    return [line.strip() for line in below.splitlines() if line.strip()] if found else []


def sentences_of(docstring: str) -> str:
    """What stands above ``Example:``."""
    return inspect.cleandoc(docstring).partition("Example:")[0].strip()


class Argument(click.Argument):
    """An argument that says what it is; click's own say so only in its newest versions, which a training may not have."""

    def __init__(self, *declared: Any, help: str, **attributes: Any) -> None:
        super().__init__(*declared, **attributes)
        self.help = help


class Command(click.Command):
    """A command whose examples are printed line by line."""

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Nothing here: only click's newest versions ask for them, and none asks for them by their plain name."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The arguments by their plain name (the usage line says which of them may be left out), then the options."""
        rows = [(p.human_readable_name, p.help or "") for p in self.get_params(ctx) if isinstance(p, click.Argument)]
        if rows:
            with formatter.section("Arguments"):
                formatter.write_dl(rows)
        super().format_options(ctx, formatter)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sentences, then the examples."""
        _write(formatter, self.help or "")


class _Modules(Mapping[str, click.Command]):
    """Commands by name, each imported when it is asked for."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = modules

    def __getitem__(self, name: str) -> click.Command:
        module, _, attribute = self._modules[name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


class Group(click.Group):
    """The list of commands, under headings that say what they are for.

    Each heading has the place of each command under it, ``package.module:attribute``. Under the heading ``""`` none is listed.
    """

    def __init__(self, *, headings: Mapping[str, Mapping[str, str]], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._headings = headings
        self.commands: Any = _Modules({name: at for group in headings.values() for name, at in group.items()})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In their order here, not the alphabet's."""
        return list(self.commands)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sentences, then the examples."""
        _write(formatter, self.help or "")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One section for each heading; the first sentence of each command, whole."""
        for heading, names in self._headings.items():
            if heading:
                with formatter.section(heading):
                    formatter.write_dl([(name, _first_sentence(self.commands[name].help or "")) for name in names])


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
