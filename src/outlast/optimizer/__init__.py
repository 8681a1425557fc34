"""The one room that imports Optuna: sampling views, pruning, the index, import."""

import warnings

# Optuna imports tqdm, which warns in a notebook without ipywidgets; nobody here draws its bars.
warnings.filterwarnings("ignore", message="IProgress not found")
