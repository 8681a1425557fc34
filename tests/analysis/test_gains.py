from __future__ import annotations

import itertools
import math
import random
import statistics

import pytest
from scipy import integrate, stats

from outlast.analysis.expected_best import expected_best, expected_maximum
from outlast.analysis.further_trials import Tail, gains, tail_of

VALUES = [0.3, 0.9, 0.5, 0.7, 0.9, 0.1]


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_without_replacement_it_is_the_mean_over_all_choices(n):
    known = statistics.fmean(max(chosen) for chosen in itertools.combinations(VALUES, n))
    assert expected_maximum(VALUES, n) == pytest.approx(known)


@pytest.mark.parametrize("n", [1, 2, 4, 9])
def test_with_replacement_it_is_dodges(n):
    ordered, count = sorted(VALUES), len(VALUES)
    known = sum(v * ((i / count) ** n - ((i - 1) / count) ** n) for i, v in enumerate(ordered, 1))
    assert expected_maximum(VALUES, n, replace=True) == pytest.approx(known)


def test_the_estimator_without_replacement_is_unbiased_and_the_other_is_not():
    chooser = random.Random(0)
    samples = [[chooser.random() for _ in range(10)] for _ in range(4000)]
    truth = 10 / 11  # the mean of the largest of ten uniform numbers
    ours = statistics.fmean(expected_maximum(sample, 10) for sample in samples)
    dodges = statistics.fmean(expected_maximum(sample, 10, replace=True) for sample in samples)
    assert abs(ours - truth) < 0.004 < truth - dodges


@pytest.mark.parametrize("n", [0, -1, 7])
def test_a_number_without_a_meaning_is_refused(n):
    with pytest.raises(ValueError, match="no meaning"):
        expected_maximum(VALUES, n)
    with pytest.raises(ValueError, match="no meaning"):
        expected_maximum([], 1)


def test_the_curve_goes_from_the_mean_to_the_best_in_both_directions():
    for goal, best in (("maximize", 0.9), ("minimize", 0.1)):
        curve = expected_best(VALUES, goal)
        assert [point.trials for point in curve] == [1, 2, 3, 4, 5, 6]
        assert (curve[0].mean, curve[0].std) == pytest.approx((statistics.fmean(VALUES), statistics.pstdev(VALUES)))
        assert (curve[-1].mean, curve[-1].std, curve[-1].low, curve[-1].high) == (best, 0.0, best, best)
        assert all(point.low <= point.high for point in curve)


def test_the_ends_of_the_interval_are_those_of_all_choices():
    point = expected_best(VALUES, "maximize")[1]
    maxima = sorted(max(chosen) for chosen in itertools.combinations(VALUES, 2))
    assert point.low == next(v for v in maxima if sum(m <= v for m in maxima) >= 0.1 * len(maxima))
    assert point.high == next(v for v in maxima if sum(m <= v for m in maxima) >= 0.9 * len(maxima))


@pytest.mark.parametrize(
    ("values", "points"), [([], 0), ([math.nan], 0), ([0.5], 1), ([0.5, math.inf], 1), ([1.0] * 9, 9)]
)
def test_degenerate_curves(values, points):
    curve = expected_best(values, "minimize")
    assert len(curve) == points and all(point.std == 0 for point in curve)


def test_ten_thousand_trials_are_few_places():
    chooser = random.Random(1)
    curve = expected_best([chooser.random() for _ in range(10_000)], "maximize")
    assert curve[0].trials == 1 and curve[-1].trials == 10_000 and len(curve) <= 52
    means = [point.mean for point in curve]
    assert means == sorted(means)


@pytest.mark.parametrize("shape", [-0.5, -0.1, 0.0, 0.3])
@pytest.mark.parametrize("trials", [1, 10, 1000])
def test_the_expected_gain_is_the_integral_of_the_best_of_n(shape, trials):
    tail = Tail(threshold=1.0, scale=0.2, shape=shape, share=0.1)
    exceeds = stats.genpareto(shape, loc=1.0, scale=0.2)
    best, end = 1.2, exceeds.support()[1]
    known, _ = integrate.quad(lambda t: 1 - (1 - 0.1 * exceeds.sf(t)) ** trials, best, min(end, 100.0), limit=500)
    assert tail.beyond(best) == pytest.approx(0.1 * exceeds.sf(best))
    assert tail.gain(best, trials) == pytest.approx(known, rel=1e-3)


def test_beyond_its_end_nothing_is_gained():
    tail = Tail(threshold=0.0, scale=0.1, shape=-0.5, share=0.1)  # ends at 0.2
    assert (tail.beyond(0.3), tail.gain(0.3, 100)) == (0.0, 0.0)


@pytest.mark.parametrize("shape", [-0.4, 0.0, 0.3])
def test_the_tail_of_known_values_is_found(shape):
    drawn = stats.genpareto(shape, scale=2.0).rvs(size=20_000, random_state=3)
    found = tail_of(list(drawn))
    assert found.share == pytest.approx(100 / 20_000)
    whole = [tail_of(list(stats.genpareto(shape).rvs(size=500, random_state=seed))).shape for seed in range(60)]
    assert statistics.fmean(whole) == pytest.approx(shape, abs=0.1)


@pytest.mark.parametrize("draw", ["gauss", "random", "expovariate", "near an end"])
def test_the_gain_is_about_what_further_trials_bring_on_average(draw):
    chooser = random.Random(5)
    drawers = {
        "gauss": lambda: chooser.gauss(0, 1), "random": chooser.random, "expovariate": lambda: chooser.expovariate(1),
        "near an end": lambda: 1 - chooser.random() ** 0.5,
    }  # fmt: skip
    said, brought = [], []
    for _ in range(150):
        first = [drawers[draw]() for _ in range(60)]
        said.append(gains(first, "maximize", [60], resamples=0)[0].gain)
        brought.append(max(0.0, max(drawers[draw]() for _ in range(60)) - max(first)))
    assert 0.5 < statistics.fmean(said) / statistics.fmean(brought) < 2


def test_the_chance_of_a_new_best_is_that_of_exchangeable_trials():
    chooser = random.Random(2)
    found = gains([chooser.gauss(0, 1) for _ in range(50)], "minimize", [50, 150], resamples=20)
    assert [each.chance for each in found] == [0.5, 0.75]
    assert all(0 <= each.low <= each.gain <= each.high for each in found)
    assert found[0].gain < found[1].gain


def test_minimising_is_maximising_the_negative():
    chooser = random.Random(9)
    values = [chooser.gauss(0, 1) for _ in range(60)]
    assert gains(values, "maximize", [10]) == gains([-v for v in values], "minimize", [10])


@pytest.mark.parametrize(
    "values", [[], [1.0] * 100, [0.1 * i for i in range(10)], [math.nan] * 50, [0.0] * 90 + [1.0] * 10]
)
def test_what_has_no_tail_gives_no_gain(values):
    assert gains(values, "maximize", [10]) == []
