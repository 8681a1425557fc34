"""An attempt's way: its slot, its files and folds, the code that it runs, whether it lives, and what its evidence means.

Nothing here knows the rounds, the ledger's holder or who asks. An attempt is prepared from settings and a trial; its outcome is
read from what its runner wrote.
"""
