"""The scripts that are submitted: readable, complete, and runnable by hand."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from msgspec import Struct

from outlast._system.job_environment import ENDS_IN


class JobScript(Struct, frozen=True):
    """One script."""

    purpose: str  # one line for whoever reads it
    name: str  # the job's
    output: str  # pattern of the log's path
    command: Sequence[str]  # argv of what it becomes
    directory: str  # where it runs
    # further options of sbatch, without dashes before them; None is a flag
    options: Mapping[str, str | None] = {}
    setup: Sequence[str] = ()  # lines of shell before the command
    environment: Mapping[str, str] = {}  # further variables
    comment: str = ""  # by which the job is found again
    by_hand: Sequence[str] = ()  # lines that say how the same is done without SLURM
    walltime_s: float | None = None  # seconds that the job asks for; None where that is not known


def render(script: JobScript) -> str:
    """The text of a job script. The last line replaces the shell, so that SLURM's signals reach what runs."""
    options = {
        "job-name": script.name,
        "output": script.output,
        "open-mode": "append",
        "chdir": script.directory,
        **({"comment": script.comment} if script.comment else {}),
        **script.options,
    }
    # sbatch reads directives up to the first line that is no comment: they stand before what people wrote
    lines = ["#!/bin/bash", *(_directive(key, value) for key, value in options.items())]
    lines += [f"# {line}" for text in (script.purpose, *script.by_hand) for line in text.splitlines()]
    lines += ["", "set -e", *script.setup]
    lines += [f"export {key}={shlex.quote(value)}" for key, value in script.environment.items()]
    if script.walltime_s is not None:
        lines += [
            "# Until the walltime is over: all of it, as SLURM says or as was asked for, less what setup took.",
            f"export {ENDS_IN}=$((${{SLURM_JOB_END_TIME:-{script.walltime_s:.0f}}} - ${{SLURM_JOB_START_TIME:-0}} - SECONDS))",
        ]
    lines += [f"exec {shlex.join(script.command)}", ""]
    return "\n".join(lines)


def _directive(key: str, value: str | None) -> str:
    if value is None:
        return f"#SBATCH --{key}"
    # sbatch splits a directive at blanks, and knows quotes (slurm's xstring; not those of a shell)
    return f'#SBATCH --{key}="{value}"' if any(letter in value for letter in " #\t") else f"#SBATCH --{key}={value}"
