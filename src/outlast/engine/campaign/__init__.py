"""Several studies that one command begins, watches and ends: which ones, and who looks after them.

What one study needs is below (`launch`); here no trial is decided about, and no study's ledger is written.
"""
