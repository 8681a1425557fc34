"""``report --format`` and ``--paper``: a study as text, as a table, for a paper."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

from outlast.errors import UsageError

#: Beside the page.
FORMATS = ("md", "csv", "parquet", "latex")


def print_report(folder: str, kind: str, *, output: str | None, for_paper: bool) -> None:
    """Write a report to a file or to the standard output.

    Args:
        folder: The study folder.
        kind: One of `FORMATS`.
        output: The file; ``None`` or ``-`` for the standard output.
        for_paper: The answers to the checklists of the field, instead.

    Raises:
        UsageError: A format that cannot say it.
        OSError: The disk refused.
    """
    if for_paper and kind not in ("md", "latex"):
        raise UsageError(f"--paper is a text, {kind} is none", cure="--paper --format md, or latex")
    to_file = output not in (None, "-")
    if kind == "parquet" and not to_file and sys.stdout.isatty():
        raise UsageError("a Parquet file is nothing for a terminal", cure="--output trials.parquet")
    content = _content(folder, kind, for_paper)
    if to_file:
        from outlast._system.files import write_atomic

        assert output is not None
        write_atomic(output, content, durable=False)
        click.echo(os.path.relpath(output))
    else:
        click.echo(content, nl=False)


def _content(folder: str, kind: str, for_paper: bool) -> bytes:
    from outlast.engine.record.look import look
    from outlast.engine.record.recorded import study_paths
    from outlast.results.trial_table import TrialTable

    snapshot, study, settings = look(folder)
    if kind == "csv":
        return TrialTable(settings).render(study).encode()
    if kind == "parquet":
        from outlast.results.trial_frame import parquet_of

        return parquet_of(TrialTable(settings).columns(study))
    from outlast.engine.derived.report import report_data
    from outlast.engine.derived.report_figures import facts_of
    from outlast.results import checklist, prose, status_report

    data: dict[str, Any] = report_data(
        study_paths(folder, settings), study, settings, status=snapshot.to_json(), facts=facts_of(study, settings),
        folder=folder,
    )  # fmt: skip
    if for_paper:
        blocks = checklist.paper(data)
    else:
        blocks = status_report.status_report(data) if kind == "md" else [status_report.top_table(data)]
    text = prose.as_markdown(blocks) if kind == "md" else prose.as_latex(blocks)
    return text.encode("utf-8", "backslashreplace")
