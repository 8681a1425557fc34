"""What a person does to a study outside a run: retry, import, stop, clean, repair, begin afresh.

Each takes the study's lease for as long as it needs, or refuses. Nothing here trains or draws a trial.
"""
