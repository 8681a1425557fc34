"""A person is told: what is wrong with a study, once and again when it is over; that it began well; how it ended.

It is the work of a process of its own behind a run, so that a dead or slow server costs the search nothing, and of whoever finds
that nobody does it any more. Nothing here decides about a study; of its files, only what was told already (``told.json``) is
written.
"""
