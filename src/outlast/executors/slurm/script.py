"""The scripts that are submitted: readable, complete, and runnable by hand."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from outlast.executors.slurm.options import SlurmOptions

__all__ = ["JobScript", "render"]


@dataclass(frozen=True)
class JobScript:
    """One script.

    Attributes:
        purpose: One line for whoever reads it.
        name: The job's.
        output: Pattern of the log's path.
        command: argv of what it becomes.
        directory: Where it runs.
        options: Further ``#SBATCH`` options, which win over the study file's.
        environment: Further variables.
    """

    purpose: str
    name: str
    output: str
    command: Sequence[str]
    directory: str
    options: Mapping[str, str | None]
    environment: Mapping[str, str]


def render(script: JobScript, asked: SlurmOptions) -> str:
    """The text of a job script. The last line replaces the shell, so that SLURM's signals reach what runs."""
    options = {
        "job-name": script.name,
        "output": script.output,
        "open-mode": "append",
        "chdir": script.directory,
        **{k: v for k, v in asked.sbatch.items() if k not in script.options},
        **script.options,
    }
    lines = ["#!/bin/bash", f"# {script.purpose}"]
    lines += [f"#SBATCH --{key}" if value is None else f"#SBATCH --{key}={value}" for key, value in options.items()]
    lines += ["", "set -e", *asked.setup]
    lines += [f"export {key}={shlex.quote(value)}" for key, value in script.environment.items()]
    lines += [f"exec {shlex.join(script.command)}", ""]
    return "\n".join(lines)
