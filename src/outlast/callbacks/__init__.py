"""Callbacks for training frameworks: report, stop when asked, checkpoint, resume.

One module a framework, each with an ``OutlastCallback``: `huggingface`, `lightning`, `keras`, `xgboost`, `lightgbm`. They
run in the training's own Python, from 3.8 on, with its framework and the standard library and no more. Of Outlast they
import `outlast.client` only, which is why they are there even where Outlast is not installed. Run by hand, without
Outlast, they change nothing about a training but that it keeps checkpoints in ``./checkpoints``.
"""
