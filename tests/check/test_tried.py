"""What tried trials say together."""

from __future__ import annotations

from outlast.engine.check.verdicts import Tried, culprits, findings_of


def tried(number, outcome, cause="", scores=None, metrics=None, **params) -> Tried:
    return Tried(number, params, outcome, cause or outcome, f"because of {number}", 1.0, scores or {}, metrics or {})


def texts(settings, trials) -> list[str]:
    return [f"{finding.level} {finding.about}: {finding.text}" for finding in findings_of(settings, trials, [])]


PARAMETERS = {"model": {"values": ["a", "b"]}, "opt": {"values": [1, 2]}, "lr": {"min": 0.1, "max": 0.9}}


def test_a_value_that_always_fails_while_others_do_not_is_the_culprit(make) -> None:
    settings = make(parameters=PARAMETERS)
    trials = [
        tried(0, "passed", model="a", opt=1),
        tried(1, "failed", model="b", opt=2),
        tried(2, "passed", model="a", opt=2),
    ]
    assert culprits(settings, trials) == [(("model", "b"), 1)]


def test_nothing_is_a_culprit_where_everything_fails(make) -> None:
    settings = make(parameters=PARAMETERS)
    trials = [tried(0, "failed", model="a", opt=1), tried(1, "failed", model="b", opt=2)]
    assert culprits(settings, trials) == []
    assert any("every trial failed" in text for text in texts(settings, trials))


def test_a_failure_without_a_culprit_is_a_combination(make) -> None:
    settings = make(parameters=PARAMETERS)
    trials = [
        tried(0, "passed", model="a", opt=1, scores={"val_acc": 1.0}),
        tried(1, "failed", model="b", opt=2),
        tried(2, "passed", model="a", opt=2),
        tried(3, "passed", model="b", opt=1),
    ]
    assert any("a combination" in text for text in texts(settings, trials))


def test_a_misspelt_metric_is_found_by_its_nearest_name(make) -> None:
    settings = make(metric={"name": "val_acuracy", "goal": "maximize"})
    trials = [tried(0, "failed", "no_score", metrics={"val_accuracy": 0.5, "loss": 1.0})]
    found = texts(settings, trials)
    assert any("error metric: val_acuracy was not found" in text and "val_accuracy" in text for text in found)
    assert "ok metrics seen: loss, val_accuracy" in found


def test_a_misspelt_metric_does_not_hide_a_value_that_cannot_run(make) -> None:
    settings = make(parameters=PARAMETERS)
    trials = [
        tried(0, "failed", "no_score", model="a", opt=1, metrics={"val_acccc": 1.0}),
        tried(1, "failed", "crash", model="b", opt=1),
    ]
    assert culprits(settings, trials) == [(("model", "b"), 1)]


def test_a_metric_that_has_not_come_yet_is_no_error(make) -> None:
    found = texts(make(), [tried(0, "passed", "pruned")])
    assert any(text.startswith("note metric: val_acc has not been reported") for text in found)


def test_a_metric_taken_from_another_name_is_said(make) -> None:
    note = "val_acc was not seen under that name; 'eval/val_acc' is taken for it (report)"
    trial = Tried(0, {}, "passed", scores={"val_acc": 0.5}, metrics={"eval/val_acc": 0.5}, notes=(note,))
    assert any(note in text for text in texts(make(), [trial]))
