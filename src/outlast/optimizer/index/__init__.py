"""``study.db``, the study as any Optuna tool opens it: its rows, its SQL, made anew, and written behind the ledger."""
