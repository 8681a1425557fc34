"""The command-line page of the documentation, made from the commands' own help.

``python -m outlast.cli.reference > docs/cli.md``
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import click

from outlast.cli.app import app

_WIDTH = 80

_HEAD = """\
# The commands

<!-- Made from the commands' own help: python -m outlast.cli.reference > docs/cli.md -->

Every command takes a study folder, a study file or a study's name, and needs none where there is only one study. What it
prints for people has no control codes when it is piped; with `--json` it prints one JSON document instead. Each ending
names the next command.

A study file means `studies/NAME` in the folder that the command is typed in; where there is none, the study that was begun
from this file in another folder: beside the file, or above it or the present one. `--dir` says it outright, and takes a
study folder that was moved.
"""

_TAIL = """\
## Exit codes

| code | means |
|---|---|
| 0 | the target is reached, or there was nothing left to do, and at least one trial has completed |
| 1 | a fault of Outlast's own or of the machine; with `--check`: something is wrong |
| 2 | a wrong command line or study file; nothing was written |
| 3 | the study halted itself, for a reason that it names; see below |
| 4 | stopped with work left, or somebody else runs the study: the same command goes on |

A study halts itself when

- the first 3 failures have the same signature, or 10 trials failed or could not run (out of memory, say), before any
  trial has ended well;
- 50 trials in a row failed although trials ended well before: a data set is gone, perhaps; `budget.max_failures` says
  another number, and then that one holds;
- it is over without a single complete trial: the budget or the search space is used up, and every trial failed, could not
  run or was pruned. The last line says what became of them. Running it again changes nothing; `outlast retry` gives
  failed trials new attempts;
- the `derive` hook rules out 1,000 configurations in a row.

What counts against it counts since a person last ran it, and per version of the study file.

## Ctrl-C, signals, a closed terminal

Ctrl-C or SIGTERM, once: no new trials; running ones get SIGTERM, have `trial.grace` to save a checkpoint, and go on under
the same number next time. Twice: they are ended now. A closed terminal or a broken pipe does not end a search: it goes on,
and its words go to `run.log` in the study folder. Ctrl-C in `status -w` and `logs -f` ends the looking only.

## Completion

`outlast --install-completion` sets up completion of commands, options and studies for the shell it is typed in (bash, zsh,
fish); `outlast --show-completion` prints the lines instead.
"""


def page() -> str:
    """The page's text."""
    return "\n".join([_HEAD, *_sections(), _TAIL])


def _sections() -> Iterator[str]:
    with click.Context(app, info_name="outlast", terminal_width=_WIDTH, help_option_names=["-h", "--help"]) as top:
        yield _block("outlast", app.get_help(top))
        for name, command in app.commands.items():
            with click.Context(command, info_name=name, parent=top, terminal_width=_WIDTH) as context:
                hidden = "Not in the list of commands: Outlast begins it itself.\n\n" if command.hidden else ""
                yield _block(f"outlast {name}", command.get_help(context), hidden)


def _block(title: str, text: str, note: str = "") -> str:
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return f"## {title}\n\n{note}```text\n{lines}\n```\n"


if __name__ == "__main__":
    sys.stdout.write(page())
