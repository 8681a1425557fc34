"""What Optuna is to us, and the one room below the engine that imports it: samplers, pruning, the index, stores, import.

On this floor lies how a configuration is asked for (`sampling` and what it needs), and what a sampler is told of the trials.
What samplers are made of (`tpe`, `gaussian`, `bridge`), and everything that is not asking, has a room of its own.
"""

import warnings

# Optuna imports tqdm, which warns in a notebook without ipywidgets; nobody here draws its bars.
warnings.filterwarnings("ignore", message="IProgress not found")
