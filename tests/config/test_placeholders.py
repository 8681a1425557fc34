"""``{backbone}`` in a path stands for what is the same in every trial."""

from __future__ import annotations

import pytest

from outlast.config.campaign_file import load_search
from outlast.config.load import load_studies, load_study_file, settings_from_resolved
from outlast.config.placeholders import filled, placeholder_values
from outlast.errors import StudyFileError, UsageError

STUDY = """\
name: ner
command: python -c "" ${args}
metric: minimize loss
budget: {trials: 3}
parameters:
  backbone: {value: org/distil bert}
  model: {parameters: {depth: {value: 3}}}
  lr: {min: 0.1, max: 1.0}
"""


def read(tmp_path, text, **given):
    (tmp_path / "s.yaml").write_text(text)
    return load_study_file(tmp_path / "s.yaml", **given)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("{backbone}/study.db", "org-distil bert/study.db"),  # one step of a path, whatever is in it
        ("a/{name}-{model.depth}", "a/ner-3"),
        ("{{backbone}} ${HOME}", "{backbone} ${HOME}"),
        ("plain", "plain"),
    ],
)
def test_a_path_is_filled_in(tmp_path, text, means):
    assert filled(text, placeholder_values(read(tmp_path, STUDY))) == means


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://u:ab{s3cret}cd@h/",
        "postgresql://u:a{{b}}@c@h/",
        "https://{token}@h/",
        "postgresql://h/db?user=me&password={x}&db=",
    ],
)
def test_a_password_is_neither_read_nor_shown(tmp_path, text):
    assert filled(text + "{backbone}", {"backbone": "b"}) == text + "b"
    with pytest.raises(StudyFileError) as caught:
        read(tmp_path, f"{STUDY}index: '{text}{{bakbone}}'\n")
    said = f"{caught.value.fact} {caught.value.cure}"
    assert "bakbone" in said
    assert not any(part in said for part in ("s3cret", "{{b}}", "token", "password"))


def test_what_is_no_name_is_none(tmp_path):
    settings = read(
        tmp_path, STUDY + "tracking: {mlflow: {uri: 'x/{backbone}', tags: {a: '{\"k\": {\"l\": 1}}', b: '{zzz}'}}}\n"
    )
    assert settings.tracking.mlflow.uri == "x/org-distil bert"
    assert settings.tracking.mlflow.tags == {"a": '{"k": {"l": 1}}', "b": "{zzz}"}


def test_what_changes_a_record_is_filled_in_too(tmp_path):
    record = read(tmp_path, STUDY + "checkpoints: {dir: 'a/{{b}}'}\n").resolved
    kept = settings_from_resolved(record, str(tmp_path), ["index.url=x/{backbone}.db"])
    assert (kept.checkpoints.dir, kept.index.url) == ("a/{b}", "x/org-distil bert.db")
    changed = settings_from_resolved(record, str(tmp_path), ['checkpoints={dir: "w/{model.depth}"}'])
    assert changed.checkpoints.dir == "w/3"


def test_a_value_leads_nowhere_else():
    assert filled("a/{b}/c", {"b": ".."}) == "a/--/c" and filled("{b}", {"b": "../x"}) == "..-x"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{bakbone}", "did you mean `backbone`?"),
        ("{lr}", "searched"),
        ("{}", "{backbone}"),
        ("{zzzzzzz}", "{backbone}"),
    ],
)
def test_what_stands_for_nothing_is_refused_with_the_nearest(tmp_path, text, says):
    with pytest.raises(UsageError) as caught:
        filled(text, placeholder_values(read(tmp_path, STUDY)))
    assert says in str(caught.value)
    with pytest.raises(StudyFileError) as caught:
        read(tmp_path, f"{STUDY}checkpoints:\n  dir: {text!r}\n")
    assert caught.value.key == "checkpoints.dir" and caught.value.line == 10 and says in str(caught.value)


def test_a_study_has_its_paths_on_record_as_they_are(tmp_path):
    settings = read(tmp_path, STUDY + "checkpoints: {dir: 'weights/{backbone}'}\n", name="other")
    assert settings.checkpoints.dir == "weights/org-distil bert"
    assert settings_from_resolved(settings.resolved, str(tmp_path)).checkpoints.dir == settings.checkpoints.dir


def test_each_study_of_a_matrix_has_its_own(tmp_path):
    (tmp_path / "s.yaml").write_text(
        STUDY
        + "matrix: {backbone: [a, b], sampler: [tpe, random]}\ncheckpoints: {dir: '{backbone}/{sampler}/{name}'}\n"
    )
    found = [each.checkpoints.dir for each in load_studies(tmp_path / "s.yaml")]
    assert found == ["a/tpe/ner-a-tpe", "a/random/ner-a-random", "b/tpe/ner-b-tpe", "b/random/ner-b-random"]


def test_no_secret_stands_for_anything(tmp_path):
    assert not any("KEY" in name for name in placeholder_values(read(tmp_path, STUDY + "env: {API_KEY: x}\n")))


def test_a_name_says_where_the_values_of_a_matrix_go(tmp_path):
    (tmp_path / "s.yaml").write_text(
        STUDY.replace("name: ner", "name: ner_{backbone}") + "matrix: {backbone: [a, b/c]}\n"
    )
    assert [each.name for each in load_studies(tmp_path / "s.yaml")] == ["ner_a", "ner_b-c"]
    assert load_search(str(tmp_path / "s.yaml")).name == "s"
    assert load_study_file(tmp_path / "s.yaml", overrides=["matrix=null"], name="own").name == "own"


def test_a_misspelt_word_in_the_name_of_several_is_said(tmp_path):
    text = STUDY.replace("name: ner", "name: ner_{bakbone}") + "matrix: {backbone: [a, b]}\n"
    with pytest.raises(StudyFileError) as caught:
        read(tmp_path, text)
    assert caught.value.key == "name" and "did you mean `backbone`?" in str(caught.value)
