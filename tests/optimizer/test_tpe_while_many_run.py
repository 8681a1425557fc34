"""What TPE knows of trials that run, and what it keeps of many choices and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from optuna.distributions import FloatDistribution, distribution_to_json

from outlast.core.records import ParamDrawn, TrialCreated
from outlast.optimizer.ranges import ChoiceRange, FloatRange, IntRange
from outlast.optimizer.sampling import Optimizer
from outlast.optimizer.tpe.mixture_density import Choices, log_density
from outlast.optimizer.tpe.optuna_mixtures import mixture
from outlast.optimizer.tpe.value_column import Column


@pytest.mark.parametrize("goals", [("minimize",), ("minimize", "minimize")])
def test_what_is_offered_to_many_at_once_counts_for_the_next_and_after_a_restart(
    lab: Any, goals: tuple[str, ...]
) -> None:
    settings, study = lab.settings({}, sampler="tpe", goals=goals), lab.study()
    wanted = {name: distribution_to_json(FloatDistribution(0, 1)) for name in ("x", "z")}
    ran_on = Optimizer(settings, study)

    def offer(to: Optimizer, number: int) -> Any:
        draw = to.ask(number)
        values = to.suggest_ahead(number, wanted)
        return replace(lab.created(draw, number), offered={name: (wanted[name], values[name]) for name in wanted})

    def known(by: Optimizer) -> list[Any]:
        columns = by._seen.columns
        if columns is None or not columns.fits():
            return [row.params for row in by._seen.view().get_all_trials(0)]
        return [columns.observed(np.arange(14), ["x", "z"])["x"].tolist()]

    for number in range(14):
        made = offer(ran_on, number)
        assert offer(Optimizer(settings, study), number) == made
        events = [made, lab.opened(number)]
        if number < 3:
            events += [replace(lab.ended(number, values=tuple(0.1 * number for _ in goals)), drawn=("x", "z"))]
        for event in events:
            study.apply(event)
            ran_on.apply(event)
    assert known(ran_on) == known(Optimizer(settings, study))
    given = {number: study.trials[number].offered["x"][1] for number in range(3, 14)}
    last = known(ran_on)[-1] if len(goals) == 1 else [row["x"] for row in known(ran_on)]
    assert last[3:14] == list(given.values())


@pytest.mark.parametrize("goals", [("minimize",), ("minimize", "minimize")])
def test_what_is_enqueued_counts_from_when_its_names_are_known_whenever_it_was_read(
    lab: Any, goals: tuple[str, ...]
) -> None:
    settings, study = lab.settings({}, sampler="tpe", goals=goals), lab.study()
    ran_on, rate = Optimizer(settings, study), distribution_to_json(FloatDistribution(0, 1))

    def known(by: Optimizer) -> Any:
        columns = by._seen.columns
        if columns is None or not columns.fits():
            return by._seen.view().get_all_trials(0)[0].params
        return {"rate": columns.observed(np.arange(1), ["rate"])["rate"].item()}

    events = [lab.created(ran_on.ask(0, {"rate": 0.125}), 0), lab.opened(0)]
    for each in (study, ran_on):
        each.apply(events[0])
    (
        ran_on._seen.view().get_all_trials(0),
        ran_on._seen.columns and ran_on._seen.columns.fits(),
    )  # nobody knows the name yet
    for number in (1, 2):
        event = lab.created(ran_on.ask(number), number)
        study.apply(event)
        ran_on.apply(event)
    event = ParamDrawn(2, "rate", ran_on.suggest(2, "rate", rate), rate)
    study.apply(event)
    ran_on.apply(event)
    assert known(ran_on) == known(Optimizer(settings, study)) == {"rate": 0.125}


@pytest.mark.filterwarnings("error")
def test_a_range_far_from_all_that_was_tried_warns_nobody(lab: Any) -> None:
    settings, study = lab.settings({}, sampler="tpe"), lab.study()
    ran_on = Optimizer(settings, study)

    def drawn(number: int, low: float, high: float) -> Any:
        text = distribution_to_json(FloatDistribution(low, high))
        for event in (lab.created(ran_on.ask(number), number), lab.opened(number)):
            study.apply(event)
            ran_on.apply(event)
        value = ran_on.suggest(number, "x", text)
        study.apply(ParamDrawn(number, "x", value, text))
        for each in (study, ran_on):
            each.apply(lab.ended(number, values=(value,)))
        return value

    for number in range(100):
        drawn(number, 2.0, 3.0)
    assert all(0.0 <= drawn(number, 0.0, 1.0) <= 1.0 for number in range(100, 104))


def test_of_many_choices_only_those_that_were_taken_have_kernels() -> None:
    column, many = Column(6), ChoiceRange(tuple(f"file {n}" for n in range(2000)))
    column.meet(many)
    column.put(np.arange(5), [f"file {n}" for n in (7, 3, 7, 1999, 3)])
    kernels = column.kernels(np.arange(5), many)
    assert isinstance(kernels, Choices) and kernels.rows.shape == (4, 2000)
    theirs = mixture({"f": column.values[:5]}, {"f": many})
    points = {"f": np.array([0.0, 3.0, 7.0, 1999.0])}
    assert np.allclose(log_density(points, np.full(6, 1 / 6), [kernels]), theirs.log_pdf(points), rtol=1e-12)


def test_ranges_that_change_from_trial_to_trial_do_not_add_up() -> None:
    column = Column(200)
    column.meet(FloatRange(0, 1))
    column.put(np.arange(150), np.linspace(0.01, 0.99, 150).tolist())
    for top in range(1, 31):
        column.kernels(np.arange(150), FloatRange(0, top))
    assert len(column._scales) <= 8


@pytest.mark.parametrize("sampler, counts", [("auto", False), ("tpe", True)])
def test_by_turns_with_a_process_trials_that_run_are_not_taken_for_poor_ones(
    lab: Any, sampler: str, counts: bool
) -> None:
    optimizer = Optimizer(lab.settings({"x": {"min": 0.0, "max": 1.0}}, sampler=sampler), lab.study())
    for number in range(60):
        optimizer.apply(TrialCreated(number, "", {"x": (7 * number % 60) / 60}))
        optimizer.apply(lab.ended(number, values=((number - 30) ** 2,)))

    def suggested() -> Any:
        return [optimizer._factory.suggester(101, seed).together()["x"] for seed in range(10)]

    before = suggested()
    for number in range(60, 100):
        optimizer.apply(TrialCreated(number, "", {"x": before[0]}))
    assert (suggested() != before) is counts


@pytest.mark.parametrize("range_", [FloatRange(0.0, 2.0), IntRange(1, 100, log=True), FloatRange(0.0, 1.0, step=0.1)])
@pytest.mark.parametrize("count", [0, 1, 40, 400])
def test_even_bells_are_as_wide_as_their_number_asks_for(range_: Any, count: int) -> None:
    column = Column(count)
    column.meet(range_)
    column.put(np.arange(count), [range_.low] * count)
    bells = column.kernels(np.arange(count), range_, together=4)
    whole = bells.high - bells.low
    assert bells.sigma[-1] == whole and len(bells.sigma) == count + 1
    assert bells.sigma[:-1] == pytest.approx(whole * max(0.2 * max(count, 1) ** (-1 / 8), 1 / min(100, count + 2)))
    wider = column.kernels(np.arange(count), range_, together=9)
    assert (wider.sigma[:-1] >= bells.sigma[:-1]).all()
