"""Arguments and options that several commands share, so that they are called and explained alike."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = [
    "AcceptOption",
    "DirOption",
    "FreshOption",
    "JsonOption",
    "MaximizeOption",
    "MinimizeOption",
    "NameOption",
    "ParallelOption",
    "SetOption",
    "SourceArgument",
    "StudyArgument",
    "TrialsOption",
]


def _studies(incomplete: str) -> list[str]:
    from outlast.cli.locate import complete_study

    return complete_study(incomplete)


#: What a search is run from.
SourceArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="STUDY",
        help="Study file or study folder; or a command behind --.  [default: study.yaml, or the only study here]",
        show_default=False,
        autocompletion=_studies,
    ),
]
#: What a command looks at.
StudyArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="STUDY",
        help="Study folder, study file, or a study's name.  [default: the only study here]",
        show_default=False,
        autocompletion=_studies,
    ),
]
DirOption = Annotated[
    str | None,
    typer.Option("--dir", metavar="FOLDER", help="Study folder.  [default: studies/NAME]", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print facts as one JSON document.")]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the study file; may be given several times."),
]
MaximizeOption = Annotated[str | None, typer.Option(metavar="NAME", help="Metric to maximize.")]
MinimizeOption = Annotated[str | None, typer.Option(metavar="NAME", help="Metric to minimize.")]

TrialsOption = Annotated[
    int | None,
    typer.Option(
        "--trials", metavar="N", min=1, help="How many trials the study is to have in all; wins over the study file."
    ),
]
ParallelOption = Annotated[int | None, typer.Option("--parallel", metavar="N", min=1, help="Trials side by side.")]
NameOption = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="The study's name; wins over the study file.")
]
FreshOption = Annotated[
    bool, typer.Option("--fresh", help="Keep the earlier study under a name with the time, and start anew.")
]
AcceptOption = Annotated[bool, typer.Option("--accept-changes", help="Go on although the study file has changed.")]
