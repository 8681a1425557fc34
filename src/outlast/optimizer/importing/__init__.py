"""Reading what Optuna ran, from storages of any version, as plain values and then as events of a ledger; none is changed."""
