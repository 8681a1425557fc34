"""TensorBoard: a folder of event files, a run for each trial, and the HParams page.

The files are drawn from the state and need no memory: what is sent twice, after an end at any moment, is there once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outlast.config.tracking_section import TensorboardSettings
from outlast.core.file_names import StudyNames
from outlast.core.states import TrialState
from outlast.tracking.event_file import bring_up_to_date, event, opening, scalar
from outlast.tracking.sink import EverythingAgain, Memory, SinkError, TrackedStudy, TrackedTrial

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

#: Before the names of what a trial has at its end, beside the curves of the same names.
FINAL = "final/"
#: The study's own curve: the best value so far, one step an ended trial.
BEST = "best/"


class TensorboardSink:
    """Event files of a study: ``trial_0007/`` for each trial, and the study's own beside them.

    Args:
        settings: Where; by default ``tensorboard/`` in the study folder. Below a folder of one's own, each study has its own:
            others may be sent there as well, such as what confirms this one.
    """

    def __init__(self, settings: TensorboardSettings) -> None:
        import tensorboard.plugins.hparams.summary_v2  # noqa: F401  # so that a missing package is missed when this is made

        self._dir = settings.dir

    def open(self, study: TrackedStudy, memory: Memory) -> None:
        """Nothing is begun: each file is brought up to date when there is something for it.

        Raises:
            EverythingAgain: Somebody has removed what was there.
        """
        self._memory, self._root = memory, self._folder(study)
        if memory.data and not self._root.is_dir():
            memory.data.clear()
            memory.keep()
            raise EverythingAgain(f"{self._root} is gone")

    def send(self, study: TrackedStudy, changed: Sequence[TrackedTrial]) -> None:
        """Bring the files of these trials, and the study's, up to date.

        Raises:
            SinkError: A file could not be written.
        """
        root = self._root
        ended: dict[str, Any] = self._memory.data.setdefault("ended", {})
        kinds: dict[str, str] = self._memory.data.setdefault("kinds", {})
        try:
            for trial in changed:
                if trial.began is not None:
                    bring_up_to_date(root / f"trial_{trial.number:04d}", study.created, _of_trial(study, trial))
                for name, value in trial.params.items():
                    kinds[name] = kind if kinds.get(name, kind := _kind(value)) == kind else "text"
                if trial.state is TrialState.COMPLETE and trial.ended is not None and trial.values:
                    ended[str(trial.number)] = [trial.ended, *trial.values]
                else:
                    ended.pop(str(trial.number), None)
            bring_up_to_date(root, study.created, _of_study(study, ended, kinds))
        except OSError as error:
            raise SinkError(f"{error.filename or root} cannot be written: {error.strerror or error}") from error
        self._memory.keep()

    def _folder(self, study: TrackedStudy) -> Path:
        if not self._dir:
            return StudyNames(Path(study.folder)).tensorboard
        return Path(study.cwd, os.path.expanduser(self._dir), f"{study.name}-{study.identity[:6]}")

    def close(self, study: TrackedStudy) -> None:
        """Nothing is buffered."""


def _of_trial(study: TrackedStudy, trial: TrackedTrial) -> Iterator[Event]:
    """Of one trial, in an order that stays while it goes on: what it is, what it reported, how it ended."""
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2

    began = trial.began or study.created
    yield opening(began)
    values = {name: _plain(value) for name, value in trial.params.items()}
    yield event(summary_v2.hparams_pb(values, trial_id=f"trial {trial.number}", start_time_secs=began), began)
    for point in trial.points:
        for name, value in point.metrics.items():
            yield scalar(name, value, point.at, point.step)
    if not trial.is_over or trial.ended is None:
        return
    last = max((point.step for point in trial.points), default=0)
    for name, value in _final(study, trial).items():
        yield scalar(FINAL + name, value, trial.ended, last)
    failed = trial.state in (TrialState.FAILED, TrialState.INFEASIBLE)
    status = api_pb2.STATUS_FAILURE if failed else api_pb2.STATUS_SUCCESS
    words = ": ".join(word for word in (trial.state.value, trial.reason or trial.cause) if word)
    yield event(_text("outcome", words), trial.ended, last)
    end = plugin_data_pb2.SessionEndInfo(status=status, end_time_secs=trial.ended)
    page = plugin_data_pb2.HParamsPluginData(session_end_info=end)
    yield event(_summary_of(metadata.SESSION_END_INFO_TAG, page), trial.ended, last)


def _final(study: TrackedStudy, trial: TrackedTrial) -> Mapping[str, float]:
    objectives = zip((metric.name for metric in study.metrics), trial.values or (), strict=False)
    return {**trial.metrics, **dict(objectives)}


def _of_study(study: TrackedStudy, ended: Mapping[str, Any], kinds: Mapping[str, str]) -> Iterator[Event]:
    """Of the study: what its HParams page shows, and its best value so far."""
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2

    types = {
        "number": api_pb2.DATA_TYPE_FLOAT64,
        "bool": api_pb2.DATA_TYPE_BOOL,
        "text": api_pb2.DATA_TYPE_STRING,
    }
    yield opening(study.created)
    metrics = [summary_v2.Metric(FINAL + each.name, display_name=each.name) for each in study.metrics]
    page = api_pb2.Experiment(
        name=study.name,
        hparam_infos=[api_pb2.HParamInfo(name=name, type=types[kinds[name]]) for name in sorted(kinds)],
        metric_infos=[metric.as_proto() for metric in metrics],
        time_created_secs=study.created,
    )
    data = plugin_data_pb2.HParamsPluginData(experiment=page)
    yield event(_summary_of(metadata.EXPERIMENT_TAG, data), study.created)
    if len(study.metrics) != 1:
        return
    metric, best = study.metrics[0], math.nan
    for step, (at, value) in enumerate(sorted(each[:2] for each in ended.values()), start=1):
        best = value if math.isnan(best) else max(best, value) if metric.maximize else min(best, value)
        yield scalar(BEST + metric.name, best, at, step)


def _summary_of(tag: str, data: Any) -> Any:
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata

    kept = metadata.create_summary_metadata(data)
    return Summary(value=[Summary.Value(tag=tag, metadata=kept, tensor=metadata.NULL_TENSOR)])


def _text(tag: str, words: str) -> Any:
    """Words for TensorBoard's page of texts."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.text import metadata
    from tensorboard.util.tensor_util import make_tensor_proto

    kept = metadata.create_summary_metadata(display_name=tag, description="")
    return Summary(value=[Summary.Value(tag=tag, metadata=kept, tensor=make_tensor_proto([words.encode()]))])


def _plain(value: Any) -> bool | int | float | str:
    """A parameter as the HParams page takes it: what is no number, truth or text is written out."""
    return value if isinstance(value, (bool, int, float, str)) else str(value)


def _kind(value: Any) -> str:
    plain = _plain(value)
    return "bool" if isinstance(plain, bool) else "text" if isinstance(plain, str) else "number"
