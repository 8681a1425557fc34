"""What SLURM adds to a study's life: what `submit` does, what its jobs run, and what `check` says of a cluster.

Lives here: submitting (`submit`), a task of an array (`task`), the finisher (`finish`), the controller (`control`), and for
`check` its facts and what follows from them. Must not: call SLURM except through `outlast.executors.slurm.commands`, or decide
what an end meant.
"""
