"""One module a peer, each run by the Python of that peer's environment; `speaking` is what they have in common."""
