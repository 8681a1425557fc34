"""A study that Optuna left in the middle becomes one that `run` takes up at once."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from outlast._system.clock import utc_now
from outlast.core.fold import Study
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    AttributeSet,
    RevisionMade,
    StudyCreated,
    TrialCreated,
    TrialFits,
)
from outlast.core.states import Cause, TrialState
from outlast.engine.care import import_study as import_study_module
from outlast.engine.care.import_study import Imported, import_study
from outlast.engine.care.repair import repair_study
from outlast.engine.hold.opening import open_study
from outlast.engine.record.recorded import recorded_settings, study_paths
from outlast.errors import LedgerTooNew, UsageError
from outlast.optimizer.importing.imported_study import ImportedStudy
from outlast.optimizer.index.index_build import rebuild_index
from outlast.study import folded
from outlast.study.folded import read_folded
from outlast.study.imported import imported_trials, lost_of_imported
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger
from outlast.study.ledger_lines import from_line, to_line
from outlast.study.putting_away import put_away

UNIT = {"x": optuna.distributions.FloatDistribution(0.0, 1.0)}
STUDY = """\
name: small
command: python train.py ${args}
metric: {name: score, goal: maximize}
parameters: {x: {min: 0.0, max: 1.0}}
budget: {trials: 9}
"""


@pytest.fixture
def take_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Imported]:
    """Imports a study that `make` prepares."""
    monkeypatch.chdir(tmp_path)
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def taken(make: Callable[[optuna.Study], Any], study_file: str | None = STUDY, **options: Any) -> Imported:
        journal = optuna.storages.journal.JournalFileBackend("old.log")  # quicker than a database
        storage = optuna.storages.JournalStorage(journal)
        study = optuna.create_study(study_name="small", storage=storage, **{"direction": "maximize", **options})
        make(study)
        if study_file is not None:
            Path("study.yaml").write_text(study_file)
            Path("train.py").touch()
        return import_study("old.log", study_file and "study.yaml", study_name=None, directory=None)

    return taken


def zombies(study: optuna.Study) -> None:
    study.tell(study.ask(UNIT), 0.5)
    for _ in range(3):
        study.ask(UNIT)  # their processes were killed
    study.enqueue_trial({"x": 0.25})
    study.enqueue_trial({"x": 30.0})
    study.enqueue_trial({"depth": 3})


@pytest.mark.parametrize("study_file", [STUDY, None])
def test_what_was_running_goes_on_and_what_waited_is_next(
    take_in: Callable[..., Imported], study_file: str | None
) -> None:
    imported = take_in(zombies, study_file)
    assert imported.counts == {"complete": 1, "interrupted": 3, "created": 1}
    study = recorded_settings(imported.folder)[1]
    assert study.trials[4].params == {"x": 0.25} and study.trials[4].state is TrialState.CREATED
    said = "\n".join(imported.told)
    assert "trials 1, 2 and 3: was running" in said and "x: 30.0 is not from 0 to 1" in said and "depth" in said
    assert repair_study(imported.folder, check_only=True) == []
    repair_study(imported.folder, check_only=False)
    assert len(opens(imported.folder).in_state(TrialState.INTERRUPTED, TrialState.CREATED)) == 4


def opens(folder: str) -> Study:
    settings, _ = recorded_settings(folder)
    with open_study(study_paths(folder, settings), settings) as opened:
        return opened.study


def test_a_study_that_an_earlier_version_imported_goes_on(take_in: Callable[..., Imported]) -> None:
    """It wrote records of trials that had not ended, and neither run nor repair took the study up."""
    folder = take_in(zombies).folder
    settings, study = recorded_settings(folder)
    for number in (1, 2, 3):
        put_away(study_paths(folder, settings).trial(number), study.trials[number])
    assert repair_study(folder, check_only=True) == []
    assert len(opens(folder).in_state(TrialState.INTERRUPTED)) == 3


def test_trials_that_were_left_out_and_are_back_go_on_although_they_were_put_away(
    take_in: Callable[..., Imported],
) -> None:
    folder = take_in(zombies).folder
    settings, study = recorded_settings(folder)
    now = utc_now()
    left_out = [
        AttemptEnded(n, 1, now, TrialState.FAILED, Cause.SPACE_CHANGED, "does not fit", seconds=0.0) for n in (1, 2)
    ]
    ledger, _ = Ledger.claim(study_paths(folder, settings).ledger)
    ledger.append(left_out)
    for event in left_out:
        study.apply(event)
        put_away(study_paths(folder, settings).trial(event.trial), study.trials[event.trial])
    ledger.append([TrialFits(n, now) for n in (1, 2)])
    ledger.close()
    assert repair_study(folder, check_only=True) == []
    assert len(opens(folder).in_state(TrialState.INTERRUPTED)) == 3


def test_what_was_enqueued_in_part_is_completed_by_the_sampler(take_in: Callable[..., Imported]) -> None:
    study_file = STUDY.replace("{x:", "{y: {values: [1, 2]}, x:")
    imported = take_in(lambda study: study.enqueue_trial({"x": 0.25}), study_file)
    params = recorded_settings(imported.folder)[1].trials[0].params
    assert params["x"] == 0.25 and params["y"] in (1, 2)


def test_what_the_study_file_does_not_hold_is_kept_and_said(take_in: Callable[..., Imported]) -> None:
    def wide(study: optuna.Study) -> None:
        for _ in range(2):
            study.tell(study.ask({"x": optuna.distributions.FloatDistribution(5.0, 9.0)}), 1.0)
        study.ask({"x": optuna.distributions.FloatDistribution(5.0, 9.0)})

    imported = take_in(wide)
    trials = recorded_settings(imported.folder)[1].trials.values()
    assert [trial.cause for trial in trials] == [Cause.SPACE_CHANGED] * 3
    assert "trials 0, 1 and 2: kept as failed rows" in imported.told[0] and "is not from 0 to 1" in imported.told[0]


def test_a_study_that_optimised_something_else_is_refused_before_anything_is_written(
    take_in: Callable[..., Imported], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="minimize, the study file to maximize"):
        take_in(zombies, direction="minimize")
    assert not (tmp_path / "studies").exists()


def test_a_study_with_several_objectives_goes_on(take_in: Callable[..., Imported]) -> None:
    study_file = STUDY.replace(
        "metric: {name: score, goal: maximize}",
        "metric: [{name: score, goal: maximize}, {name: ece, goal: minimize}]",
    )

    def make(study: optuna.Study) -> None:
        study.tell(study.ask(UNIT), (0.5, 0.1))
        study.ask(UNIT)

    imported = take_in(make, study_file, direction=None, directions=["maximize", "minimize"])
    assert imported.counts == {"complete": 1, "interrupted": 1}


def test_a_storage_in_which_nothing_was_drawn_needs_a_study_file(take_in: Callable[..., Imported]) -> None:
    with pytest.raises(UsageError, match="no parameter"):
        take_in(lambda study: study.enqueue_trial({"x": 0.25}), None)


def drew(params: dict[str, tuple[Any, Any]]) -> Callable[[optuna.Study], None]:
    """A study with one trial of these parameters: name → distribution and value."""
    ranges, values = ({name: pair[i] for name, pair in params.items()} for i in (0, 1))

    def make(study: optuna.Study) -> None:
        scores = [0.5] * len(study.directions)
        study.add_trial(optuna.trial.create_trial(params=values, distributions=ranges, values=scores))

    return make


WHOLE, CHOICE = optuna.distributions.IntDistribution, optuna.distributions.CategoricalDistribution
UNSAYABLE = {
    "choice not a number": ({"a": (CHOICE([1.0, math.nan]), math.nan)}, "parameters.a.values: nan is not finite"),
    "choice without end": ({"a": (CHOICE([math.inf, 1.0]), 1.0)}, "parameters.a.values: inf is not finite"),
    "one choice": ({"a": (CHOICE([math.nan]), math.nan)}, "parameters.a.value: nan is not finite"),
    "choice too large": ({"a": (CHOICE([1, 2**60]), 1)}, f"parameters.a.values: {2**60} is beyond 2**53"),
    "range too large": ({"a": (WHOLE(0, 2**60), 7)}, f"parameters.a.max: {2**60} is beyond 2**53"),
    "range without end": (
        {"a": (optuna.distributions.FloatDistribution(0.0, math.inf), 7.0)},
        "parameters.a.max: inf is not finite",
    ),
    "step too fine": (
        {"a": (optuna.distributions.FloatDistribution(0.0, 1e6, step=1e-12), 0.5)},
        "parameters.a.q: 1e-12 is too fine for this range",
    ),
    "name of a parameter": ({"a=b": (UNIT["x"], 0.5)}, "`a=b` is not a parameter name"),
}


@pytest.mark.parametrize(("params", "why"), UNSAYABLE.values(), ids=UNSAYABLE.keys())
def test_what_no_study_file_can_say_is_told_of_the_storage_with_what_helps(
    take_in: Callable[..., Imported], params: dict[str, tuple[Any, Any]], why: str
) -> None:
    with pytest.raises(UsageError) as refused:
        take_in(drew(params), None)
    assert str(refused.value).startswith("old.log: no study file can be drafted for its study small: ")
    assert why in str(refused.value) and "study.yaml" not in str(refused.value)
    cure = "name a study file: outlast import old.log STUDY.yaml; trials that it does not hold are kept as failed rows"
    assert refused.value.cure == cure
    assert os.listdir() == ["old.log"], "nothing was made"
    Path("study.yaml").write_text(STUDY.replace("{x:", "{a:"))  # the cure
    Path("train.py").touch()
    imported = import_study("old.log", "study.yaml", study_name=None, directory=None)
    assert sum(imported.counts.values()) == 1
    assert repair_study(imported.folder, check_only=True) == []


@pytest.mark.parametrize("names", [["", "y"], ["y", "y"]])
def test_names_of_metrics_that_no_study_file_can_have_are_told_of_the_storage(
    take_in: Callable[..., Imported], names: list[str]
) -> None:
    def named(study: optuna.Study) -> None:
        drew({"x": (UNIT["x"], 0.5)})(study)
        study._storage.set_study_system_attr(study._study_id, "study:metric_names", names)

    with pytest.raises(UsageError, match=r"^old\.log: no study file can be drafted for its study small: metric\["):
        take_in(named, None, direction=None, directions=["maximize", "minimize"])


def test_a_draft_that_is_refused_says_no_password_and_names_the_study_that_was_chosen(
    take_in: Callable[..., Imported],
) -> None:
    url = "sqlite:///old.db?password=geheim"
    study = optuna.create_study(study_name="two", storage="sqlite:///old.db")
    drew(UNSAYABLE["one choice"][0])(study)
    optuna.create_study(study_name="one", storage="sqlite:///old.db")
    with pytest.raises(UsageError) as refused:
        import_study(url, None, study_name="two", directory=None)
    assert "geheim" not in str(refused.value) and "its study two: " in str(refused.value)
    assert refused.value.cure is not None
    assert "outlast import 'sqlite:///old.db?password=***' STUDY.yaml --study-name two;" in refused.value.cure


def test_a_study_whose_name_is_too_long_for_a_folder_is_drafted_with_its_beginning(
    take_in: Callable[..., Imported],
) -> None:
    name = "long" * 40
    journal = optuna.storages.journal.JournalFileBackend("long.log")
    drew({"x": (UNIT["x"], 0.5)})(optuna.create_study(study_name=name, storage=optuna.storages.JournalStorage(journal)))
    assert import_study("long.log", None, study_name=None, directory=None).folder == f"studies/{name[:100]}"


def test_a_study_that_somebody_began_meanwhile_is_left_alone(
    take_in: Callable[..., Imported], monkeypatch: pytest.MonkeyPatch
) -> None:
    began, taken_in = StudyCreated("small", utc_now(), "1"), import_study_module._taken_in

    def meanwhile(*given: Any) -> Any:
        paths = StudyPaths.at("studies/small")
        ledger, _ = Ledger.claim(paths.ledger)
        ledger.append([began, RevisionMade(1, utc_now(), {})])
        ledger.close()
        return taken_in(*given)

    monkeypatch.setattr(import_study_module, "_taken_in", meanwhile)
    with pytest.raises(UsageError, match="there is a study in studies/small already"):
        take_in(zombies)
    assert not Path("studies/small/study.yaml").exists() and not Path("studies/small/lease").exists()


def several(study: optuna.Study) -> None:
    for value in (0.1, 0.2, 0.3):
        study.tell(study.ask(UNIT), value)
    study.trials[0].set_user_attr("note", 1)
    failed = study.ask(UNIT)
    failed.set_user_attr("note", 1)
    study.tell(failed, state=optuna.trial.TrialState.FAIL)
    study.ask(UNIT)


def told(folder: str) -> list[Any]:
    trials = recorded_settings(folder)[1].trials.values()
    return [(t.number, t.state, t.cause, t.values, t.params, t.user_attrs, t.source) for t in trials]


def test_trials_that_never_ran_here_have_one_copy_together_and_no_folders(take_in: Callable[..., Imported]) -> None:
    paths = StudyPaths.at(take_in(several).folder)
    assert list(paths.trials.iterdir()) == []
    assert paths.imported.read_bytes() == (paths.ledger / "00000001.jsonl").read_bytes()
    assert repair_study(str(paths.root), check_only=True) == []
    assert sorted(imported_trials(paths)) == [0, 1, 2, 3]  # the fifth goes on


def _lose_ledger_and_index(paths: StudyPaths) -> None:
    shutil.rmtree(paths.ledger)
    paths.index.write_bytes(b"")


def _cut_the_ledger(paths: StudyPaths) -> None:
    segment = paths.ledger / "00000001.jsonl"
    segment.write_bytes(b"".join(segment.read_bytes().splitlines(keepends=True)[:-1]))


def _lose_ledger_and_copy(paths: StudyPaths) -> None:
    shutil.rmtree(paths.ledger)
    paths.imported.write_bytes(b"half a line")


@pytest.mark.parametrize("damage", [_lose_ledger_and_index, _cut_the_ledger, _lose_ledger_and_copy])
def test_what_was_imported_comes_back_from_its_copy_or_the_index(
    take_in: Callable[..., Imported], damage: Callable[[StudyPaths], None]
) -> None:
    paths = StudyPaths.at(take_in(several).folder)
    before = told(str(paths.root))
    damage(paths)
    problems = [problem.text for problem in repair_study(str(paths.root), check_only=True) if problem.serious]
    assert problems
    repair_study(str(paths.root), check_only=False)
    assert repair_study(str(paths.root), check_only=True) == []
    assert told(str(paths.root)) == before


def _lose_ledger(paths: StudyPaths) -> None:
    shutil.rmtree(paths.ledger)


@pytest.mark.parametrize("damage", [_lose_ledger, _lose_ledger_and_index, _cut_the_ledger])
def test_what_had_not_ended_when_it_was_imported_comes_back_and_goes_on(
    take_in: Callable[..., Imported], damage: Callable[[StudyPaths], None]
) -> None:
    """Interrupted there, or enqueued: no folder and no record knows of it before it begins here."""
    paths = StudyPaths.at(take_in(zombies).folder)
    before = told(str(paths.root))
    damage(paths)
    repair_study(str(paths.root), check_only=False)
    assert repair_study(str(paths.root), check_only=True) == []
    assert told(str(paths.root)) == before
    study = opens(str(paths.root))
    assert [t.number for t in study.in_state(TrialState.INTERRUPTED)] == [1, 2, 3]
    assert [t.number for t in study.in_state(TrialState.CREATED)] == [4]


@pytest.mark.parametrize("damage", [_lose_ledger, _lose_ledger_and_index])
def test_what_became_of_an_imported_trial_here_is_newer_than_the_copy(
    take_in: Callable[..., Imported], damage: Callable[[StudyPaths], None]
) -> None:
    folder = take_in(zombies).folder
    settings, study = recorded_settings(folder)
    paths, now = study_paths(folder, settings), utc_now()
    ended = [
        AttemptOpened(1, 2, now),
        AttemptEnded(1, 2, now, TrialState.COMPLETE, Cause.COMPLETED, values=(0.75,)),
    ]
    ledger, _ = Ledger.claim(paths.ledger)
    ledger.append(ended)
    ledger.close()
    for event in ended:
        study.apply(event)
    put_away(paths.trial(1), study.trials[1])
    rebuild_index(paths.index, study, settings)
    before = told(folder)
    damage(paths)
    repair_study(folder, check_only=False)
    assert told(folder) == before and recorded_settings(folder)[1].trials[1].values == (0.75,)


def test_what_waited_when_it_was_imported_and_was_interrupted_here_is_not_begun_anew(
    take_in: Callable[..., Imported],
) -> None:
    folder = take_in(lambda study: [study.ask(UNIT), study.enqueue_trial({"x": 0.25})]).folder
    settings, study = recorded_settings(folder)
    paths, now = study_paths(folder, settings), utc_now()
    number = next(trial.number for trial in study.trials.values() if trial.state is TrialState.CREATED)
    begun = [
        AttemptOpened(number, 1, now),
        AttributeSet(number, "best_epoch", "7"),
        AttemptEnded(number, 1, now, TrialState.INTERRUPTED, Cause.LOST, "its node went away"),
    ]
    ledger, _ = Ledger.claim(paths.ledger)
    ledger.append(begun)
    ledger.close()
    for event in begun:
        study.apply(event)
    rebuild_index(paths.index, study, settings)
    shutil.rmtree(paths.ledger)
    repair_study(folder, check_only=False)
    found = recorded_settings(folder)[1].trials[number]
    assert (found.state, len(found.attempts), found.user_attrs) == (TrialState.INTERRUPTED, 1, {"best_epoch": 7})


def test_a_study_of_which_nothing_had_ended_when_it_was_imported_comes_back(take_in: Callable[..., Imported]) -> None:
    paths = StudyPaths.at(take_in(lambda study: [study.ask(UNIT), study.enqueue_trial({"x": 0.25})]).folder)
    before = told(str(paths.root))
    _lose_ledger_and_index(paths)
    assert any(problem.serious for problem in repair_study(str(paths.root), check_only=False))
    assert told(str(paths.root)) == before and len(before) == 2


def test_whoever_goes_on_with_what_was_imported_decodes_none_of_its_lines(
    take_in: Callable[..., Imported], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folded, "_LEAST", 1)  # as of a long one
    imported = take_in(zombies)
    known = read_folded(StudyPaths.at(imported.folder))
    assert known is not None and len(known[1].trials) == 5
    assert [line for segment in known[0].segments for line in segment.lines] == []


@pytest.fixture
def long_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Imported]:
    """Imports 600 trials, more than a thousand decisions."""
    monkeypatch.chdir(tmp_path)
    Path("study.yaml").write_text(STUDY)
    Path("train.py").touch()
    events: list[Any] = []
    for number in range(600):
        events.append(TrialCreated(number, utc_now(), {"x": number / 600}, source="imported"))
        events.append(AttemptEnded(number, 1, utc_now(), TrialState.COMPLETE, Cause.COMPLETED, values=(0.5,)))
    found = ImportedStudy("small", ("maximize",), (), {}, tuple(events))
    monkeypatch.setattr(import_study_module, "import_storage", lambda *_: found)
    return lambda: import_study("old.log", "study.yaml", study_name=None, directory=None)


class Killed(BaseException):
    """As if by SIGKILL: nothing is tidied."""


def _killed_at_its_first_decision(
    long_one: Callable[[], Imported], patched: pytest.MonkeyPatch, *, written: bool
) -> StudyPaths:
    append = Ledger.append

    def killed(ledger: Ledger, events: Any) -> None:
        if written:
            append(ledger, events)
        raise Killed

    with patched.context() as patch:
        patch.setattr(Ledger, "append", killed)
        with pytest.raises(Killed):
            long_one()
    return StudyPaths.at("studies/small")


def test_an_import_that_was_killed_before_it_decided_anything_is_repeated(
    long_one: Callable[[], Imported], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = _killed_at_its_first_decision(long_one, monkeypatch, written=False)
    assert long_one().counts == {"complete": 600}
    assert repair_study(str(paths.root), check_only=True) == []
    (paths.ledger / "00000002.jsonl").unlink()
    assert len(lost_of_imported(paths)) == 600


def test_an_import_that_was_killed_after_its_first_decision_lacks_no_trial(
    long_one: Callable[[], Imported], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = _killed_at_its_first_decision(long_one, monkeypatch, written=True)
    assert len(recorded_settings(str(paths.root))[1].trials) == 600
    with pytest.raises(UsageError, match="there is a study in studies/small already"):
        long_one()


def test_nothing_is_imported_into_a_folder_from_which_a_study_can_be_rebuilt(long_one: Callable[[], Imported]) -> None:
    paths = StudyPaths.at(long_one().folder)
    shutil.rmtree(paths.ledger)
    paths.study_file.unlink()
    with pytest.raises(UsageError, match="there is a study"):
        long_one()
    assert len(imported_trials(paths)) == 600


@pytest.mark.parametrize("trials", [True, False])
def test_the_copy_alone_is_a_study_that_was_imported(take_in: Callable[..., Imported], trials: bool) -> None:
    """Its beginning and its study file are in it as well."""
    folder = take_in(several).folder
    paths, before, study = StudyPaths.at(folder), told(folder), recorded_settings(folder)[1]
    for path in list(paths.root.iterdir()):
        if (path == paths.trials and trials) or path == paths.imported:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert paths.has_orphans and not paths.exists
    repair_study(folder, check_only=False)
    again = recorded_settings(folder)[1]
    assert told(folder) == before and paths.exists
    assert (again.identity, again.revision) == (study.identity, study.revision)
    shutil.rmtree(paths.ledger)
    assert paths.exists, "the study file and the copy"


def test_an_imported_trial_without_a_copy_gets_a_record(take_in: Callable[..., Imported]) -> None:
    paths = StudyPaths.at(take_in(several).folder)
    paths.imported.unlink()
    gone = [problem.text for problem in repair_study(str(paths.root), check_only=False)]
    assert gone == [f"trial.json of trial {number} is gone" for number in range(4)]
    assert [int(path.name) for path in sorted(paths.trials.iterdir())] == [0, 1, 2, 3]
    assert repair_study(str(paths.root), check_only=True) == []


def test_a_copy_of_a_later_version_is_not_thrown_away(take_in: Callable[..., Imported]) -> None:
    paths = StudyPaths.at(take_in(several).folder)
    *lines, last = paths.imported.read_bytes().splitlines()
    decided = json.loads(last)
    decided["events"].append({"kind": "trial_blessed", "trial": 0})
    copy = b"".join([*(line + b"\n" for line in lines), to_line({k: v for k, v in decided.items() if k != "crc"})])
    assert from_line(copy.splitlines()[-1]) is not None
    paths.imported.write_bytes(copy)
    shutil.rmtree(paths.ledger)
    with pytest.raises(LedgerTooNew, match="trial_blessed"):
        repair_study(str(paths.root), check_only=False)
    assert not paths.ledger.exists() and paths.imported.read_bytes() == copy


def _segment(paths: StudyPaths) -> Path:
    return paths.ledger / "00000001.jsonl"


def _one_of_a_person(paths: StudyPaths) -> None:
    paths.imported.write_bytes(b'{"prompt": "hello"}\n' * 10_000)


def _one_of_a_person_beside_a_study_file(paths: StudyPaths) -> None:
    _one_of_a_person(paths)
    shutil.rmtree(paths.ledger)
    paths.trials.rmdir()


def _written_anew(paths: StudyPaths) -> None:
    first, _ = Ledger.claim(paths.ledger)
    first.close()
    _segment(paths).unlink()


def _of_other_decisions(paths: StudyPaths) -> None:
    _segment(paths).write_bytes(to_line({"v": 1, "segment": 1, "at": "later"}))


def _with_its_ends_cut_away(paths: StudyPaths) -> None:
    *head, decided = [json.loads(line) for line in _segment(paths).read_bytes().splitlines()]
    decided["events"] = [event for event in decided["events"] if event["kind"] != "attempt_ended"]
    lines = [to_line({key: value for key, value in line.items() if key != "crc"}) for line in (*head, decided)]
    _segment(paths).write_bytes(b"".join(lines))


def _empty(paths: StudyPaths) -> None:
    _segment(paths).write_bytes(b"")


def _without_segments(paths: StudyPaths) -> None:
    _segment(paths).unlink()


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (_one_of_a_person, set()),
        (_one_of_a_person_beside_a_study_file, set()),
        (_written_anew, set()),
        (_of_other_decisions, set()),
        (_with_its_ends_cut_away, {0, 1, 2, 3}),
        (_cut_the_ledger, {0, 1, 2, 3}),
        (_empty, {0, 1, 2, 3}),
        (_without_segments, {0, 1, 2, 3}),
        (_lose_ledger_and_copy, {0}),
    ],
)
def test_which_trials_a_ledger_has_lost_is_known_from_the_copy(
    take_in: Callable[..., Imported], change: Callable[[StudyPaths], None], lost: set[int]
) -> None:
    paths = StudyPaths.at(take_in(several).folder)
    change(paths)
    assert lost_of_imported(paths) == lost
    if change is _with_its_ends_cut_away:
        said = [problem.text for problem in repair_study(str(paths.root), check_only=True)]
        assert said == [f"the ledger does not know how trial {number} ended" for number in range(4)]
