"""The study folder: its layout, the lease and the ledger, attempts, requests, recovery and repair.

Lives here: every path, and every durable write of a coordinator. Must not: Optuna, processes of the training, rendering.
"""
