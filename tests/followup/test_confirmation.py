"""What a confirmation makes of repetitions, without running any."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from outlast.cli.render.render_confirm import summary
from outlast.config.load import load_study_file
from outlast.config.settings import ConfirmSettings
from outlast.core.fold import fold
from outlast.core.records import AttemptEnded, AttemptOpened, Event, RevisionMade, StudyCreated, TrialCreated
from outlast.core.states import Cause, TrialState
from outlast.engine.followup.child import Search
from outlast.engine.followup.confirmation import Confirmation, candidates
from outlast.engine.followup.confirmation_document import document

Values = tuple[float, ...]


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").touch()


def ended(number: int, values: Values | None, **given: Any) -> list[Event]:
    state = TrialState.FAILED if values is None else TrialState.COMPLETE
    cause = Cause.CRASH if values is None else Cause.COMPLETED
    trial = TrialCreated(number, "", **given)
    return [trial, AttemptOpened(number, 1, ""), AttemptEnded(number, 1, "", state, cause, values=values)]


def searched(found: list[tuple[float, Values]], objectives: int = 1) -> Search:
    """A search that drew these x and found these values; all objectives are maximized."""
    metric = ", ".join(f"{{name: {name}, goal: maximize}}" for name in ("acc", "speed")[:objectives])
    Path("study.yaml").write_text(
        f"name: s\ncommand: python train.py ${{args}}\nmetric: {f'[{metric}]' if objectives > 1 else metric}\n"
        "parameters: {x: {min: 0.0, max: 1.0}}\nbudget: {trials: 9}\nsampler: random\n"
    )
    settings = load_study_file("study.yaml")
    events = [e for n, (x, values) in enumerate(found) for e in ended(n, values, params={"x": x}, seed=1)]
    return Search("s", settings, fold([StudyCreated("s", "", "", 7), RevisionMade(1, "", settings.resolved), *events]))


def confirming(search: Search, repeated: dict[int, list[Values | None]], **wanted: Any) -> Confirmation:
    """Its confirmation, where these trials were repeated with seeds from 100 on."""
    runs = [(of, seed, values) for of, each in repeated.items() for seed, values in enumerate(each, 100)]
    events = [e for n, (of, seed, values) in enumerate(runs) for e in ended(n, values, of=of, seed=seed)]
    return Confirmation(search, fold([StudyCreated("c", "", "", 7), *events]), ConfirmSettings(**wanted))


def scores(mean: float, failed: int = 0) -> list[Values | None]:
    return [None if at < failed else (mean * (1 + 0.01 * (at % 2)),) for at in range(5)]


@pytest.mark.parametrize(
    ("other", "failed", "says", "reason"),
    [
        (0.973, 1, "trial 0 has the fewest failures; trial 1, with more of them, has a better mean", "fewest failures"),
        (0.973, 2, "trial 0 has the fewest failures; trial 1, with more of them, has a better mean", "fewest failures"),
        (0.803, 1, "trial 0 has the best mean, beyond noise", "the best mean acc"),
        (0.803, 0, "trial 0 has the best mean, beyond noise", "the best mean acc"),
    ],
)
def test_a_better_mean_with_more_failures_is_said(other: float, failed: int, says: str, reason: str) -> None:
    search = searched([(0.1, (0.9,)), (0.2, (0.8,))])
    said = document(confirming(search, {0: scores(0.903), 1: scores(other, failed)}, top=2, seeds=5))
    assert says in said["verdict"] and ("beyond noise" in says) == said["beyond_noise"]
    assert said["best"]["trial"] == 0 and said["best"]["reason"].endswith(reason)


def test_of_several_objectives_the_fewest_failures_are_of_the_front() -> None:
    search = searched([(0.1, (0.9, 0.1)), (0.2, (0.1, 0.9))], 2)
    front: list[Values | None] = [(0.9, 0.9), None]
    said = document(confirming(search, {0: front, 1: [(0.1, 0.1), (0.2, 0.1)]}, top=2, seeds=2))
    assert said["pareto_front"] == [0] and said["best"]["trial"] == 0


def test_a_configuration_that_was_drawn_again_does_not_run_against_itself() -> None:
    search = searched([(0.1, (0.7,)), (0.2, (0.6,)), (0.1, (0.9,))])
    assert candidates(search, 2) == [2, 1]
    assert confirming(search, {0: scores(0.7)}, top=2, seeds=5).top == [0, 1]


def test_one_seed_says_nothing_of_the_spread() -> None:
    search = searched([(0.1, (0.9,)), (0.2, (0.8,))])
    said = document(confirming(search, {0: [(0.9,)], 1: [(0.8,)]}, top=2, seeds=1))
    rows = [said["best"], *said["ranking"], said["ranking"][1]["behind"]]
    assert [(row["n"], row["low"], row["high"], row["std"]) for row in rows] == [(1, None, None, None)] * 4


def test_an_empty_front_is_no_line_and_who_ran_all_seeds_is_said_at_the_end() -> None:
    search = searched([(0.1, (0.9, 0.1)), (0.2, (0.1, 0.9))], 2)
    pair: list[Values | None] = [(0.9, 0.9), (0.8, 0.8)]
    found = {seeds: shown(document(confirming(search, {0: pair, 1: pair}, top=2, seeds=seeds))) for seeds in (2, 3)}
    assert "all ran all seeds" in found[2] and "all ran all seeds" not in found[3] and "no other is as good" in found[3]
    assert "no other is as good" not in shown(document(confirming(search, {0: [None], 1: [None]}, top=2, seeds=1)))


def shown(said: dict[str, Any]) -> str:
    out = io.StringIO()
    Console(file=out, width=200).print(summary(said, search="s", folder="s/confirm", files={}))
    return " ".join(out.getvalue().split())
