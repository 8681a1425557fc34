from __future__ import annotations

import pytest

from outlast.analysis.borders import border
from outlast.analysis.dimensions import Dimension, dimensions_of
from outlast.space.definitions import define
from outlast.testing.studies import StudyBuilder

LR = Dimension("lr", True, 1e-5, 1e-1, log=True)
DROPOUT = Dimension("dropout", True, 0.0, 0.5)
LAYERS = Dimension("layers", True, 1, 4, values=4)


def test_it_is_seen_in_the_scale_of_the_dimension():
    found = border(LR, [8e-2, 9e-2, 1e-1, 7e-2, 2e-2])
    assert (found.end, found.bound, found.near, found.of) == ("high", 0.1, 4, 5)
    assert found.widen_to == 1  # a quarter of its four powers of ten further
    assert border(Dimension("lr", True, 1e-5, 1e-1), [8e-2, 9e-2, 3e-2, 7e-2, 1e-2]) is None  # on a line, these are far


@pytest.mark.parametrize(
    ("dimension", "best"),
    [
        (LR, []),
        (LR, [0.1]),  # one trial in the outermost tenth is chance
        (LR, [1e-4, 1e-3, 1e-2, 2e-3, 3e-4]),
        (LR, [1.0, 2.0, 3.0]),  # of an earlier range
        (Dimension("x", True), [1.0, 2.0]),  # no ends
        (Dimension("x", True, 2.0, 2.0), [2.0] * 9),  # a constant
        (LAYERS, [4, 4, 3, 2, 1]),  # as many as by chance
    ],
)
def test_what_is_no_border(dimension, best):
    assert border(dimension, best) is None


def test_few_values_need_more_than_their_share():
    found = border(LAYERS, [4] * 9 + [3])
    assert (found.end, found.near, found.expected, found.widen_to) == ("high", 9, 2.5, 5)


def test_below_nought_nothing_is_proposed():
    found = border(DROPOUT, [0.0, 0.01, 0.0, 0.02, 0.3])
    assert (found.end, found.near, found.widen_to) == ("low", 4, None)
    assert border(Dimension("width", True, 1.0, 101.0), [1.0] * 5).widen_to == 0.1


def test_the_dimensions_of_a_study_file():
    dimensions = dimensions_of(
        [
            define_one("lr", min=1e-5, max=1e-1, distribution="log_uniform_values"),
            define_one("n", min=1, max=8),
            define_one("model", values=["a", "b"]),
            define_one("w", mu=0.0, sigma=1.0, distribution="normal"),
            define_one("k", value=3),
        ]
    )
    assert [(a.name, a.numeric, a.low, a.high, a.log, a.values) for a in dimensions] == [
        ("lr", True, 1e-5, 1e-1, True, None),
        ("n", True, 1, 8, False, 8),
        ("model", False, None, None, False, 2),
        ("w", True, None, None, False, None),
    ]


def define_one(name, **said):
    return define(name, said)


def test_the_dimensions_that_an_objective_drew():
    build = StudyBuilder()
    build.trial({"x": 1.0, "kind": "a"}, values=0.5)
    build.study.trials[0].distributions.update(
        x='{"name": "FloatDistribution", "attributes": {"step": 0.5, "low": 0.0, "high": 2.0, "log": false}}',
        kind='{"name": "CategoricalDistribution", "attributes": {"choices": ["a", "b"]}}',
    )
    assert dimensions_of([], build.study.trials.values()) == [
        Dimension("x", True, 0.0, 2.0, False, 5),
        Dimension("kind", False, values=2),
    ]
