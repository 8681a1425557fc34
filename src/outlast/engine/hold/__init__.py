"""Holding a study: opened with its lease, run to its rest, held for a turn, or helped by a worker.

Whoever holds it hands it to the coordinator. What a round does is not written here.
"""
