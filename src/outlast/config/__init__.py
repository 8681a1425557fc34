"""The study file: what it says, as typed settings; one reader per dialect; revisions and their differences.

Lives here: YAML with line numbers, our dialect, W&B's, reference dialects, `--set`, inline spaces, the command
template.
Must not: anything about a running study.
"""
