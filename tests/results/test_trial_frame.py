from __future__ import annotations

import importlib.util
import io
import json
import math

import pandas
import polars
import pyarrow.parquet
import pytest

from outlast.config.settings import MetricSettings, Settings
from outlast.core.states import TrialState
from outlast.errors import MissingExtra, UsageError
from outlast.results.trial_frame import frame_of, parquet_of
from outlast.results.trial_table import TrialTable
from outlast.testing.studies import StudyBuilder


@pytest.fixture
def columns():
    build = StudyBuilder()
    build.trial({"lr": 0.1, "layers": 2, "on": True, "sizes": [1, 2], "mixed": 1, "name": "a"}, values=0.5)
    build.trial({"lr": 1, "layers": 3, "on": False, "sizes": [3], "mixed": "x", "name": "b"}, TrialState.FAILED)
    build.trial({"lr": 0.2, "mixed": None}, TrialState.RUNNING)
    settings = Settings(name="x", command=("true",), metrics=(MetricSettings(name="acc"),))
    return TrialTable(settings).columns(build.study)


def test_a_pandas_frame_is_typed(columns):
    frame = frame_of(columns, "pandas")
    assert list(frame.columns) == list(columns) and len(frame) == 3
    assert (frame["number"].dtype, frame["value"].dtype, frame["layers"].dtype) == ("int64", "float64", "Int64")
    assert frame["name"].dtype == "string" and frame["name"].isna().tolist() == [False, False, True]
    assert frame["on"].dtype == "boolean" and str(frame["started_at"].dt.tz) == "UTC"
    assert frame["value"].tolist()[:2] == [0.5, -math.inf] and math.isnan(frame["value"][2])
    assert frame["sizes"][0] == [1, 2] and frame["mixed"][1] == "x"
    assert frame[frame["state"] == "complete"]["lr"].tolist() == [0.1]


def test_a_polars_frame_is_typed(columns):
    frame = frame_of(columns, "polars")
    assert frame.columns == list(columns) and frame.height == 3
    assert frame["number"].dtype == polars.Int64 and frame["on"].dtype == polars.Boolean
    assert frame["started_at"].dtype == polars.Datetime("ms", "UTC") and frame["sizes"].to_list()[0] == "[1, 2]"
    assert frame["mixed"].to_list() == ["1", "x", None] and frame["lr"].to_list() == [0.1, 1.0, 0.2]


def test_whichever_is_installed_is_taken_and_none_is_said_with_its_cure(columns, monkeypatch):
    assert isinstance(frame_of(columns), pandas.DataFrame)
    there = importlib.util.find_spec
    monkeypatch.setattr("outlast.results.trial_frame.find_spec", lambda name: None if name == "pandas" else there(name))
    assert isinstance(frame_of(columns), polars.DataFrame)
    monkeypatch.setattr("outlast.results.trial_frame.find_spec", lambda name: None)
    for library, cure in ((None, "pip install pandas"), ("polars", "pip install polars")):
        with pytest.raises(MissingExtra) as raised:
            frame_of(columns, library)
        assert raised.value.cure == cure
    with pytest.raises(MissingExtra, match="PyArrow or polars"):
        parquet_of(columns)
    with pytest.raises(UsageError, match="no data frame of 'excel'"):
        frame_of(columns, "excel")


def test_a_parquet_file_is_read_back_by_all_of_them(columns, monkeypatch):
    content = parquet_of(columns)
    assert pyarrow.parquet.read_table(io.BytesIO(content)).column_names == list(columns)
    for read in (pandas.read_parquet, polars.read_parquet):
        frame = read(io.BytesIO(content))
        assert list(frame["number"]) == [0, 1, 2] and frame["value"][0] == 0.5
        assert json.loads(frame["sizes"][0]) == [1, 2] and frame["started_at"][0].isoformat().endswith("+00:00")
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "outlast.results.trial_frame.find_spec", lambda name: None if name == "pyarrow" else there(name)
    )
    assert pandas.read_parquet(io.BytesIO(parquet_of(columns)))["value"].tolist()[0] == 0.5


def test_a_study_without_trials_has_columns_and_no_rows():
    settings = Settings(name="x", command=("true",), metrics=(MetricSettings(name="acc"),))
    columns = TrialTable(settings).columns(StudyBuilder().study)
    assert len(frame_of(columns, "pandas")) == 0 and frame_of(columns, "polars").height == 0
    assert pandas.read_parquet(io.BytesIO(parquet_of(columns))).columns.tolist() == list(columns)


def test_whole_numbers_beyond_64_bits_are_no_error():
    columns = {"seed": [2**63, None], "huge": [10**400, 1], "small": [-(2**63), 2**63 - 1]}
    frame = frame_of(columns, "pandas")
    assert (frame["seed"][0], frame["huge"][0], frame["small"].dtype) == (2.0**63, 10**400, "int64")
    assert frame_of(columns, "polars")["seed"].to_list() == [2.0**63, None]
    assert pyarrow.parquet.read_table(io.BytesIO(parquet_of(columns))).num_rows == 2
