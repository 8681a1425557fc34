"""What a person takes away: tables and best files, derived from the ledger.

Lives here: which trial is best, how trials rank, and the files in the study folder that say so. Must not: decide
anything about the search; every file here can be deleted and comes back from the ledger.
"""
