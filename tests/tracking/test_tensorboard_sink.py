"""What TensorBoard itself reads in the files that it is sent: each point once, whenever whoever wrote them was killed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path

import pytest

from lab.tracked import CREATED, RememberedMemory, tracked_study, tracked_trial
from outlast._system import observed
from outlast.config.tracking_section import TensorboardSettings
from outlast.core.states import TrialState
from outlast.testing.sinks import SinkContract
from outlast.tracking.sink import EverythingAgain, Sink, SinkError, TrackedPoint, TrackedStudy, TrackedTrial
from outlast.tracking.tensorboard_sink import TensorboardSink

pytestmark = pytest.mark.foreign


class Killed(BaseException):
    """Nothing that anybody expects."""


def send(study: TrackedStudy, *trials: TrackedTrial, memory: RememberedMemory | None = None, dir: str | None = None):
    memory = memory or RememberedMemory()
    sink = TensorboardSink(TensorboardSettings(dir=dir))
    sink.open(study, memory)
    sink.send(study, trials)
    sink.close(study)
    return memory


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard's own reader of a run finds."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return {
        tag: [(each.step, round(each.value, 6)) for each in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]
    }


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_trial_is_a_run_with_its_curves_and_what_it_came_to(tmp_path: Path) -> None:
    send(tracked_study(tmp_path), tracked_trial(7))
    read = scalars(tmp_path / "tensorboard" / "trial_0007")
    assert read["accuracy"] == [(1, 0.51), (2, 0.52), (3, 0.53)]
    assert read["loss"] == [(1, 0.5), (2, 0.333333), (3, 0.25)]
    assert read["final/accuracy"] == [(3, 0.87)]
    assert read["final/latency_ms"] == [(3, 4.5)]


def test_the_study_has_the_best_value_so_far(tmp_path: Path) -> None:
    trials = [
        tracked_trial(0, values=(0.7,)), tracked_trial(1, values=(0.6,)), tracked_trial(2, values=(0.9,)),
        tracked_trial(3, state=TrialState.PRUNED, values=(0.99,)),
    ]  # fmt: skip
    send(tracked_study(tmp_path), *trials)
    assert scalars(tmp_path / "tensorboard")["best/accuracy"] == [(1, 0.7), (2, 0.7), (3, 0.9)]


def test_what_is_sent_as_a_trial_goes_on_is_what_is_sent_at_once(tmp_path: Path) -> None:
    study, done = tracked_study(tmp_path / "a"), tracked_trial(0)
    memory = RememberedMemory()
    for trial in (tracked_trial(0, epochs=1, done=False), tracked_trial(0, epochs=3, done=False), done, done):
        memory = send(study, trial, memory=memory.after_a_crash())
    send(tracked_study(tmp_path / "b"), done)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_a_file_that_ends_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    study, done = tracked_study(tmp_path), tracked_trial(0)
    send(study, done)
    whole = files(tmp_path)
    path = next(tmp_path.glob("tensorboard/trial_0000/*"))
    content = path.read_bytes()
    for length in range(0, len(content), 11):
        path.write_bytes(content[:length])
        send(study, done)
        assert files(tmp_path) == whole, length


def test_a_trial_that_goes_on_after_its_end_is_written_anew_and_stands_there_once(tmp_path: Path) -> None:
    study = tracked_study(tmp_path)
    send(study, tracked_trial(0, epochs=2, state=TrialState.FAILED, values=None, reason="exit code 1"))
    send(study, tracked_trial(0, epochs=3, attempts=2))
    folder = tmp_path / "tensorboard" / "trial_0000"
    assert [path.name for path in folder.iterdir()] == [f"events.out.tfevents.{int(CREATED)}.outlast.2"]
    assert scalars(folder)["accuracy"] == [(1, 0.51), (2, 0.52), (3, 0.53)]


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many operations on the disk are left before the writer is killed."""
    left = [10**9]

    def count(_operation: str, _path: str, **_: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    monkeypatch.setattr(observed, "observer", count)
    yield left


def test_killed_before_any_operation_every_point_is_there_once_after_the_next_time(
    tmp_path: Path, killed_after: list[int]
) -> None:
    stages = [
        tracked_trial(0, epochs=1, done=False),
        tracked_trial(0, epochs=2, state=TrialState.FAILED),
        tracked_trial(0),
    ]
    for killed_at in range(40):
        study = tracked_study(tmp_path / str(killed_at))
        memory, killed = RememberedMemory(), False
        killed_after[0] = killed_at
        for stage in stages:
            with contextlib.suppress(Killed):
                send(study, stage, memory=memory)
            if killed_after[0] < 0:
                killed, killed_after[0] = True, 10**9
                memory = memory.after_a_crash()
                send(study, stage, memory=memory)
        read = scalars(tmp_path / str(killed_at) / "tensorboard" / "trial_0000")
        assert [step for step, _ in read["accuracy"]] == [1, 2, 3], killed_at
        assert scalars(tmp_path / str(killed_at) / "tensorboard")["best/accuracy"] == [(1, 0.8)], killed_at
        names = [path.name for path in (tmp_path / str(killed_at)).rglob("*") if path.is_file()]
        assert len(names) == 2, names
        if not killed:
            return
    raise AssertionError("there were more operations than were tried")


def test_the_hparams_page_lists_every_trial_with_its_parameters_and_results(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer
    from tensorboard.context import RequestContext
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

    trials = [
        tracked_trial(0),
        tracked_trial(1),
        tracked_trial(2, state=TrialState.FAILED, values=None, reason="CUDA error"),
    ]
    send(tracked_study(tmp_path), *trials)
    folder = str(tmp_path / "tensorboard")
    runs = EventMultiplexer().AddRunsFromDirectory(folder)
    runs.Reload()
    page = backend_context.Context(TBContext(logdir=folder, data_provider=MultiplexerDataProvider(runs, folder)))
    tags = page.hparams_metadata(RequestContext(), "")
    experiment = page.experiment_from_metadata(RequestContext(), "", True, tags, None)
    assert [each.name for each in experiment.hparam_infos] == ["bias", "layers", "lr", "optimizer"]
    asked = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=10, include_metrics=True,
        allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_FAILURE, api_pb2.STATUS_RUNNING],
    )  # fmt: skip
    for info in experiment.metric_infos:
        asked.col_params.add().metric.CopyFrom(info.name)
    answer = list_session_groups.Handler(RequestContext(), page, "", asked).run()
    rows = {group.name: group for group in answer.session_groups}
    assert sorted(rows) == ["trial 0", "trial 1", "trial 2"]
    assert rows["trial 1"].hparams["lr"].number_value == 0.002
    assert rows["trial 1"].hparams["optimizer"].string_value == "adam"
    assert [round(value.value, 6) for value in rows["trial 1"].metric_values] == [0.81]
    assert [session.status for session in rows["trial 2"].sessions] == [api_pb2.STATUS_FAILURE]


def test_steps_that_a_restart_repeats_are_both_kept(tmp_path: Path) -> None:
    trial = tracked_trial(0)
    again = TrackedPoint(3, trial.points[-1].at + 100, {"accuracy": 0.6})
    send(tracked_study(tmp_path), tracked_trial(0, points=(*trial.points, again)))
    assert [step for step, _ in scalars(tmp_path / "tensorboard" / "trial_0000")["accuracy"]] == [1, 2, 3, 3]


def test_a_folder_of_ones_own_lies_where_it_is_said_and_a_full_disk_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(tracked_study(tmp_path), tracked_trial(0), dir=str(tmp_path / "runs"))
    assert (tmp_path / "runs" / "digits-1f0c2e" / "trial_0000").is_dir()

    def full(operation: str, path: str, **_: object) -> None:
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(observed, "observer", full)
    with pytest.raises(SinkError, match="cannot be written: No space left on device"):
        send(tracked_study(tmp_path), tracked_trial(1))


def test_studies_that_share_a_folder_do_not_share_runs(tmp_path: Path) -> None:
    for name, identity in (("digits", "1f0c2e77"), ("digits", "2a2a2a77"), ("digits-confirm", "1f0c2e77")):
        study = tracked_study(tmp_path, name=name, identity=identity)
        send(study, tracked_trial(0), dir=str(tmp_path / "runs"))
    assert len([*(tmp_path / "runs").rglob("trial_0000/*tfevents*")]) == 3
    assert len([*(tmp_path / "runs").glob("*/trial_0000")]) == 3


def test_a_folder_that_somebody_removed_is_asked_for_again(tmp_path: Path) -> None:
    study = tracked_study(tmp_path)
    memory = send(study, tracked_trial(0))
    shutil.rmtree(tmp_path / "tensorboard")
    with pytest.raises(EverythingAgain):
        send(study, tracked_trial(1), memory=memory)
    send(study, tracked_trial(0), tracked_trial(1), memory=memory.after_a_crash())
    assert scalars(tmp_path / "tensorboard")["best/accuracy"] == [(1, 0.8), (2, 0.81)]


class TestContract(SinkContract):
    """TensorBoard's sink keeps what every sink promises."""

    def sink(self, place: Path) -> Sink:
        return TensorboardSink(TensorboardSettings(dir=str(place / "runs")))

    def arrived(self, place: Path) -> Sequence[Hashable]:
        folders = {path.parent for path in place.rglob("*tfevents*")}
        return [
            (folder.name, tag, *point)
            for folder in folders
            for tag, points in scalars(folder).items()
            for point in points
        ]
