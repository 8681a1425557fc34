"""What is drawn from the ledger while a search runs: index, tables, kept checkpoints, the home's copy, plots, the report.

Nothing here decides, and the search goes on where something here fails.
"""
