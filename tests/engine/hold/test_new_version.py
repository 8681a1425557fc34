"""A version of the study file comes into force: which records that makes, when it is refused, and which file is kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from outlast._system.clock import utc_now
from outlast.config.load import load_study_file
from outlast.config.settings import Settings
from outlast.core.fold import Study, fold
from outlast.core.records import RevisionMade, TrialCreated
from outlast.core.states import TrialState
from outlast.engine.hold.new_version import keep_study_file, opening_events, refuse_unaccepted
from outlast.engine.hold.opening import open_study
from outlast.engine.record.recorded import study_paths
from outlast.errors import UsageError

SPACE = {"x": {"min": 0.0, "max": 1.0}}


@pytest.fixture
def version(tmp_path: Path) -> Callable[..., Settings]:
    """A study file with these changes."""

    def load(**changes: object) -> Settings:
        study = {
            "name": "lab", "command": ["true"], "metric": {"name": "score", "goal": "maximize"}, "budget": {"trials": 4},
            "parameters": SPACE, "parallel": 1, **changes,
        }  # fmt: skip
        (tmp_path / "study.yaml").write_text(json.dumps(study))
        return load_study_file(str(tmp_path / "study.yaml"))

    return load


@pytest.fixture
def study(tmp_path: Path, version: Callable[..., Settings]) -> Study:
    """Begun, with one trial at x = 0.75 that was never started."""
    settings = version()
    events = opening_events(Study(), settings, study_paths(tmp_path / "study", settings))
    return fold([*events, TrialCreated(0, events[-1].at, {"x": 0.75})])


def kinds(study: Study, settings: Settings, place: Path) -> list[str]:
    return [type(event).__name__ for event in opening_events(study, settings, study_paths(place / "study", settings))]


@pytest.mark.parametrize(
    ("changes", "refused", "records"),
    [
        pytest.param({}, False, ["RunStarted"], id="the same file"),
        pytest.param({"parallel": 2}, False, ["RevisionMade", "RunStarted"], id="how it is run"),
        pytest.param({"budget": {"trials": 9}}, False, ["RevisionMade", "RunStarted"], id="how many trials"),
        pytest.param(
            {"parameters": {"x": {"min": 0.0, "max": 2.0}}}, True, ["RevisionMade", "RunStarted"], id="a wider space"
        ),
        pytest.param(
            {"parameters": {"x": {"min": 0.0, "max": 0.5}}}, True, ["RevisionMade", "AttemptEnded", "RunStarted"],
            id="a space that lacks a trial",
        ),
    ],
)  # fmt: skip
def test_what_a_study_file_makes_of_a_study_that_is_there(
    study: Study, version: Callable[..., Settings], tmp_path: Path, changes: dict[str, object], refused: bool,
    records: list[str],
) -> None:  # fmt: skip
    settings = version(**changes)
    if refused:
        with pytest.raises(UsageError, match="affects the trials so far") as error:
            refuse_unaccepted(study, settings, accept_changes=False)
        assert ("with it, trial 0 does not fit" in str(error.value)) == ("AttemptEnded" in records)
        assert "--accept-changes" in str(error.value)
    else:
        refuse_unaccepted(study, settings, accept_changes=False)
    refuse_unaccepted(study, settings, accept_changes=True)
    assert kinds(study, settings, tmp_path) == records


def test_a_new_study_has_a_seed_of_its_own_or_the_given_one(version: Callable[..., Settings], tmp_path: Path) -> None:
    assert kinds(Study(), version(), tmp_path) == ["StudyCreated", "RevisionMade", "RunStarted"]
    refuse_unaccepted(Study(), version(), accept_changes=False)
    given = version(sampler={"name": "random", "seed": 7})
    assert fold(opening_events(Study(), given, study_paths(tmp_path / "study", given))).study_seed == 7


def test_the_file_in_force_is_kept_and_the_one_before_set_aside(
    version: Callable[..., Settings], tmp_path: Path
) -> None:
    first = version()
    paths = study_paths(tmp_path / "study", first)
    with open_study(paths, first) as opened:
        one = paths.study_file.read_bytes()
        assert not opened.told and not paths.revisions.exists()
    second = version(parameters={"x": {"min": 0.0, "max": 0.5}})
    with open_study(paths, second, accept_changes=True) as opened:
        assert (paths.revisions / "0001.yaml").read_bytes() == one != paths.study_file.read_bytes()
        paths.study_file.write_text("# somebody wrote here\n")
        keep_study_file(paths, opened.study, second, opened.ledger)
        assert (paths.revisions / "0001.yaml").read_bytes() == one, "an earlier version is not overwritten"


@pytest.mark.parametrize("third", [{"parallel": 3}, {}], ids=["another", "the first again"])
def test_no_version_is_lost_of_which_somebody_died_before_it_was_written(
    third: dict[str, int], version: Callable[..., Settings], tmp_path: Path
) -> None:
    first = version()
    paths = study_paths(tmp_path / "study", first)
    with open_study(paths, first) as opened:
        one = paths.study_file.read_bytes()
        opened.ledger.append([RevisionMade(2, utc_now(), version(parallel=2).resolved)])  # and there it died
    with open_study(paths, version(**third)):
        assert (paths.revisions / "0001.yaml").read_bytes() == one
        assert b"parallel: 2\n" in (paths.revisions / "0002.yaml").read_bytes()
        assert (b"parallel: 3\n" in paths.study_file.read_bytes()) == bool(third)


def test_trials_that_a_version_leaves_out_are_told_when_it_is_opened(
    version: Callable[..., Settings], tmp_path: Path
) -> None:
    first = version()
    paths = study_paths(tmp_path / "study", first)
    with open_study(paths, first) as opened:
        opened.ledger.append([TrialCreated(0, opened.study.created_at, {"x": 0.75})])
    with open_study(paths, version(parameters={"x": {"min": 0.0, "max": 0.5}}), accept_changes=True) as opened:
        assert opened.study.trials[0].state is TrialState.FAILED
        assert len(opened.told) == 1 and "left out" in opened.told[0]
    with open_study(paths, version(), accept_changes=True) as opened:
        assert opened.study.trials[0].state is not TrialState.FAILED
        assert opened.told == ["trial 0 fits the study file and counts again"]
