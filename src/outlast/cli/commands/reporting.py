"""`report`: what a study says, on one page or in another format; several studies side by side."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any

import click

from outlast.cli.help import Argument, Command
from outlast.cli.looking.report_formats import FORMATS, print_report
from outlast.cli.options import complete_files
from outlast.cli.targets.locate_several import studies_named
from outlast.errors import StorageError, UsageError

_COMPARISON = "comparison.html"


@click.command(cls=Command)
@click.argument(
    "studies",
    cls=Argument,
    nargs=-1,
    metavar="[DIR]...",
    help="Study folders, study files or names; several, or a campaign's, are compared.  [default: the only study here]",
    shell_complete=complete_files,
)
@click.option(
    "--format", "kind", type=click.Choice(("html", *FORMATS)),
    help="The page; a status report; all trials as CSV or Parquet; the best as a table in LaTeX.  [default: html]",
)  # fmt: skip
@click.option(
    "--paper", is_flag=True, help="What a paper has to say about a search, as md (the default here) or latex."
)
@click.option(
    "--output", metavar="FILE",
    help=f"Where it goes.  [default: report.html in the study folder; of several studies {_COMPARISON} here; "
    "for other formats the standard output]",
)  # fmt: skip
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@click.option("--behind", is_flag=True, hidden=True, help="For a process behind a run: leaves a newer page as it is.")
def report(
    studies: tuple[str, ...], kind: str | None, paper: bool, output: str | None, show: bool, behind: bool
) -> None:
    """Draw report.html: one page that needs no other file and no network, to open, copy and send. Or say it in another format.

    While a search runs, the page in its folder is drawn again by itself every minute or so.

    Example:
        outlast report studies/digits --open
        outlast report studies/digits studies/digits-2 --output both.html
        outlast report studies/digits --format md --output status.md
        outlast report studies/digits --paper --format latex
    """
    from outlast.api.report_file import draw

    folders = [folder for study in studies or (None,) for folder in studies_named(study)[0]]
    kind = kind or ("md" if paper else "html")
    try:
        if show and kind != "html":
            raise UsageError("--open is of the page, in html", cure=f"--output FILE writes {kind} to a file")
        if kind != "html":
            if len(folders) > 1:
                raise UsageError(f"{kind} is of one study", cure="several studies are compared on a page, in html")
            print_report(folders[0], kind, output=output, for_paper=paper)
            return
        if paper:
            raise UsageError("--paper is a text, html is none", cure="--paper --format md, or latex")
        if output == "-":
            raise UsageError("a page goes to a file", cure="--output report.html")
        path = draw(folders[0], output=output, behind=behind) if len(folders) == 1 else _several(folders, output)
    except OSError as error:
        raise StorageError.of(error, "the report cannot be written") from error
    click.echo(os.path.relpath(path))
    if show:
        import webbrowser

        webbrowser.open(f"file://{os.path.abspath(path)}")


def _several(folders: list[str], output: str | None) -> str:
    from outlast.engine.derived.report import report_data, write_report
    from outlast.engine.record.look import look
    from outlast.engine.record.recorded import study_paths
    from outlast.results.page_data import for_comparison
    from outlast.results.report_facts import drawn_space

    found: list[dict[str, Any]] = []
    for folder in folders:
        snapshot, study, settings = look(folder)
        facts = {"drawn": drawn_space(study)}
        data = report_data(study_paths(folder, settings), study, settings, status=snapshot.to_json(), facts=facts)
        found.append(for_comparison(data))
    path = output or _COMPARISON
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    title = " · ".join(str(each["study"]["name"]) for each in found)
    write_report(path, {"made_at": now, "studies": found}, title=title)
    return path
