"""`import --to`: studies go from any storage to any other with everything that Optuna keeps, and never over another."""

from __future__ import annotations

import math
import pprint
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from lab.postgres import PASSWORD, Postgres
from outlast.errors import StudyNotFound, UsageError
from outlast.optimizer.importing.imported_study import import_storage
from outlast.optimizer.index.index_build import build_index
from outlast.optimizer.index.index_rows import RowMaker
from outlast.optimizer.stores.moving import move_studies

pytestmark = pytest.mark.slow
SPACE: dict[str, Any] = {
    "lr": FloatDistribution(1e-5, 1.0, log=True),
    "layers": IntDistribution(1, 9, step=2),
    "model": CategoricalDistribution(["mlp", None, 3, True]),
}


@pytest.fixture(autouse=True)
def quiet_optuna() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield


@pytest.fixture
def place(postgres: Postgres, database: str, tmp_path: Path) -> Callable[[str], str]:
    """An address of a kind."""
    return {
        "sqlite": f"sqlite:///{tmp_path}/some.db",
        "journal": f"{tmp_path}/some.log",
        "postgresql": postgres.url(database),
    }.__getitem__


def storage_at(place: str) -> optuna.storages.BaseStorage:
    if place.endswith(".log"):
        return optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(place))
    return optuna.storages.get_storage(place.replace("postgresql:", "postgresql+psycopg:"))


def closed(storage: Any) -> None:
    if not isinstance(storage, optuna.storages.JournalStorage):
        storage._backend.remove_session()
        storage._backend.engine.dispose()


def filled(place: str) -> None:
    """Two studies with everything in them."""
    storage = storage_at(place)
    study = optuna.create_study(storage=storage, study_name="all states", direction="maximize")
    study.set_metric_names(["acc"])
    study.set_user_attr("note", {"a": [1, None, "ü"]})
    params = {"lr": 0.5, "layers": 3, "model": None}
    moment = datetime(2024, 5, 1, 12, 30, 59, 123456)
    curve = {0: 0.25, 7: math.nan, 9: math.inf}
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING):
        trial = create_trial(
            state=state,
            value=0.1 + 0.2 if state is TrialState.COMPLETE else None,
            params=params,
            distributions=SPACE,
            user_attrs={"who": "me", "none": None},
            system_attrs={"deep": [1, {"x": "y"}]},
            intermediate_values=curve,
        )
        trial.datetime_start = moment
        trial.datetime_complete = moment if state.is_finished() else None
        study.add_trial(trial)
    study.enqueue_trial({"lr": 0.1}, user_attrs={"asked": "for"})
    study.add_trial(create_trial(value=-math.inf))
    two = optuna.create_study(storage=storage, study_name="two goals", directions=["maximize", "minimize"])
    two.add_trial(create_trial(values=[1.0, 2.0], params={"lr": 0.5}, distributions={"lr": SPACE["lr"]}))
    closed(storage)


def content(place: str) -> list[str]:
    storage = storage_at(place)
    found = []
    for study in storage.get_all_studies():
        facts = [study.study_name, study.directions, study.user_attrs, study.system_attrs]
        trials: list[Any] = [{**vars(trial), "_trial_id": 0} for trial in storage.get_all_trials(study._study_id)]
        found += [pprint.pformat(fact, width=10_000) for fact in [*facts, *trials]]
    closed(storage)
    return found


@pytest.mark.parametrize(
    ("one", "other"),
    [("sqlite", "postgresql"), ("postgresql", "journal"), ("journal", "sqlite"), ("journal", "postgresql")],
)
def test_everything_arrives_and_a_second_time_there_is_nothing_to_do(
    place: Callable[[str], str], one: str, other: str
) -> None:
    filled(place(one))
    before = content(place(one))
    moved, _ = move_studies(place(one), place(other))
    assert [(each.name, each.trials, each.copied) for each in moved] == [
        ("all states", 6, True),
        ("two goals", 1, True),
    ]
    assert content(place(other)) == before == content(place(one))
    again, _ = move_studies(place(one), place(other))
    assert [each.copied for each in again] == [False, False]
    assert content(place(other)) == before


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "journal"])
def test_what_is_there_is_never_overwritten_and_then_nothing_is_copied(
    place: Callable[[str], str], tmp_path: Path, kind: str
) -> None:
    source = str(tmp_path / "source.db")
    filled(f"sqlite:///{source}")
    storage = storage_at(place(kind))
    optuna.create_study(storage=storage, study_name="two goals").add_trial(create_trial(value=1.0))
    closed(storage)
    before = content(place(kind))
    with pytest.raises(UsageError, match="another study called two goals: nothing was copied"):
        move_studies(source, place(kind))
    assert content(place(kind)) == before
    moved, _ = move_studies(source, place(kind), "all states")
    assert [each.name for each in moved] == ["all states"]
    with pytest.raises(StudyNotFound, match="no study all state;"):
        move_studies(source, place(kind), "all state")


def test_what_ends_in_the_middle_leaves_nothing_and_can_be_done_again(
    place: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from outlast.optimizer.stores import moving

    source = f"sqlite:///{tmp_path}/source.db"
    filled(source)
    insert = moving._insert
    done: list[str] = []

    def cut(connection: Any, study: Any) -> None:
        insert(connection, study)
        done.append(study.name)
        if len(done) == 2:
            raise ConnectionError("the server went away")

    monkeypatch.setattr(moving, "_insert", cut)
    with pytest.raises(Exception, match="the server went away"):
        move_studies(source, place("postgresql"))
    assert content(place("postgresql")) == []
    monkeypatch.setattr(moving, "_insert", insert)
    move_studies(source, place("postgresql"))
    assert content(place("postgresql")) == content(source)


def test_a_study_folder_begins_with_what_is_on_a_server(place: Callable[[str], str]) -> None:
    filled(place("postgresql"))
    study = import_storage(place("postgresql"), "all states")
    assert study.metric_names == ("acc",)
    assert study.directions == ("maximize",)
    assert study.enqueued == ({"lr": 0.1},)
    assert len({event.trial for event in study.events if hasattr(event, "trial")}) == 5


def test_a_place_with_a_password_is_named_without_it(place: Callable[[str], str], tmp_path: Path) -> None:
    filled(place("postgresql"))
    source = place("postgresql")
    attempts = [lambda: import_storage(source), lambda: import_storage(source, "typo")]
    attempts.append(lambda: move_studies(source, str(tmp_path / "x.db"), "typo"))  # type: ignore[arg-type, return-value]
    for attempt in attempts:
        with pytest.raises(StudyNotFound) as error:
            attempt()
        assert PASSWORD not in str(error.value) and "postgresql://searcher:***@" in str(error.value)


def test_a_copy_of_a_folders_own_says_that_it_is_one(lab: Any, study: Any, tmp_path: Path) -> None:
    settings = lab.settings()
    build_index(tmp_path / "study.db", settings, [RowMaker(settings).row(trial) for trial in study.trials.values()])
    _, warnings = move_studies(str(tmp_path / "study.db"), str(tmp_path / "shared.log"))
    assert [each for each in warnings if "this copy stays as it is now" in each and "digits" in each]
