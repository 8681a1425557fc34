"""Snapshot, rate and ETA, health: what is to be known about a study, as values.

Lives here: functions from a folded study and a few facts to what a person or a script should see. Must not: draw
anything on a terminal, write into the study folder, or decide about the search.
"""
