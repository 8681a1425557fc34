"""Studies that Optuna ran, of any version: nothing is lost, nothing is touched.

``storages/`` holds what Optuna 2.10.1, 3.6.2 and 4.5.0 wrote: six trials in Tokyo's time zone with a pruned, a failed and
a running one that had drawn nothing, curves, a conditional parameter, a step, and one configuration that waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from outlast.core.fold import fold
from outlast.core.records import AttemptEnded, AttributeSet, StudyCreated, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.errors import StorageError, StudyNotFound, UsageError
from outlast.optimizer.importing import import_sources
from outlast.optimizer.importing.imported_study import ImportedStudy, import_storage
from outlast.optimizer.index.index_build import rebuild_index
from outlast.optimizer.index.index_check import check_index
from outlast.optimizer.sampling import Optimizer
from outlast.space.definitions import define

HERE = Path(__file__).parent / "storages"
VERSIONS = ("2.10.1", "3.6.2", "4.5.0")


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def database(folder: Path, version: str) -> Path:
    path = folder / "old.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((HERE / f"optuna-{version}.sql").read_text())
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in os.listdir(folder)}


def states(study: ImportedStudy) -> list[str]:
    return [trial.state.value for trial in fold([StudyCreated("x", "t"), *study.events]).trials.values()]


def made(url: Any, name: str = "mine", trials: int = 3) -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name=name, storage=url, sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=trials)
    return study


@pytest.mark.parametrize("version", VERSIONS)
def test_a_database_of_any_version_is_taken_in_whole_and_left_as_it_was(
    tmp_path: Path, version: str, tokyo: None
) -> None:
    path = database(tmp_path, version)
    before = contents(tmp_path)
    study = import_storage(str(path))
    assert contents(tmp_path) == before
    assert (study.name, study.directions) == ("old", ("maximize",))
    assert states(study) == ["complete", "complete", "pruned", "failed", "complete", "complete"]
    assert any("trial 6 was running" in warning for warning in study.warnings)
    trials = fold([StudyCreated("x", "t"), *study.events]).trials
    assert trials[5].values == (0.5002886298899349,)
    assert trials[2].curve() == {0: trials[2].params["x"], 1: trials[2].params["x"] + 1, 2: trials[2].params["x"] + 2}
    assert trials[3].cause is Cause.IMPORTED
    assert study.enqueued == ({"x": 0.5},)
    assert trials[0].created_at.startswith("2026-11-23T21:"), "06 o'clock of the next day in Tokyo is 21 UTC"


@pytest.mark.parametrize("version", VERSIONS)
def test_the_space_is_found_in_our_words_and_the_search_can_go_on(lab: Any, tmp_path: Path, version: str) -> None:
    study = import_storage(str(database(tmp_path, version)))
    kernel = study.parameters.pop("kernel")
    assert study.parameters == {
        "x": {"min": -1.0, "max": 1.0, "distribution": "uniform"},
        "lr": {"min": 1e-5, "max": 0.1, "distribution": "log_uniform_values"},
        "drop": {"min": 0.0, "max": 0.5, "q": 0.1, "distribution": "q_uniform"},
        "n": {"min": 1, "max": 8},
        "w": {"min": 16, "max": 64, "q": 16, "distribution": "q_uniform"},
        "model": {"values": ["mlp", "cnn"]},
    }
    assert kernel == {"min": 3, "max": 7, "when": {"model": ["cnn"]}}
    settings = lab.settings({**study.parameters, "kernel": kernel}, sampler="tpe")
    ledger = fold([StudyCreated("x", "t"), *study.events])
    optimizer = Optimizer(settings, ledger)
    assert len(optimizer._seen.view().get_all_trials(0)) == 6
    assert optimizer.ask(6) is not None


@pytest.mark.parametrize("version", ["3.6.2", "4.5.0"])
def test_a_journal_is_taken_in(tmp_path: Path, version: str, tokyo: None) -> None:
    shutil.copyfile(HERE / f"journal-{version}.log", tmp_path / "journal.log")
    before = contents(tmp_path)
    study = import_storage(str(tmp_path / "journal.log"))
    assert states(study) == ["complete", "complete", "pruned", "failed", "complete", "complete"]
    assert study.events[0].at.startswith("2026-11-23T21:") and not study.warnings
    assert contents(tmp_path) == before


def test_a_journal_torn_at_every_byte_of_its_last_line_is_taken_in(tmp_path: Path) -> None:
    whole = (HERE / "journal-4.5.0.log").read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    path = tmp_path / "journal.log"
    for end in range(last + 1, len(whole) - 1, 7):
        path.write_bytes(whole[:end])
        study = import_storage(str(path))
        assert len(states(study)) == 6
        assert study.warnings


def test_a_torn_line_that_another_writer_went_on_in_loses_only_itself(tmp_path: Path) -> None:
    lines = (HERE / "journal-4.5.0.log").read_bytes().splitlines(keepends=True)
    torn = lines[40][: len(lines[40]) // 2]
    (tmp_path / "journal.log").write_bytes(b"".join([*lines[:40], torn, *lines[40:]]))
    study = import_storage(str(tmp_path / "journal.log"))
    assert study.events == import_storage(str(HERE / "journal-4.5.0.log")).events
    assert "1 torn line" in study.warnings[0]


def test_times_of_todays_optuna_are_utc_already(tmp_path: Path, tokyo: None) -> None:
    study = made(f"sqlite:///{tmp_path}/new.db")
    with contextlib.closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        stored = connection.execute("SELECT datetime_start FROM trials").fetchone()[0]
    assert import_storage(str(tmp_path / "new.db")).events[0].at[:23] == stored.replace(" ", "T")[:23]
    assert len(study.trials) == 3


@pytest.mark.parametrize("place", ["{path}", "sqlite:///{path}", "sqlite:///{path}?timeout=60"])
def test_paths_and_urls_mean_the_same(tmp_path: Path, place: str) -> None:
    made(f"sqlite:///{tmp_path}/a b.db")
    assert len(import_storage(place.format(path=tmp_path / "a b.db")).events) == 6


def test_a_relative_url_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(f"sqlite:///{tmp_path}/here.db")
    monkeypatch.chdir(tmp_path)
    assert import_storage("sqlite:///here.db?timeout=1").name == "mine"


def test_the_timeout_of_a_url_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(f"sqlite:///{tmp_path}/held.db")
    holder = sqlite3.connect(tmp_path / "held.db", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    waits, wait = [], import_sources._wait_for_lock

    def noted(source: sqlite3.Connection, seconds: float) -> None:
        waits.append(seconds)
        wait(source, seconds)

    monkeypatch.setattr(import_sources, "_wait_for_lock", noted)
    started = time.monotonic()
    with pytest.raises(StorageError, match="locked"):
        import_storage(f"sqlite:///{tmp_path}/held.db?timeout=0.3")
    assert time.monotonic() - started >= 0.3 and waits == [0.3]
    holder.execute("ROLLBACK")
    holder.close()


def test_a_write_ahead_log_is_part_of_the_database(tmp_path: Path) -> None:
    made(f"sqlite:///{tmp_path}/wal.db", trials=1)
    connection = sqlite3.connect(tmp_path / "wal.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("UPDATE trial_values SET value = 42.0")
    before = contents(tmp_path)
    study = import_storage(str(tmp_path / "wal.db"))
    assert contents(tmp_path) == before
    connection.close()
    assert study.events[1].values == (42.0,)


def test_of_several_studies_one_has_to_be_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/two.db"
    made(url, "alpha")
    made(url, "beta", trials=1)
    with pytest.raises(StudyNotFound, match="alpha, beta") as several:
        import_storage(url)
    assert "--study-name NAME" in (several.value.cure or "")
    assert len(import_storage(url, "beta").events) == 2
    with pytest.raises(StudyNotFound, match="did you mean `beta`"):
        import_storage(url, "bets")


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", UsageError),
        (b"lr,score\n0.1,0.9\n", UsageError),
        (b"SQLite format 3\x00" + os.urandom(4096), StorageError),
        (None, UsageError),
    ],
)
def test_what_is_no_storage_is_said(tmp_path: Path, content: bytes | None, error: type[Exception]) -> None:
    path = tmp_path / "x.db"
    if content is None:
        with contextlib.closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE results (score REAL)")
    else:
        path.write_bytes(content)
    before = contents(tmp_path)
    with pytest.raises(error):
        import_storage(str(path))
    assert contents(tmp_path) == before


def test_a_missing_file_or_driver_is_said(tmp_path: Path) -> None:
    with pytest.raises(StudyNotFound, match="no file"):
        import_storage(str(tmp_path / "none.db"))
    with pytest.raises(UsageError, match="folder"):
        import_storage(str(tmp_path))
    with pytest.raises((UsageError, StorageError)) as caught:
        import_storage("postgresql://me:secret@localhost:1/studies")
    assert "secret" not in str(caught.value)


def test_several_objectives_and_their_names(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/m.db", directions=["maximize", "minimize"])
    study.set_metric_names(["f1", "ece"])
    study.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=2)
    found = import_storage(str(tmp_path / "m.db"))
    assert (found.directions, found.metric_names) == (("maximize", "minimize"), ("f1", "ece"))
    assert len(found.events[1].values) == 2


def test_a_trial_that_was_running_with_all_its_parameters_is_interrupted(tmp_path: Path) -> None:
    study = made(f"sqlite:///{tmp_path}/r.db")
    study.ask({"x": optuna.distributions.FloatDistribution(0.0, 1.0)})
    found = import_storage(str(tmp_path / "r.db"))
    assert states(found) == ["complete"] * 3 + ["interrupted"]
    assert found.events[-1].cause is Cause.LOST and not found.warnings


UNIT = {name: optuna.distributions.FloatDistribution(0.0, 1.0) for name in "xy"}


def killed(url: Any) -> optuna.Study:
    """A study whose processes were killed at every moment that there is."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name="mine", storage=url, sampler=optuna.samplers.RandomSampler(seed=1))
    study.tell(study.ask(UNIT), 0.5)
    for _ in range(2):
        study.ask(UNIT)  # 1, 2: running, everything is drawn
    study.ask({"x": UNIT["x"]})  # 3: a part of it is drawn
    study.ask()  # 4: nothing is
    study.enqueue_trial({"x": 0.25})
    study.ask()  # 5: nothing of what it was to have is drawn
    study.enqueue_trial({"x": 0.5, "y": 0.5})
    study.ask({"x": UNIT["x"]})  # 6: a part of that
    study.enqueue_trial({"y": 0.75})  # 7: waits
    study.add_trial(  # 8: waits, as a trial that a heartbeat gave up does
        optuna.trial.create_trial(
            state=optuna.trial.TrialState.WAITING,
            params={"x": 0.1, "y": 0.2},
            distributions=UNIT,
            system_attrs={"failed_trial": 1, "retry_history": [1]},
        )
    )
    return study


@pytest.mark.parametrize("kind", ["database", "journal"])
def test_of_a_study_that_was_killed_every_row_has_its_place(tmp_path: Path, kind: str) -> None:
    url: Any = f"sqlite:///{tmp_path}/killed"
    if kind == "journal":
        url = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(f"{tmp_path}/killed"))
    killed(url)
    found = import_storage(f"{tmp_path}/killed")
    assert states(found) == ["complete", "interrupted", "interrupted", "failed"]
    assert found.events[-1].cause is Cause.LOST and "had not drawn all" in found.events[-1].reason
    assert found.enqueued == ({"x": 0.25}, {"x": 0.5, "y": 0.5}, {"y": 0.75}, {"x": 0.1, "y": 0.2})
    assert found.warnings == ("trial 4 was running and had drawn nothing yet: left out",)


def test_a_study_that_was_killed_in_its_first_trial_goes_on_with_it(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/f.db", directions=["minimize", "maximize"])
    study.ask(UNIT)
    assert states(import_storage(str(tmp_path / "f.db"))) == ["interrupted"]


def test_ranges_that_changed_are_widened_and_said(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/w.db")
    study.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0 + trial.number), n_trials=3)
    found = import_storage(str(tmp_path / "w.db"))
    assert found.parameters["x"] == {"min": 0.0, "max": 3.0, "distribution": "uniform"}
    assert "x had 3 different ranges" in found.warnings[0]


@pytest.mark.filterwarnings("ignore:Choices for a categorical")
def test_choices_may_be_lists_and_mappings(tmp_path: Path) -> None:
    choice = optuna.distributions.CategoricalDistribution
    drawn: list[Any] = [[1, 2], {"a": 1}, None, True]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/c.db")
    for number, chosen in enumerate(drawn):
        kinds: dict[str, Any] = {"c": choice([*drawn, 1]), "kind": choice(["a", "b"])}
        params = {"c": chosen, "kind": "b" if number else "a"}
        if number:  # `x` belongs to one kind
            kinds["x"], params["x"] = UNIT["x"], 0.5
        study.add_trial(optuna.trial.create_trial(params=params, distributions=kinds, value=1.0))
    found = import_storage(str(tmp_path / "c.db"))
    assert json.dumps(found.parameters["c"]["values"]) == json.dumps([*drawn, 1])
    assert found.parameters["x"]["when"] == {"kind": ["b"]}
    assert [event.params["c"] for event in found.events if isinstance(event, TrialCreated)] == drawn


def test_a_range_whose_steps_begin_elsewhere_is_listed(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/s.db")
    study.optimize(lambda trial: trial.suggest_int("x", 1, 9, step=4), n_trials=2)
    assert import_storage(str(tmp_path / "s.db")).parameters == {"x": {"values": [1, 5, 9]}}


@pytest.mark.parametrize(("low", "high"), [(0.05, 0.95), (0.0, 1.0), (-0.95, 0.95)])
def test_steps_are_taken_in_without_the_noise_of_binary_fractions(
    lab: Any, tmp_path: Path, low: float, high: float
) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/f.db", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(lambda trial: trial.suggest_float("w", low, high, step=0.1), n_trials=60)
    study.enqueue_trial({"w": study.trials[0].params["w"]})
    found = import_storage(str(tmp_path / "f.db"))
    space = lab.settings(found.parameters).space
    taken = [event.params["w"] for event in found.events if isinstance(event, TrialCreated)]
    assert not [why for w in taken if (why := space.fits({"w": w}))]
    assert set(taken) <= {float(f"{w:.6g}") for w in taken} and found.enqueued == ({"w": taken[0]},)
    assert taken == pytest.approx([trial.params["w"] for trial in study.trials[:60]])


def test_every_definition_found_is_one_that_our_reader_takes(tmp_path: Path) -> None:
    for name, definition in import_storage(str(database(tmp_path, "4.5.0"))).parameters.items():
        define(name, {key: value for key, value in definition.items() if key != "when"})


def test_our_own_index_gives_back_states_and_causes(lab: Any, tmp_path: Path) -> None:
    """A lost ledger is made again from what the index says."""
    study = lab.study()
    optimizer = Optimizer(lab.settings(sampler="random"), study)
    ends = [
        lab.ended(0, values=(0.5,), curve=((0, 0.1), (1, 0.5))),
        lab.ended(1, TrialState.INFEASIBLE, Cause.GPU_OUT_OF_MEMORY),
        lab.ended(2, TrialState.FAILED, Cause.DIVERGED),
        lab.ended(3, TrialState.PRUNED, curve=((0, 0.1),)),
    ]
    for number in range(5):
        event = lab.created(optimizer.ask(number), number)
        for item in (event, *ends[number : number + 1]):
            study.apply(item)
            optimizer.apply(item)
    rebuild_index(tmp_path / "study.db", study, lab.settings())
    found = fold([StudyCreated("x", "t"), *import_storage(str(tmp_path / "study.db")).events])
    for number, trial in study.trials.items():
        again = found.trials[number]
        assert (again.params, again.values, again.curve()) == (trial.params, trial.values, trial.curve())
        if number < 4:
            assert (again.state, again.cause) == (trial.state, trial.cause)


def test_what_objectives_noted_is_taken_in_also_under_names_that_the_index_uses(lab: Any, tmp_path: Path) -> None:
    noted = {"params": {"depth": 3}, "reason": None, "epochs": 7}
    study = lab.study()
    optimizer = Optimizer(lab.settings(sampler="random"), study)
    study.apply(lab.created(optimizer.ask(0), 0))
    for name, value in noted.items():
        study.apply(lab.through_json(AttributeSet(0, name, json.dumps(value))))
    study.apply(AttributeSet(0, "constraints:c", "0.5", system=True))
    study.apply(lab.ended(0, TrialState.FAILED, Cause.DIVERGED))
    rebuild_index(tmp_path / "study.db", study, lab.settings())
    assert not check_index(tmp_path / "study.db", study, lab.settings())
    again = fold([StudyCreated("x", "t"), *import_storage(str(tmp_path / "study.db")).events]).trials[0]
    assert again.optuna_attrs == {"constraints:c": 0.5}
    assert (again.user_attrs, again.params, again.cause) == (noted, study.trials[0].params, Cause.DIVERGED)


def test_events_survive_json(lab: Any, tmp_path: Path) -> None:
    study = import_storage(str(database(tmp_path, "4.5.0")))
    assert [lab.through_json(event) for event in study.events] == list(study.events)
    assert sum(isinstance(event, AttemptEnded) for event in study.events) == 6
    json.dumps(study.parameters)
