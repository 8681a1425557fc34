"""SLURM: its commands, what they answer, the options people give, and the scripts that are submitted.

Lives here: one module that calls (`commands`), and pure ones beside it. Must not: decide how a trial ended.
"""
