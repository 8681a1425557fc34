"""The one room that imports Optuna: sampling views, pruning, the index, import."""
