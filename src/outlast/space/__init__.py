"""The search space: parameters, conditions, constraints, and W&B's distributions.

Lives here: what a parameter is, how its latent (sampled) value becomes the value that the training gets, and which
parameters are active. Must not: YAML, Optuna, files.
"""
