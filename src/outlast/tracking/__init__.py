"""What happens in a search is sent one way to other people's trackers: MLflow, Azure ML, W&B, TensorBoard, or a person's own.

Lives here: what a sink is given (`sink`), and a module for each tracker, which imports that tracker's package when it is opened.
Must not: read a study's folder, decide anything, or fail a search; `outlast.engine.sending` drives the sinks.
"""
