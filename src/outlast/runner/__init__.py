"""Beside the training: spawn, supervise, capture metrics, write evidence. Imports nothing heavy: it starts once per attempt."""
