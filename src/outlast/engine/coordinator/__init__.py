"""The rounds of a study's holder: look, take in what ended, answer, decide, start; a decision is durable before it is acted on.

Nothing here takes or gives up a lease, parses a command line, or knows whether it is a run, a turn, or a controller.
"""
