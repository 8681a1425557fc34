"""The arithmetic of `benchmarks/quality.py`, and its simulated clock: what it would say of searches whose end is known."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from quality_lab import figures, lines
from quality_lab.axes import choice, conditional, drawn, existing, real, whole
from quality_lab.comparison import best_known, few_beside_all, on_shared_tasks, page, rows_of
from quality_lab.epochs_clock import PrunedSearch
from quality_lab.lines import Lines
from quality_lab.ours import Ours
from quality_lab.plans import PLANS
from quality_lab.results import Results
from quality_lab.simulated_clock import Ended, Training, chosen, run
from quality_lab.tasks import all_tasks, set_aside

from outlast.analysis.ranks import ranks
from outlast.config.settings import PrunerSettings, SamplerSettings


class Counting:
    """Asks for 0, 1, 2, …; notes what it is told, and how many run when it is asked."""

    def __init__(self) -> None:
        self.told: list[tuple[int, float | None]] = []
        self.open_when_asked: list[int] = []
        self._asked = 0

    def ask(self) -> tuple[int, dict[str, Any]]:
        self.open_when_asked.append(self._asked - len(self.told))
        self._asked += 1
        return self._asked - 1, {"x": self._asked - 1}

    def tell(self, handle: int, value: float | None) -> None:
        self.told.append((handle, value))


def test_trials_are_told_in_the_order_in_which_they_end_and_slots_are_filled_at_once() -> None:
    seconds = [5.0, 1.0, 1.0, 2.0]
    searcher = Counting()
    ended = run(searcher, lambda n, params: Training(float(n), seconds[n]), trials=4, workers=2)
    assert [(trial.at, trial.params["x"]) for trial in ended] == [(1.0, 1), (2.0, 2), (4.0, 3), (5.0, 0)]
    assert searcher.told == [(1, 1.0), (2, 2.0), (3, 3.0), (0, 0.0)]
    assert searcher.open_when_asked == [0, 1, 1, 1]


def test_one_worker_hears_of_each_trial_before_the_next() -> None:
    searcher = Counting()
    run(searcher, lambda n, params: Training(None, 1.0), trials=3, workers=1)
    assert searcher.open_when_asked == [0, 0, 0]
    assert searcher.told == [(0, None), (1, None), (2, None)]


def test_what_a_search_chooses_is_the_best_mean_of_what_it_observed() -> None:
    lucky, steady = {"x": 1}, {"x": 2}
    ended = [Ended(1, lucky, 0.1), Ended(2, steady, 0.3), Ended(3, lucky, 0.9), Ended(4, {"x": 3}, None)]
    assert chosen(ended) == steady
    assert chosen(ended[:1]) == lucky
    assert chosen([Ended(1, lucky, None)]) is None


@pytest.mark.parametrize(
    ("value", "expected"), [(1.0, 0.0), (2.0, 0.5), (9.0, 1.0), (0.5, 0.0), (None, 1.0), (float("nan"), 1.0)]
)
def test_regret_is_nought_at_the_best_and_one_at_the_usual(value: float | None, expected: float) -> None:
    assert figures.regret(value, best=1.0, middle=3.0) == expected


def test_equal_values_share_their_ranks() -> None:
    assert ranks([0.2, 0.1, 0.2, 0.4]) == [2.5, 1.0, 2.5, 4.0]


def test_holm_multiplies_the_smallest_most_and_keeps_the_order() -> None:
    assert figures.holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})


def test_rank_tests_see_a_difference_and_none_where_there_is_none() -> None:
    ours, theirs = [0.1 * n for n in range(20)], [0.1 * n + 0.05 for n in range(20)]
    assert figures.signed_rank(ours, theirs) < 0.001
    assert figures.signed_rank(ours, ours) == 1.0
    assert figures.friedman([(a, b, a + 1) for a, b in zip(ours, theirs, strict=True)]) < 0.001
    assert figures.friedman([(a, a, a) for a in ours]) == 1.0


def test_the_interval_holds_the_mean_and_closes_where_seeds_agree() -> None:
    low, high = figures.interval({"one": [0.0, 1.0] * 10, "two": [0.5] * 20}, draws=400)
    assert low < 0.5 < high
    assert high - low < 0.3
    assert figures.interval({"one": [0.5] * 3}, draws=10) == (0.5, 0.5)


def line(method: str, seed: int, truth: float, **more: Any) -> dict[str, Any]:
    points = {str(n): {"truth": truth, "params": {}} for n in (25, 50, 100)}
    known = {"kind": "tables", "set_aside": False, "best": None, "usual": 1.0, "trials": 100, "workers": 1}
    return {"task": "t", "method": method, "seed": seed, "checkpoints": points, **known, **more}


def test_the_best_method_is_first() -> None:
    lines = [
        line(method, seed, truth)
        for method, truth in (("optuna_random", 0.6), ("optuna_tpe", 0.2))
        for seed in range(3)
    ]
    assert best_known(lines) == {"t": 0.2}
    said = page(lines, each_kind=False)
    assert said.index("Optuna 5, default (TPE) | 1 | 3 | 0.0000") < said.index("| random | 1 | 3 | 0.5000")
    assert "set aside" not in said


def cells(said: Sequence[str], label: str) -> list[str]:
    return [cell.strip() for row in said if row.startswith(f"| {label} |") for cell in row.split("|")[1:-1]]


def test_a_slow_method_with_one_seed_costs_the_others_none_of_theirs() -> None:
    seeds = {("t", seed): 0.2 + seed / 100 for seed in range(6)}
    better = {pair: value - 0.1 for pair, value in seeds.items()}
    labels = {"ours": "ours", "quick": "quick", "slow": "slow"}
    said = rows_of({"ours": seeds, "quick": better, "slow": {("t", 5): 0.3}}, labels, against="ours")
    assert said[0] == "Ranks: 2 methods over 6 searches each; all alike: p = 1."
    assert cells(said, "quick")[1:4] == ["1", "6", "0.1250"]
    assert cells(said, "quick")[5:] == ["0.2250", "0.062", "1.00"]
    assert cells(said, "slow")[1:] == ["1", "1", "0.3000", "one seed", "0.2500", "1", ""]
    low, high = map(float, cells(said, "ours")[4].split("-"))
    assert low < 0.225 < high


def test_a_method_that_did_not_come_to_all_tasks_stands_below_and_is_compared_where_it_was() -> None:
    ours = {("easy", seed): 0.1 for seed in range(2)} | {("hard", seed): 0.9 for seed in range(2)}
    few = {pair: 0.2 for pair in ours if pair[0] == "easy"} | {("never", 0): 0.0}
    said = rows_of({"few": few, "ours": ours}, {"ours": "ours", "few": "few"}, against="ours")
    assert said[-2].startswith("| ours | 2 | 2 | 0.5000 |")
    assert said[-1].startswith("| few | 1 | 2 | 0.2000 | 0.2000-0.2000 | 0.1000 |")


def test_where_nothing_is_shared_no_rank_is_said() -> None:
    said = rows_of({"ours": {("t", 0): 0.1}, "other": {("t", 1): 0.2}}, {"ours": "ours"}, against="ours")
    assert said[0].startswith("No ranks")
    assert len(said) == 5


def test_a_process_is_told_that_its_input_ends_so_that_it_clears_up(tmp_path: Path) -> None:
    program = "import sys, pathlib\nfor line in sys.stdin: print('{}', flush=True)\npathlib.Path(sys.argv[1]).touch()"
    process = Lines([sys.executable, "-S", "-E", "-c", program, str(tmp_path / "cleared")], tmp_path / "log")
    assert process.call(op="begin") == {}
    process.close()
    assert (tmp_path / "cleared").exists()


def test_a_process_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "TIDY", 0.05)
    process = Lines([sys.executable, "-S", "-E", "-c", "import signal; signal.pause()"], tmp_path / "log")
    process.close()
    assert process.processor_seconds == 0.0


def test_what_is_set_aside_is_reported_when_asked_only() -> None:
    lines = [line("optuna_tpe", 0, 0.2, set_aside=True)]
    assert page(lines) == ""
    assert "set aside" in page(lines, set_aside=(False, True))


def test_a_third_of_the_tasks_is_set_aside_and_stays_so() -> None:
    every = all_tasks().values()
    assert len([task for task in every if task.kind == "tables"]) == 15
    assert len([task for task in every if task.kind == "trained"]) >= 10
    assert 0.25 < sum(task.set_aside for task in every) / len(every) < 0.4
    assert "hpobench car" in set_aside() and "hpobench vehicle" not in set_aside()


def test_every_configuration_keeps_to_its_conditions() -> None:
    for task in all_tasks().values():
        params = drawn(task.space, random.Random(task.name))
        assert existing(task.space, {p["name"]: None for p in task.space} | params) == params
    space = [choice("kind", ["a", "b"]), real("x", 0.0, 1.0, when={"kind": ["b"]})]
    assert conditional(space)
    assert existing(space, {"kind": "a", "x": 0.5}) == {"kind": "a"}


def test_outlast_is_asked_and_told_through_its_own_optimizer() -> None:
    space = [
        choice("kind", ["a", "b"]),
        real("x", 1e-3, 1.0, log=True),
        whole("n", 1, 8, log=True, when={"kind": ["b"]}),
    ]
    search = Ours(space, SamplerSettings(name="random"), seed=1, trials=6, workers=2)
    ended = run(search, lambda n, params: Training(None if n == 2 else params["x"], 1.0), trials=6, workers=2)
    assert len(ended) == 6
    assert all(("n" in trial.params) == (trial.params["kind"] == "b") for trial in ended)
    assert search.warnings == []


def test_a_plan_has_each_search_once_and_its_first_seeds_first() -> None:
    jobs = PLANS["session"].jobs(["ours", "optuna_tpe", "smac"])
    assert len({job.key for job in jobs}) == len(jobs)
    assert {job.trials for job in jobs if job.method == "smac"} == {25, 50, 100}
    assert {job.trials for job in jobs if job.method == "ours"} == {100}


def pruned(pruner: str, budgets: list[int], curve_of: Any, workers: int = 1) -> list[Any]:
    search = PrunedSearch(
        [real("x", 0.0, 1.0)],
        SamplerSettings(name="random"),
        PrunerSettings(name=pruner),
        lambda params: (curve_of(params["x"]), 1.0),
        seed=3,
        workers=workers,
    )
    return search.run(budgets)


def test_without_a_pruner_a_search_spends_whole_trials() -> None:
    (ten, twenty) = pruned("none", [10 * 9, 20 * 9], lambda x: [x] * 9)
    assert (ten.epochs, ten.complete, ten.pruned) == (90, 10, 0)
    assert (twenty.epochs, twenty.complete, twenty.pruned) == (180, 20, 0)


def test_what_a_pruner_saves_goes_to_more_trials_of_equal_epochs_in_all() -> None:
    (spent,) = pruned("asha", [20 * 9], lambda x: [x] * 9, workers=4)
    assert spent.epochs == 180
    assert spent.pruned > 20
    assert spent.best is not None
    assert spent.best[0] == spent.best[1]["x"] < 0.1


def test_what_diverges_or_cannot_run_costs_what_it_ran_and_is_never_chosen() -> None:
    (spent,) = pruned("none", [30], lambda x: [] if x < 0.3 else [1.0, None] if x < 0.6 else [x] * 3)
    assert spent.failed > 0
    assert spent.best is not None
    assert spent.best[0] >= 0.6


def test_what_the_repository_keeps_is_known_where_nothing_was_run(tmp_path: Path) -> None:
    first = Results(tmp_path / "one.jsonl", tmp_path / "recorded.jsonl")
    first.add(line("ours", 0, 0.5))
    first.add(line("ours", 1, 0.4))
    first.add({**line("ours", 2, 0.3), "error": "it was away"})
    first.record()
    other = Results(tmp_path / "other.jsonl", tmp_path / "recorded.jsonl")
    assert [each["seed"] for each in other.lines()] == [0, 1]
    assert [each["checkpoints"]["50"] for each in other.lines()] == [{"truth": 0.5}, {"truth": 0.4}]
    assert other.lines(only_here=True) == []


def test_what_was_run_here_counts_before_what_is_on_record(tmp_path: Path) -> None:
    results = Results(tmp_path / "here.jsonl", tmp_path / "recorded.jsonl")
    results.add(line("ours", 0, 0.5))
    results.record()
    results.add(line("ours", 0, 0.1))
    assert [each["checkpoints"]["50"]["truth"] for each in results.lines()] == [0.1]


def test_results_that_an_interruption_tore_are_none(tmp_path: Path) -> None:
    results = Results(tmp_path / "here.jsonl", tmp_path / "recorded.jsonl")
    results.add(line("ours", 0, 0.5))
    with results.here.open("a") as file:
        file.write('\n{"task": "t", "met')
    assert len(results.lines()) == 1
    results.add(line("ours", 1, 0.5))
    assert [each["seed"] for each in results.lines()] == [0, 1]


def test_slow_peers_stand_beside_yardsticks_that_ran_where_they_did() -> None:
    lines = [line("hebo", 0, 0.1), line("ours", 0, 0.2), line("ours", 1, 0.3), line("ours", 0, 0.4, workers=8)]
    assert on_shared_tasks(lines, ["hebo"], ["ours"]) == lines[:3]
    assert on_shared_tasks(lines, ["hebo"], []) == lines[:1]


def test_a_method_of_few_seeds_stands_beside_all_of_ours_on_its_tasks() -> None:
    ours = {(task, seed): 0.2 + seed / 100 for task in ("t", "u") for seed in range(6)}
    few = {("t", 7): 0.5, ("t", 9): 0.6}
    said = few_beside_all({"ours": ours, "hebo": few, "ours_tpe": {}})
    assert cells(said, "HEBO 0.3")[1:4] == ["1", "2", "0.5500"]
    assert cells(said, "HEBO 0.3")[5:7] == ["0.2250", "6"]
    assert float(cells(said, "HEBO 0.3")[8]) == pytest.approx(1 / 28, rel=0.1), "of 28 ways to be two of eight"
    assert cells(said, "Outlast, `sampler: auto`")[1:4] == ["2", "6", "0.2250"]
    assert len(said) == 4


def test_a_permutation_test_sees_a_difference_and_none_where_there_is_none() -> None:
    ours = {"t": [0.1 * n for n in range(20)], "u": [0.5] * 3}
    assert figures.exchanged(ours, {"t": [3.0, 3.1], "u": [0.5]}) < 0.02
    assert figures.exchanged(ours, {"u": [0.5]}) == 1.0
    assert figures.exchanged(ours, {"t": [0.9, 1.0]}) > 0.5
