"""Between our values and Optuna's classes: its samplers, rows and distributions, and objects that somebody hands over."""
