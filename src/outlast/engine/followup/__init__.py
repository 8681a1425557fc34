"""What comes after a search: its best run again, trained for good, tested. Each is a study of its own in the search's folder.

Such a follow-up has its own ledger and lease and is run by the engine like any search, so whatever survives there survives here.
Its trials are known before it is run, and no sampler is asked. Must not: write into the search's ledger, or decide about a trial.
"""
