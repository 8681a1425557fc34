"""Arguments and options that several commands share, so that they are called and explained alike."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from outlast._system.cycles import no_look_for_cycles
from outlast.cli.help import Argument

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class WholeNumber(click.ParamType):  # type: ignore[type-arg]  # no generic class before click 8.4
    """A whole number from `least` on, up to `most`; `in_all`: not one that is added to what there is."""

    name = "whole number"

    def __init__(self, least: int, most: int | None = None, *, in_all: bool = False) -> None:
        self._least, self._most, self._in_all = least, most, in_all

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number, in which people may have mistyped themselves."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number", param, ctx)
        if self._in_all and str(value).lstrip().startswith("+"):  # the same command, run again, would add them again
            self.fail(f"{value!r} has a sign: write {number}, or the sum where so many more are meant", param, ctx)
        if number < self._least:
            self.fail(f"{number} is less than {self._least}", param, ctx)
        if self._most is not None and number > self._most:
            self.fail(f"{number} is more than {self._most}", param, ctx)
        return number


def collect_nothing() -> None:
    """No search for cycles while a study is read: next to all of it stays to the end, and is looked through in vain."""
    click.get_current_context().with_resource(no_look_for_cycles())


def complete_files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The shell completes files and folders."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(incomplete, type="file")]


def _complete_studies(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from outlast.cli.targets.locate import complete_study

    studies = [CompletionItem(word) for word in complete_study(incomplete)]
    return studies or complete_files(context, parameter, incomplete)


#: What a command looks at.
study_argument = click.argument(
    "study",
    cls=Argument,
    required=False,
    help="Study folder, study file, or a study's name.  [default: the only study here]",
    shell_complete=_complete_studies,
)
#: What a small job of SLURM works for.
folder_argument = click.argument(
    "study", cls=Argument, metavar="DIR", help="Study folder.  [required]", shell_complete=complete_files
)
dir_option = click.option(
    "--dir", "directory", metavar="FOLDER", help="Study folder.  [default: studies/NAME]", shell_complete=complete_files
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print facts as one JSON document.")
fresh_option = click.option(
    "--fresh", is_flag=True, help="Keep the earlier study under a name with the time, and start anew."
)
accept_option = click.option("--accept-changes", is_flag=True, help="Go on although the study file has changed.")

#: For the process in the background only: an address with a secret, which no command line of ours holds.
HANDED_OVER = "OUTLAST_INDEX"


def handed_over(_context: click.Context, _parameter: click.Parameter, given: str | None) -> str | None:
    """What was typed; or, in the background, what the environment was given instead. It is taken once."""
    return os.environ.pop(HANDED_OVER, given) if given == f"${{{HANDED_OVER}}}" else given


_SEARCH = (
    click.argument(
        "study",
        cls=Argument,
        nargs=-1,
        help="Study file or study folder; or a command behind --.  [default: study.yaml, or the only study here]",
        shell_complete=_complete_studies,
    ),
    click.option(
        "--trials",
        metavar="N",
        type=WholeNumber(1, in_all=True),
        help="How many trials the study is to have in all; wins over the study file.",
    ),
    click.option("--parallel", metavar="N", type=WholeNumber(1), help="Trials side by side."),
    click.option("--maximize", metavar="NAME", help="Metric to maximize."),
    click.option("--minimize", metavar="NAME", help="Metric to minimize."),
    click.option(
        "--set",
        "overrides",
        metavar="KEY=VALUE",
        multiple=True,
        help="Change a key of the study file; may be given several times.",
    ),
    dir_option,
    click.option(
        "--index",
        "--storage",
        "index",
        metavar="STORE",
        callback=handed_over,
        help="Write the study to this Optuna storage as well: a path or URL, with ${NAME} of the environment.",
    ),
    click.option("--name", metavar="NAME", help="The study's name; wins over the study file."),
)


def search_options(command: Callable[..., None]) -> Callable[..., None]:
    """The argument and the options that say which search is meant; the command is handed them as one `SearchRequest`."""

    @wraps(command)
    def handed(context: click.Context, /, **given: Any) -> None:
        from outlast.cli.targets.search_request import SearchRequest, invocation_of

        asked = {name: given.pop(name) for name in SearchRequest.__struct_fields__ if name in given}
        command(context, SearchRequest(invocation_of(context), **asked), **given)

    taken = click.pass_context(handed)
    for option in reversed(_SEARCH):
        option(taken)
    return taken


def from_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that name earlier searches. The command is handed them as `warm_start`, whose `prepared` reads them and refuses
    what cannot be meant; ``None`` where none is named."""

    @wraps(command)
    def handed(*args: Any, places: tuple[str, ...], use: str, top: int, **others: Any) -> None:
        warm_start = None
        if places:
            from outlast.engine.care.warm_start import WarmStart

            warm_start = WarmStart(places, use, top)  # type: ignore[arg-type]
        command(*args, warm_start=warm_start, **others)

    about = "An earlier search: study folder, Optuna storage[::NAME], CSV or JSON; may be given several times."
    taken = click.option(
        "--from-top",
        "top",
        metavar="N",
        type=WholeNumber(1),
        default=5,
        show_default=True,
        help="How many are first trials.",
    )(handed)
    uses = click.Choice(["trials", "knowledge", "both"])
    taken = click.option(
        "--from-as", "use", metavar="HOW", type=uses, default="trials", show_default=True,
        help="trials: its best are tried first; knowledge: the sampler (tpe, gaussian, gp) knows all of it; or both.",
    )(taken)  # fmt: skip
    return click.option("--from", "places", metavar="OTHER", multiple=True, help=about, shell_complete=complete_files)(
        taken
    )
