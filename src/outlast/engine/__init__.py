"""The coordinator: rounds of evidence, decision, ledger, action."""
