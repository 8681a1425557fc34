"""Optuna's TPE over arrays: the same suggestions to the last digit, and quick where there are thousands of trials."""
