"""What is read from Optuna's tables directly is what Optuna's own storage reads there."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from pprint import pformat

import optuna
import pytest
from msgspec.structs import asdict
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import RDBStorage
from optuna.trial import TrialState, create_trial

from outlast.errors import StorageError
from outlast.optimizer.bridge.sampler_view import silent
from outlast.optimizer.importing import import_sources
from outlast.optimizer.importing.import_rows import can_read, studies_in, trials_in
from outlast.optimizer.importing.import_through_optuna import StorageSource
from outlast.optimizer.importing.imported_study import import_storage
from outlast.optimizer.index.empty_index import known_schema, statements_of
from outlast.optimizer.index.index_by_optuna import made_by_optuna

OLD = Path(__file__).parent / "storages"


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    """Three studies with everything that a row may have, which nobody changes."""
    file = f"{tmp_path_factory.mktemp('optuna')}/o.db"
    with silent():
        storage = RDBStorage(f"sqlite:///{file}")
    space = {
        "x": FloatDistribution(1e-5, 1.0, log=True), "n": IntDistribution(0, 10, step=2),
        "drop": FloatDistribution(-1, 1, step=0.1), "y": FloatDistribution(0, 3),
        "width": IntDistribution(1, 512, log=True), "kind": CategoricalDistribution(["a", None, 3, True]),
    }  # fmt: skip
    one = optuna.create_study(study_name="one", storage=storage)
    one.set_metric_names(["loss"])
    one.set_user_attr("who", {"a": [1, None]})
    for value in (1.0, float("inf"), float("-inf")):
        one.add_trial(
            create_trial(
                params={"x": 0.1, "n": 4, "drop": 0.3, "y": 2.5, "width": 64, "kind": None}, distributions=space, value=value,
                user_attrs={"note": "ü"}, system_attrs={"s": [1], "constraints": [0.5, -1.0]}, constraints={"late": 2.0},
                intermediate_values={0: 0.5, 3: float("nan"), 4: float("inf")},
            )
        )  # fmt: skip
    one.add_trial(create_trial(state=TrialState.PRUNED, params={"x": 0.2}, distributions={"x": space["x"]}))
    one.add_trial(create_trial(state=TrialState.FAIL))
    one.enqueue_trial({"x": 0.3})
    one.ask()
    one.ask({"x": space["x"]})
    one.enqueue_trial({"x": 0.4})
    many = optuna.create_study(study_name="many", storage=storage, directions=["minimize", "maximize"])
    many.add_trial(create_trial(params={"x": 0.1}, distributions={"x": space["x"]}, values=[1.0, 2.0]))
    optuna.create_study(study_name="empty", storage=storage)
    yield storage, file
    storage.remove_session()
    storage.engine.dispose()


def test_studies_and_trials_are_those_that_optuna_reads(storage):
    through_optuna, file = StorageSource(storage[0]), storage[1]
    assert can_read(file)
    assert studies_in(file) == through_optuna.studies()
    for study in studies_in(file):
        ours, theirs = trials_in(file, study.id), through_optuna.trials(study.id)
        assert pformat(list(map(asdict, ours))) == pformat(
            list(map(asdict, theirs))
        )  # NaN equals nothing; keys in any order


def test_the_tables_of_an_empty_index_are_those_that_the_installed_optuna_makes():
    known = known_schema()
    assert known is not None, "python -m outlast.optimizer.index.empty_index"
    assert known.split("\n")[:-1] == "\n".join(statements_of(made_by_optuna()[1])).split("\n")


def test_making_an_index_and_reading_a_database_load_no_optuna(storage):
    program = (
        "import sys; from outlast.optimizer.importing.imported_study import import_storage; "
        "from outlast.optimizer.index.index_build import _fresh; "
        "from outlast.config.settings import MetricSettings, Settings; "
        f"import_storage({storage[1]!r}, 'one'); "
        "_fresh(Settings(name='s', metrics=(MetricSettings(name='m'),)), [], [], {}); "
        "print(sorted({name.partition('.')[0] for name in sys.modules} & {'optuna', 'sqlalchemy', 'alembic', 'pandas', 'scipy'}))"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True).stdout
    assert out.strip() == "[]"


@pytest.mark.parametrize("name", ["one", "many", "3.6.2", "4.5.0"])
def test_the_same_is_imported_whoever_reads_the_tables(storage, tmp_path, monkeypatch, name):
    file = storage[1]
    if name[0].isdigit():
        script, file, name = OLD / f"optuna-{name}.sql", f"{tmp_path}/old.db", "old"
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.executescript(script.read_text())
    ours = import_storage(file, name)
    monkeypatch.setattr(import_sources, "can_read", lambda _file: False)
    assert repr(import_storage(file, name)) == repr(ours) and ours.events


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE trials SET state = 'ASLEEP'",
        "UPDATE trials SET datetime_start = 'early'",
        "UPDATE trial_system_attributes SET value_json = '{'",
        "UPDATE trial_params SET distribution_json = 'half'",
        "DROP TABLE trial_values",
    ],
)
def test_what_is_no_row_of_optunas_is_said_with_the_file(storage, tmp_path, harm):
    file = shutil.copy(storage[1], tmp_path)
    connection = sqlite3.connect(file)
    connection.execute(harm)
    connection.commit()
    connection.close()
    with pytest.raises(StorageError, match=r"o\.db cannot be read"):
        import_storage(file, "one")
