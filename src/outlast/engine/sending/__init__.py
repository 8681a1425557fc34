"""A search is sent to other people's trackers: what is new since a tracker last took anything, behind the ledger.

It is the work of a process of its own behind a run, and of whoever asks for it (``outlast track``). Nothing here decides about a
study; of its files only those in ``tracking/`` are written.
"""
