"""Commands for searches that several machines share: worker, and what SLURM's jobs run."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from outlast.cli.locate import the_folder
from outlast.cli.options import DirOption, StudyArgument

__all__ = ["worker"]


def worker(
    study: StudyArgument = None,
    directory: DirOption = None,
    parallel: Annotated[int, typer.Option(metavar="N", min=1, help="Trials side by side.")] = 1,
    most: Annotated[
        int | None, typer.Option("--trials", metavar="N", min=1, help="Leave after so many trials.", show_default=False)
    ] = None,
    task: Annotated[bool, typer.Option("--task", help="As a task of a SLURM array: never set a study going.")] = False,
) -> None:
    """Run trials of a study here: for whoever runs it, or, where nobody does, together with the other workers.

    Any machine that shares the folder can help. A task of a SLURM array runs this.

    Example:
        outlast worker /shared/studies/digits --parallel 2
    """
    from outlast.engine.worker import Worker
    from outlast.runner.job import JobFacts

    folder = the_folder(study, directory)
    job = JobFacts.of(os.environ) if task else None
    if job is None:
        from outlast.engine.helping import by_hand

        raise typer.Exit(by_hand(folder, parallel=parallel, most=most, say=typer.echo))
    Worker(folder, parallel=parallel, most=most, say=_to_log, job=job).run()


def _to_log(text: str) -> None:
    """A line with its time: a job's log is read long after."""
    from outlast._system import utc_now

    print(f"{utc_now()[:19]}Z {text}", flush=True)
