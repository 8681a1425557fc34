"""What `check` says about a cluster, and `submit` refuses.

Lives here: `look` asks SLURM; the others are pure, from what it said to findings. Must not: submit, or write in a study.
"""
