"""``status --mlflow``: the studies that an MLflow server knows of, by where their checkpoints lie."""

from __future__ import annotations

import json

import click
from msgspec.structs import asdict

from outlast.cli.render.styled import Group, Text
from outlast.cli.render.text import Facts, Paragraph, next_line, one_line, print_out
from outlast.errors import OutlastError
from outlast.monitor.times import metric_value
from outlast.tracking.mlflow_find import RESUMABLE, FoundStudy, found_studies
from outlast.tracking.sink import SinkError


def show_studies(uri: str, filter_string: str | None, *, as_json: bool) -> None:
    """Print what is found.

    Args:
        uri: MLflow's tracking URI; empty: MLFLOW_TRACKING_URI, or what MLflow takes here.
        filter_string: In MLflow's language; by default, those that can be resumed.
        as_json: One list of objects.

    Raises:
        OutlastError: Nothing can be asked there, or the filter is none.
    """
    try:
        found = found_studies(uri or None, filter_string or RESUMABLE)
    except SinkError as error:
        raise OutlastError(error.reason, cure=error.cure or None) from None
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found]))
        return
    if not found:
        click.echo(f"no study there with {filter_string or RESUMABLE}", err=True)
        return
    here = next((each for each in found if each.is_here), None)
    last = [] if here is None else [next_line(f"outlast status {here.folder}")]
    print_out(Group(*[part for each in found for part in _parts(each)], *last))


def _parts(study: FoundStudy) -> list[Paragraph | Facts]:
    best = "" if study.best is None else f"; best {one_line(study.metric)}={metric_value(study.metric, study.best)}"
    where = study.checkpoint_path if study.is_here else f"{study.checkpoint_path}  (not on this machine)"
    return [
        Paragraph(Text.assemble((one_line(study.name), "bold cyan"), "  ", one_line(study.state))),
        Facts(
            [
                ("experiment", one_line(study.experiment)),
                ("trials", f"{study.trials}, {study.completed} completed{best}"),
                ("checkpoint", one_line(where)),
                ("folder", one_line(study.folder) if study.is_here else ""),
            ]
        ),
    ]
