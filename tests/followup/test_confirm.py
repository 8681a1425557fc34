"""`outlast confirm`: fresh seeds, blocks, the race, and what is said and written in the end."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from outlast.cli.main import run_cli
from outlast.core.fold import Study
from outlast.core.plan import Verdict
from outlast.core.states import StudyState
from outlast.engine.followup.child import Followup, lay_out, run_followup, the_search
from outlast.engine.followup.confirm import confirmation_of
from outlast.study.layout import StudyPaths

SEARCH = "studies/small"
pytestmark = pytest.mark.slow


def said() -> dict[str, Any]:
    found = confirmation_of(SEARCH)
    assert found is not None
    return dict(found)


def best_of_the_search() -> dict[str, Any]:
    return dict(json.loads(Path(SEARCH, "best_results.json").read_text())["best"])


def audit() -> list[str]:
    return Path("audit.txt").read_text().splitlines() if Path("audit.txt").exists() else []


def test_the_best_are_run_again_with_seeds_that_the_search_did_not_use(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(["confirm", SEARCH, "--top", "2", "--seeds", "4", "--no-race"]) == 0
    out, found = capsys.readouterr().out, said()
    used = best_of_the_search()["seed"]
    assert len(set(found["seeds"])) == 4 and used not in found["seeds"]
    assert sorted(audit()) == sorted(f"{e['params']['x']} {s} " for e in found["ranking"] for s in found["seeds"])
    for entry in found["ranking"]:
        scores = list(entry["scores"].values())
        assert entry["mean"] == pytest.approx(sum(scores) / 4) and entry["n"] == 4
        assert entry["low"] < entry["mean"] < entry["high"]
    best = found["best"]["trial"]
    assert f"trial {best} has the best mean" in out and f"next        outlast refit {SEARCH}" in out
    config = Path(SEARCH, "confirmed_config.yaml").read_text()
    assert config.startswith(f"# small: trial {best}, mean score = ") and f"x: {found['best']['params']['x']}" in config
    assert run_cli(["confirm", SEARCH, "--top", "2", "--seeds", "4", "--no-race"]) == 0
    assert said() == found and len(audit()) == 8
    capsys.readouterr()
    assert run_cli(["show", SEARCH, "best"]) == 0
    out = capsys.readouterr().out
    assert (
        f"trial {best}: mean score" in " ".join(out.split())
        and "over 4 fresh seeds" in out
        and "confirmed_config.yaml" in out
    )


def test_a_configuration_that_cannot_win_gets_no_more_seeds(here: Path) -> None:
    Path("train.py").write_text(Path("train.py").read_text().replace("gauss(0, 0.05)", "gauss(0, 0.002)"))
    assert run_cli(["confirm", SEARCH, "--top", "3", "--seeds", "6"]) == 0
    found = said()
    out = {entry["trial"]: entry["dropped"]["after"] for entry in found["ranking"] if entry["dropped"]}
    assert out and all(after >= 3 for after in out.values())
    assert found["final"] and found["repetitions"]["ended"] == len(audit()) < 18


def test_more_of_the_search_and_more_seeds_join_what_is_known(here: Path) -> None:
    assert run_cli(["confirm", SEARCH, "--top", "1", "--seeds", "2"]) == 0
    before, taken = said()["ranking"][0]["scores"], StudyPaths.at(SEARCH).confirmed_config
    assert taken.exists()
    assert run_cli(["confirm", SEARCH, "--top", "2", "--seeds", "3", "--no-race", "--no-run"]) == 0
    assert not said()["final"] and not taken.exists()
    assert run_cli(["confirm", SEARCH, "--top", "2", "--seeds", "3", "--no-race"]) == 0
    rows = {entry["trial"]: entry["scores"] for entry in said()["ranking"]}
    assert len(rows) == 2 and all(len(scores) == 3 for scores in rows.values())
    assert any(before.items() <= scores.items() for scores in rows.values())
    assert len(audit()) == 6 and taken.exists()


def test_it_can_be_laid_out_for_others_to_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = json.loads(Path("study.yaml").read_text())
    Path("study.yaml").write_text(json.dumps({**study, "confirm": {"seeds": 3}}))  # written since
    assert run_cli(["confirm", "study.yaml", "--no-run", "--json"]) == 0
    laid_out = json.loads(capsys.readouterr().out)
    assert laid_out["final"] is False and len(laid_out["seeds"]) == 3
    assert audit() == []
    assert run_cli(["run", f"{SEARCH}/confirm"]) == 0
    assert len(audit()) == 9
    capsys.readouterr()
    assert run_cli(["confirm", SEARCH, "--seeds", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == said()
    assert said()["final"] and len(audit()) == 9


def test_a_script_that_does_not_use_its_seed_is_told_and_not_run_for_nothing(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("deaf").touch()
    assert run_cli(["confirm", SEARCH, "--seeds", "9"]) == 0
    out = capsys.readouterr().out
    assert "does not seem to use its seed" in out and "no seed changed any score" in out
    assert len(audit()) < 27
    search = the_search(SEARCH)
    lay_out(Followup(search, "confirm"), [search.repetition(said()["best"]["trial"], 12345)])  # as a kill may leave it
    assert run_cli(["confirm", SEARCH, "--seeds", "9", "--no-run"]) == 0
    assert "wait" not in capsys.readouterr().out and said()["final"]


def test_a_stop_is_heard_also_while_the_last_of_a_block_end(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*args: Any, **given: Any) -> tuple[Study, Verdict]:
        return run_followup(*args, **given)[0], Verdict(StudyState.STOPPED, "asked to")

    monkeypatch.setattr("outlast.engine.followup.confirm.run_followup", stopped)
    assert run_cli(["confirm", SEARCH, "--top", "2", "--seeds", "9"]) == 4
    assert len(audit()) == 6 and not said()["final"]


def test_repetitions_that_fail_are_shown_and_count_against_their_configuration(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script, x = Path("train.py").read_text(), best_of_the_search()["params"]["x"]
    Path("train.py").write_text(script.replace("if os.path.exists", f"if x == {x} and seed % 2 or os.path.exists"))
    assert run_cli(["confirm", SEARCH, "--top", "2", "--seeds", "4", "--no-race"]) == 0
    found, out = said(), capsys.readouterr().out
    failing = next(entry for entry in found["ranking"] if entry["params"]["x"] == x)
    assert failing["failed"] == sum(seed % 2 for seed in found["seeds"]) > 0
    assert None in failing["scores"].values()
    assert found["best"]["trial"] != failing["trial"]
    assert f"({failing['failed']} failed)" in out and f"outlast show {SEARCH}/confirm failures" in out


def test_a_training_that_cannot_work_halts_it_and_a_mended_one_goes_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("broken").touch()
    assert run_cli(["confirm", SEARCH]) == 3
    assert "ValueError: broken" in capsys.readouterr().out
    assert said()["best"] is None and not StudyPaths.at(SEARCH).confirmed_config.exists()
    os.unlink("broken")
    assert run_cli(["retry", f"{SEARCH}/confirm"]) == 0
    assert run_cli(["confirm", SEARCH]) == 0
    assert said()["final"] and said()["repetitions"]["failed"] == 0


def test_what_cannot_be_confirmed_says_so(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_cli(["confirm", SEARCH, "--no-run"]) == 0
    assert run_cli(["confirm", f"{SEARCH}/confirm"]) == 2
    assert "is a follow-up of a search, not a search" in capsys.readouterr().err
    study = json.loads(Path("study.yaml").read_text())
    Path("other.yaml").write_text(json.dumps({**study, "name": "other", "budget": {"trials": 1, "max_failures": 1}}))
    Path("broken").touch()
    assert run_cli(["run", "other.yaml"]) == 3
    assert run_cli(["confirm", "studies/other"]) == 2
    assert "no trial of studies/other has completed yet" in capsys.readouterr().err


def test_the_faster_of_those_that_are_as_good_is_taken_and_several_objectives_have_their_front(here: Path) -> None:
    script = Path("train.py").read_text()
    Path("train.py").write_text(script + 'print(f"latency_ms={10 + 100 * x:.3f}")\n')
    study = json.loads(Path("study.yaml").read_text())
    prefer = {"metric": "latency_ms", "within": 5.0}  # of the best: everything is as good
    metric = [{"name": "score", "goal": "maximize"}, {"name": "latency_ms", "goal": "minimize"}]
    one = {**study, "name": "one", "budget": {"trials": 3}, "confirm": {"top": 2, "seeds": 2, "prefer": prefer}}
    two = {**study, "name": "two", "budget": {"trials": 3}, "metric": metric, "pruner": "none", "confirm": {"seeds": 2}}
    for each in (one, two):
        Path("study.yaml").write_text(json.dumps(each))
        assert run_cli(["run", "study.yaml"]) == 0
        assert run_cli(["confirm", f"studies/{each['name']}"]) == 0
    found = dict(confirmation_of("studies/one") or {})
    fast = min(found["ranking"], key=lambda entry: entry["params"]["x"])
    assert found["best"]["trial"] == fast["trial"] and "the lowest latency_ms" in found["best"]["reason"]
    found = dict(confirmation_of("studies/two") or {})
    assert found["final"] and not found["racing"]
    assert set(found["pareto_front"]) <= {entry["trial"] for entry in found["ranking"]}
    assert all(entry["objectives"]["latency_ms"]["n"] == 2 for entry in found["ranking"])
