"""Names and values as MLflow takes them, and its errors in short."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.tracking.mlflow_names import taken_names, texts_in_parts
from outlast.tracking.mlflow_server import Server
from outlast.tracking.sink import SinkError


@given(st.sets(st.text(min_size=1), max_size=8))
def test_every_name_is_taken_and_no_two_become_one(names: set[str]) -> None:
    found = taken_names(names)
    assert len({*found.values()}) == len(names)
    for name in found.values():
        assert re.match(r"^[/\w.\- :]*$", name) and 0 < len(name) <= 250
        assert not name.startswith(("/", "..")) and name != "." and "//" not in name


@given(st.lists(st.tuples(st.just("p"), st.text(max_size=50)), max_size=300))
def test_requests_hold_everything_in_its_order(items: list[tuple[str, str]]) -> None:
    parts = [*texts_in_parts(items, 100)]
    assert [item for part in parts for item in part] == items
    assert all(len(part) <= 100 for part in parts)


@pytest.mark.slow
@pytest.mark.foreign
@pytest.mark.filterwarnings("default")
def test_a_server_that_is_not_there_is_said_in_a_few_words() -> None:
    with pytest.raises(SinkError) as caught:
        Server("http://127.0.0.1:9").experiment("digits")
    assert caught.value.reason == "MLflow: http://127.0.0.1:9 does not answer: [Errno 111] Connection refused"
