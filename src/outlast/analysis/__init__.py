"""What the trials of a search say: statistics, from values to values.

Lives here: what won, what correlates, what stands at the border of its range, what more trials would bring, how certain any of
it is. Every statistic names its source and has a test against a known answer. Must not: know a clock, a file, a process or a
study file, or load a numeric library where a command only looks.
"""
