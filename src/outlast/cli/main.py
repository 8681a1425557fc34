"""The entry point: run a command, map what went wrong to one clear message and an exit code."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from outlast._system.cycles import look_for_cycles_again
from outlast.cli.invocation import Invocation

if TYPE_CHECKING:
    import click


def main() -> NoReturn:
    """The ``outlast`` command."""
    signal.signal(signal.SIGTERM, _asked_to_leave)
    gc.disable()  # what is imported stays to the end: there are no cycles to be found, until a command runs
    try:
        code = run_cli(sys.argv[1:])
    except KeyboardInterrupt:
        code = _INTERRUPTED
    gc.freeze()  # nor are they looked for on the way out, three times through all that a study is
    sys.exit(code)


def run_cli(arguments: Sequence[str]) -> int:
    """Run one command line.

    Returns:
        0 done · 1 a fault of ours · 2 wrong usage or study file · 3 halted by policy · 4 stopped with work left.
    """
    if os.environ.get("OUTLAST_OBSERVER"):  # looked for here first: a command that only looks imports nothing for it
        from outlast._system.observed import observe_from_environment

        observe_from_environment("coordinator")
    import click

    from outlast.errors import OutlastError

    invocation, code = Invocation(arguments), 0
    try:
        try:
            from outlast.cli.app import app
        finally:
            look_for_cycles_again()
        if "_OUTLAST_COMPLETE" in os.environ:  # a shell asks what could follow
            _complete(app)
        try:
            with app.make_context("outlast", list(invocation.before), obj=invocation) as context:
                app.invoke(context)
        except click.exceptions.Exit as leaving:
            code = leaving.exit_code
        sys.stdout.flush()
        return code
    except OutlastError as error:
        _say(error)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _INTERRUPTED
    except click.ClickException as error:
        return _usage(error, invocation.before)
    except BrokenPipeError:  # the reader of our output has left (``| head``): that is its right
        _let_go_of_output()
        return code
    except OSError as error:
        from outlast.errors import StorageError

        refused = StorageError.of(error)
        with contextlib.suppress(OSError):
            _say(refused)
        _let_go_of_output()
        return code or refused.exit_code
    except Exception:
        return _fault_of_ours()


_INTERRUPTED = 4


def _asked_to_leave(number: int, frame: object) -> NoReturn:
    """A termination signal while nothing is held yet, and nothing begun: as Ctrl-C. A run has its own way to end."""
    raise KeyboardInterrupt


def _complete(app: click.Group) -> NoReturn:
    """Answer a shell; one that was taught by a version before 0.2 asks in other words, which click would leave unanswered."""
    if os.environ["_OUTLAST_COMPLETE"].startswith("complete_"):
        sys.exit("outlast: completion of an earlier version; set it up again: outlast --install-completion")
    app.main(prog_name="outlast")


def _let_go_of_output() -> None:
    """What nobody takes is dropped: Python would try again at its end, and leave with an exit code of its own."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, stream.fileno())
            os.close(nothing)


def _say(error: Exception) -> None:
    from outlast.cli.render.render_run import render_error
    from outlast.cli.render.text import make_console
    from outlast.errors import OutlastError

    console = make_console(stderr=True)
    console.print(render_error(error if isinstance(error, OutlastError) else OutlastError(str(error))))


def _usage(error: click.ClickException, words: Sequence[str]) -> int:
    """A command line that cannot be parsed: click's words, the nearest spelling, and where help is."""
    from outlast.cli.targets.dashes import without_dashes
    from outlast.errors import UsageError

    if (meant := without_dashes(words)) is not None:
        _say(meant)
        return 2
    context = getattr(error, "ctx", None)
    text = error.format_message().strip()
    path = context.command_path if context is not None else "outlast"
    _say(UsageError(text[:1].lower() + text[1:], cure=f"{path} --help"))
    return 2


def _fault_of_ours() -> int:
    import tempfile
    import traceback

    from outlast.errors import OutlastError

    kind, value, _ = sys.exc_info()
    with tempfile.NamedTemporaryFile("w", prefix="outlast-error-", suffix=".txt", delete=False) as file:
        traceback.print_exc(file=file)
    name = kind.__name__ if kind else "error"
    _say(
        OutlastError(
            f"a fault of Outlast's own ({name}: {value}); the details are in {file.name}",
            cure="nothing that was decided is lost: the same command goes on. Please report the file",
        )
    )
    return 1
