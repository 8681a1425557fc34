"""The best of earlier searches as first trials of a new one, or as what its sampler knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import optuna
import pytest

from outlast.config.load import load_study_file
from outlast.config.settings import Settings
from outlast.core.fold import Study, fold
from outlast.core.records import (
    AttemptEnded,
    AttemptOpened,
    RevisionMade,
    StudyCreated,
    TrialCreated,
    from_json,
    to_json,
)
from outlast.core.states import Cause, TrialState
from outlast.engine.care.earlier_studies import earlier_study, readings
from outlast.engine.care.warm_start import WarmStart
from outlast.errors import StudyNotFound, UsageError
from outlast.optimizer.sampling import Optimizer
from outlast.study.layout import StudyPaths
from outlast.study.ledger import Ledger

HEAD = (
    "name: {name}\ncommand: python train.py ${{args}}\nmetric: {{name: score, goal: maximize}}\nbudget: {{trials: 9}}\n"
)
SPACE = (
    "{lr: {min: 1e-4, max: 1e-1, distribution: log_uniform_values}, model: {values: [mlp, cnn]}, "
    "kernel: {values: [3, 5], when: {model: cnn}}, epochs: {value: 10}}"
)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.py").touch()


def settings_of(parameters: str = SPACE, name: str = "new", **more: str) -> Settings:
    lines = "".join(f"{key}: {value}\n" for key, value in {"sampler": "{name: random, seed: 1}", **more}.items())
    Path(f"{name}.yaml").write_text(HEAD.format(name=name) + f"parameters: {parameters}\n" + lines)
    return load_study_file(f"{name}.yaml")


def begun(settings: Settings) -> Study:
    return fold([StudyCreated(settings.name, "", "", 7), RevisionMade(1, "", settings.resolved)])


def earlier(results: list[tuple[dict[str, Any], float | None]], parameters: str = SPACE, name: str = "old") -> str:
    """A study's folder that holds these configurations with their scores; without one, a trial failed."""
    settings = settings_of(parameters, name=name)
    paths = StudyPaths.at(Path("studies", name))
    ledger, _ = Ledger.claim(paths.ledger)
    ledger.append([StudyCreated(name, "", "", 7), RevisionMade(1, "", settings.resolved)])
    for number, (params, score) in enumerate(results):
        state = TrialState.FAILED if score is None else TrialState.COMPLETE
        cause = Cause.CRASH if score is None else Cause.COMPLETED
        values = None if score is None else (score,)
        ledger.append([TrialCreated(number, "", params), AttemptOpened(number, 1, "")])
        ledger.append([AttemptEnded(number, 1, "", state, cause, values=values)])
    ledger.close()
    return str(paths.root)


MIXED: list[tuple[dict[str, Any], float | None]] = [
    ({"lr": 0.001, "model": "mlp"}, 0.5),
    ({"lr": 0.01, "model": "cnn", "kernel": 5}, 0.9),
    ({"lr": 0.002, "model": "mlp"}, None),
    ({"lr": 0.05, "model": "mlp"}, 0.7),
]


def test_values_that_the_derive_hook_fails_on_are_left_out_and_the_others_are_taken() -> None:
    Path("hook.py").write_text("def derive(params):\n    return {'width': {0.01: 8, 0.05: 4}[params['lr']]}\n")
    study, folder = begun(settings := settings_of(derive="hook:derive")), earlier(MIXED)
    events, told = given(settings, study, folder)
    assert [event.params["lr"] for event in events] == [0.01, 0.05]
    assert any("left out: lr=0.001" in text and "KeyError" in text for text in told), told


def given(settings: Settings, study: Study, *places: str, **more: Any) -> tuple[list[Any], list[str]]:
    return WarmStart(places, **more).prepared(settings)(study)


def test_the_best_complete_trials_are_tried_first_under_the_name_of_their_search() -> None:
    settings, folder = settings_of(), earlier(MIXED)
    study = begun(settings)
    events, told = given(settings, study, folder, top=2)
    assert [(e.params, e.source) for e in events] == [
        ({"lr": 0.01, "model": "cnn", "kernel": 5}, "earlier: old 1"),
        ({"lr": 0.05, "model": "mlp"}, "earlier: old 3"),
    ]
    assert told == ["old: its best 2 are tried first"]
    assert [trial.state for trial in study.trials.values()] == [TrialState.CREATED] * 2


def test_the_same_command_again_adds_nothing_even_if_the_other_search_went_on() -> None:
    settings, folder = settings_of(), earlier(MIXED)
    study = begun(settings)
    given(settings, study, folder, top=1, use="trials")
    said = "old: a search of that name was given before: nothing of it is added"
    assert given(settings, study, folder, top=3) == ([], [said])


def test_what_does_not_fit_is_drawn_and_said() -> None:
    wider = SPACE.replace("max: 1e-1", "max: 10").replace("value: 10", "value: 30").replace("[3, 5]", "[3, 5, 7]")
    folder = earlier([({"lr": 1.0, "model": "cnn", "kernel": 7}, 0.9)], wider)
    settings = settings_of(SPACE.replace("lr:", "wd: {min: 0.0, max: 1.0}, lr:"))
    events, told = given(settings, begun(settings), folder)
    (event,) = events
    assert set(event.params) == {"lr", "model", "kernel", "wd"}
    assert event.params["model"] == "cnn" and event.params["lr"] <= 0.1 and event.params["kernel"] in (3, 5)
    assert told[0] == "old: its best is tried first"
    assert "old: wd was not searched there; it is drawn (1 of 1)" in told
    assert any("lr: 1.0 is not" in line for line in told) and any("kernel: 7 is not" in line for line in told)


def test_a_constant_that_was_another_is_said() -> None:
    settings = settings_of()
    Path("runs.csv").write_text("lr,model,epochs,score\n0.01,mlp,30,0.9\n")
    _, told = given(settings, begun(settings), "runs.csv")
    assert f"{Path.cwd().name}/runs.csv: epochs was 30 there, and is 10 here (1 of 1)" in told


def test_no_more_than_the_budget_has_room_for_and_nothing_that_is_there() -> None:
    settings, folder = settings_of(), earlier(MIXED)
    study = begun(settings)
    for number in range(8):
        study.apply(TrialCreated(number, "", {"lr": 0.01, "model": "cnn", "kernel": 5}))
    events, _ = given(settings, study, folder)
    assert [event.source for event in events] == ["earlier: old 3"]


def test_nothing_in_common_is_said() -> None:
    folder = earlier([({"depth": 3}, 0.9)], "{depth: {min: 1, max: 5}}")
    settings = settings_of()
    assert given(settings, begun(settings), folder)[1][-1] == "old: none of its parameters is in this search space"


def test_the_sampler_knows_what_fits_whole_and_it_counts_nowhere() -> None:
    good = [({"x": 0.8 + k / 200, "y": 0.1}, 1.0 - k / 100) for k in range(10)]
    bad = [({"x": k / 30, "y": 0.9}, 0.0 - k / 100) for k in range(20)]
    space = "{x: {min: 0.0, max: 1.0}, y: {min: 0.0, max: 1.0}}"
    folder = earlier([*good, *bad, ({"x": 0.5}, 0.99)], space)
    settings = settings_of(space, sampler="{name: tpe, seed: 1}")
    study = begun(settings)
    events, told = given(settings, study, folder, use="knowledge")
    assert told[0] == "old: the sampler knows 30 of its 31 results"
    again = begun(settings)
    for event in events:  # as a ledger has it
        again.apply(from_json(json.loads(json.dumps(to_json(event)))))
    assert again.earlier == study.earlier and not again.trials and again.next_number == 0
    draws = [Optimizer(settings, fold_of).ask(0).params for fold_of in (study, again)]  # type: ignore[union-attr]
    assert draws[0] == draws[1]
    free = settings_of(space, sampler="tpe")
    assert _in_the_good_region(free, study) >= 2 * _in_the_good_region(free, begun(free))


def _in_the_good_region(settings: Settings, study: Study) -> int:
    """How many of twelve first proposals, each of a study with a seed of its own, lie where the earlier search was good."""
    proposed = 0
    for study.study_seed in range(12):
        proposed += Optimizer(settings, study).ask(0).params["x"] > 0.7  # type: ignore[union-attr]
    return proposed


@pytest.mark.parametrize(
    ("sampler", "metric", "says"),
    [
        ("random", "score", "the sampler random does not learn from other searches"),
        ("tpe", "loss", "old had other metrics than this study"),
    ],
)
def test_knowledge_that_cannot_be_used_is_refused_before_anything_begins(sampler: str, metric: str, says: str) -> None:
    folder = earlier(MIXED)
    settings = settings_of(sampler=sampler)
    if metric != "score":
        text = Path("new.yaml").read_text().replace("name: score", f"name: {metric}")
        Path("new.yaml").write_text(text)
        settings = load_study_file("new.yaml")
    with pytest.raises(UsageError, match=says):
        WarmStart([folder], use="knowledge").prepared(settings)


def test_an_optuna_storage_and_one_of_several_studies_in_it() -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend("old.log"))
    for name, lr in (("first", 0.02), ("second", 0.03)):
        study = optuna.create_study(study_name=name, storage=storage, direction="maximize")
        study.add_trial(
            optuna.trial.create_trial(
                params={"lr": lr},
                distributions={"lr": optuna.distributions.FloatDistribution(1e-4, 1, log=True)},
                value=1,
            )
        )
    settings = settings_of()
    events, _ = given(settings, begun(settings), "old.log::second")
    assert [(event.params["lr"], event.source) for event in events] == [(0.03, "earlier: second 0")]
    with pytest.raises(StudyNotFound, match="holds 2 studies: first, second"):
        earlier_study("old.log", settings.metrics)


TABLES = {
    "outlast.csv": "number,state,cause,value,lr,model,kernel\n4,complete,,0.9,0.01,cnn,5\n5,failed,crash,0.95,0.02,mlp,\n",
    "optuna.csv": ",number,value,params_lr,params_model,params_kernel,state\n0,4,0.9,0.01,cnn,5.0,COMPLETE\n",
    "wandb.csv": '"Name","State","lr","model","kernel","score"\n"4","finished","0.01","cnn","5","0.9"\n'
    '"8","crashed","0.02","mlp","","0.95"\n',
    "wandb_api.csv": ",summary,config,name\n0,\"{'score': 0.9}\",\"{'lr': 0.01, 'model': 'cnn', 'kernel': 5}\",4\n",
    "ray.csv": "trial_id,score,config/lr,config/model,config/kernel\n4,0.9,0.01,cnn,5\n",
    "runs.json": '[{"name": 4, "config": {"lr": {"value": 0.01}, "model": "cnn", "kernel": 5}, "summary": {"score": 0.9}}]',
    "runs.jsonl": '{"id": 4, "config": {"lr": 0.01, "model": "cnn", "kernel": 5}, "summary": {"score": 0.9}}\n',
    "tabs.tsv": "\ufeffname\tlr\tmodel\tkernel\tscore\n4\t1e-2\tcnn\t5\t0.9\n3\t1e-3\tmlp\t\tnan\n",
}  # fmt: skip


@pytest.mark.parametrize("file", TABLES)
def test_tables_as_others_write_them(file: str) -> None:
    Path(file).write_text(TABLES[file], encoding="utf-8")
    settings = settings_of()
    events, _ = given(settings, begun(settings), file)
    assert [(e.params, e.source) for e in events] == [
        ({"lr": 0.01, "model": "cnn", "kernel": 5}, f"earlier: {Path.cwd().name}/{file} 4")
    ]


def test_tables_of_one_name_in_two_folders_are_two_and_a_score_without_a_name_is_said() -> None:
    settings = settings_of()
    for folder, lr in (("a", 0.01), ("b", 0.02)):
        Path(folder).mkdir()
        Path(folder, "trials.csv").write_text(f"lr,model,value\n{lr},mlp,0.9\n")
    events, told = given(settings, begun(settings), "a/trials.csv", "b/trials.csv")
    assert [event.source for event in events] == ["earlier: a/trials.csv 0", "earlier: b/trials.csv 0"]
    assert "b/trials.csv: its column `value` is taken for score" in told
    Path("named.csv").write_text("lr,model,score,value\n0.03,mlp,0.9,7\n")
    assert earlier_study("named.csv", settings.metrics).notes == ()


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("nothing.csv", "lr,loss\n0.1,0.2\n", "no row has a score"),
        ("twice.csv", "lr,lr,score\n0.1,0.2,0.3\n", "two columns are called lr"),
        ("broken.json", "{", "is no JSON"),
        ("other.json", '{"a": 1}', "is no list of runs"),
        ("gone.csv", None, "no such file or folder"),
        ("empty", None, "no such file or folder"),
    ],
)
def test_what_is_no_earlier_search_is_one_clear_error(file: str, text: str | None, says: str) -> None:
    if text is not None:
        Path(file).write_text(text)
    with pytest.raises((UsageError, StudyNotFound), match=says):
        earlier_study(file, settings_of().metrics)


def test_a_folder_without_a_study_and_two_searches_of_one_name() -> None:
    Path("empty").mkdir()
    settings = settings_of()
    with pytest.raises(StudyNotFound, match="there is no study in this folder"):
        earlier_study("empty", settings.metrics)
    with pytest.raises(UsageError, match="two earlier searches are called old"):
        WarmStart([earlier(MIXED), "studies/old"]).prepared(settings)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("5", 5),
        ("5.0", 5.0),
        ("1e-2", 0.01),
        ("True", True),
        ("null", None),
        ("[1, 2]", [1, 2]),
        ("cnn", "cnn"),
        (3, 3),
    ],
)
def test_a_cell_means_what_it_looks_like_first(text: Any, first: Any) -> None:
    value = next(iter(readings(text)))
    assert value == first and type(value) is type(first)
