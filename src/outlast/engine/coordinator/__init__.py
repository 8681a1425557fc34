"""The rounds of a study's holder: look, take in what ended, answer, decide, start; a decision is durable before it is acted on.

`round` decides, from values to values: what happened goes in, what is to be done (`instructions`) comes out. `shell`
gathers the one, makes decisions durable and carries out the other, with the modules beside it; `coordinator` is its life.

Nothing here takes or gives up a lease, or parses a command line; what the study is held for it is told (`Holding`).
"""
