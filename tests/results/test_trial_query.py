from __future__ import annotations

import math

import pytest

from outlast.errors import UsageError
from outlast.results.trial_query import chosen_rows, sorted_rows

COLUMNS = {
    "number": [0, 1, 2, 3, 4],
    "state": ["complete", "complete", "failed", "pruned", "complete"],
    "value": [0.5, 0.9, -math.inf, None, math.nan],
    "optimizer.lr": [0.1, 0.001, 0.01, 0.1, None],
    "model": ["mlp", "cnn", None, "cnn", 3],
    "sizes": [[1, 2], [1], None, [3], [1, 2]],
}
ALSO = {"acc": "value"}


@pytest.mark.parametrize(
    ("where", "rows"),
    [
        (None, [0, 1, 2, 3, 4]),
        ("state == 'complete'", [0, 1, 4]),
        ("optimizer.lr < 0.05", [1, 2]),  # not the one that has none
        ("lr < 0.05 and model == 'cnn'", [1]),
        ("acc > 0.4", [0, 1]),
        ("model is None", [2]),
        ("model in ('mlp', 'cnn') and not state == 'pruned'", [0, 1]),
        ("number % 2 == 0 or value / 0 > 1", [0, 2, 4]),
        ("sizes == [1, 2]", [0, 4]),
        ("1 < 2", [0, 1, 2, 3, 4]),
    ],
)
def test_the_rows_for_which_it_holds(where, rows):
    assert chosen_rows(COLUMNS, where, also=ALSO) == rows


@pytest.mark.parametrize(
    ("where", "fact", "cure"),
    [
        ("optimizer.l < 1", "no column 'optimizer.l'", "optimizer.lr"),
        ("nothing == 1", "no column 'nothing'", "there are: number, state"),
        ("lr <", "not an expression", "such as"),
        ("__import__('os')", "this is a call", "such as"),
        ("state.__class__ == 1", "no column", ""),
        ("model[0] == 1", "this is a subscript", "such as"),
        ("2 ** 99999 > lr", None, None),
    ],
)
def test_what_is_no_expression_is_said_with_its_place(where, fact, cure):
    if fact is None:  # too large to calculate: it holds nowhere, and takes no time
        assert chosen_rows(COLUMNS, where) == []
        return
    with pytest.raises(UsageError, match=fact) as raised:
        chosen_rows(COLUMNS, where)
    assert cure in (raised.value.cure or "")


@pytest.mark.parametrize(
    ("keys", "rows"),
    [
        (None, [0, 1, 2, 3, 4]),
        ("value", [2, 0, 1, 3, 4]),  # what is missing is last in both directions
        ("-value", [1, 0, 2, 3, 4]),
        ("acc:desc", [1, 0, 2, 3, 4]),
        ("state,-number", [4, 1, 0, 2, 3]),
        ("model", [4, 1, 3, 0, 2]),  # numbers before texts
        ("lr:asc, number:desc", [1, 2, 3, 0, 4]),
        ("sizes", [0, 4, 1, 3, 2]),
        ("", [0, 1, 2, 3, 4]),
    ],
)
def test_the_order(keys, rows):
    assert sorted_rows(COLUMNS, range(5), keys, also=ALSO) == rows


def test_a_column_that_is_not_there_is_said():
    with pytest.raises(UsageError, match="--sort: there is no column 'valeu'") as raised:
        sorted_rows(COLUMNS, [0], "-valeu")
    assert raised.value.cure == "did you mean `value`?"


def test_whole_numbers_beyond_any_float_have_an_order():
    assert sorted_rows({"seed": [10**400, 1, 2.5]}, range(3), "seed") == [1, 2, 0]


def test_no_trials_have_no_rows():
    assert chosen_rows({"number": []}, "number > 1") == [] and sorted_rows({"number": []}, [], "-number") == []
