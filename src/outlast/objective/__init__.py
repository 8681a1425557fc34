"""Trainings that are Python functions: the processes that call them, and the trial and study that an Optuna objective sees.

Lives here: what runs as the training, below a runner, one trial a process. Must not: judge, or write in the study folder; it
reports through `outlast.client` like any script, and asks the coordinator over a socket. Nothing here imports Optuna before an
objective wants its study.
"""
