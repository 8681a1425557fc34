"""Reading YAML: plain data with lines, and one clear refusal for everything else a file can be."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.config import yaml, yaml_writer
from outlast.errors import StudyFileError


def refused(text: str) -> StudyFileError:
    with pytest.raises(StudyFileError) as caught:
        yaml.parse(text, "study.yaml")
    assert caught.value.file == "study.yaml"
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-5", 1e-5),
        ("-1E+3", -1000.0),
        (".5", 0.5),
        ("012", 12),
        ("0x1F", 31),
        ("0o17", 15),
        ("on", "on"),
        ("no", "no"),
        ("yes", "yes"),
        ("True", True),
        ("~", None),
        ("24:00:00", "24:00:00"),
        ("1:30", "1:30"),
        ("5-00:00:00", "5-00:00:00"),
        ("2024-01-01", "2024-01-01"),
        ("'1e-5'", "1e-5"),
        ("log(1e-5, 1e-1)", "log(1e-5, 1e-1)"),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text, value):
    data = yaml.parse(f"key: {text}", "f").data["key"]
    assert data == value and type(data) is type(value)


def test_every_key_and_item_knows_its_line():
    document = yaml.parse("a: 1\nb:\n  c:\n    - x\n    - y\n", "f")
    assert document.place(("b", "c")).line == 3
    assert document.place(("b", "c", 1)).line == 5
    assert document.place(("b", "c", 1, "nowhere")).line == 5


def test_aliases_and_merge_keys_are_written_out():
    data = yaml.parse("a: &a {x: 1, y: 2}\nb: *a\nc:\n  <<: *a\n  y: 3\n", "f").data
    assert data["b"] == {"x": 1, "y": 2} and data["c"] == {"x": 1, "y": 3}


def test_a_key_that_is_there_twice_shows_both_lines():
    error = refused("a: 1\nb: 2\na: 3\n")
    assert error.line == 3 and error.key == "a"
    assert "on line 1 and on line 3" in error.fact


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a:\n\tb: 1", 2, "a tab where YAML wants spaces"),
        ("a: [1", 1, "not YAML"),
        ("a: b: c", 1, "`:` where none may be"),
        ("a: *nowhere", 1, "undefined alias"),
        ("a: 1\n---\nb: 2", 2, "several documents"),
        ("- 1\n- 2", 1, "a list, not keys and values"),
        ("just text", 1, "text, not keys and values"),
        ("", None, "is empty"),
        ("# nothing but a comment\n", None, "is empty"),
        ("a: !!python/object:os.system x", 1, "only plain values"),
        ("b:\n - !custom {x: 1}", 2, "only plain values"),
        ("? [a]\n: 1", 1, "a key must be text"),
        ("null: 1", 1, "is no key"),
        ("a: &x [*x]", 1, "an alias that contains itself"),
        ("a: 'x\n", 2, "not YAML"),
        ("a: " + "[" * 70 + "]" * 70, 1, "nested too deeply"),
        ("[" * 50_000, None, "nested too deeply"),
        ("\x01\x02", None, "not YAML text"),
    ],
)
def test_what_is_not_a_study_file_is_refused_with_its_line(text, line, words):
    error = refused(text)
    assert words in error.fact
    assert error.line == line


@pytest.mark.parametrize("text", ["a: 1\nt: {command: python x.py ${args}}\n", "a: 1\nt: [python, ${args}]\n"])
def test_a_placeholder_between_braces_says_that_it_needs_quotes(text):
    error = refused(text)
    assert error.fact.startswith("not YAML") and error.line == 2
    assert "${…} in quotes" in (error.cure or "")
    assert refused("a: '${args}'\nb: [1").cure is None


def test_an_alias_explosion_is_refused_before_it_costs_memory():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n"
    for above, name in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{name}: &{name} [{','.join([f'*{above}'] * 9)}]\n"
    assert "aliases are written out" in refused(bomb).fact


def test_a_million_lines_are_refused_at_once(tmp_path):
    path = tmp_path / "huge.yaml"
    path.write_text("a: 1\n" * 1_000_000)
    began = time.process_time()
    with pytest.raises(StudyFileError, match="larger than"):
        yaml.read(path)
    assert time.process_time() - began < 5, "whoever reads them takes a minute"


def test_too_many_lines_are_refused(tmp_path):
    path = tmp_path / "long.yaml"
    path.write_text("\n" * 20_000)
    with pytest.raises(StudyFileError, match="more than 10000 lines"):
        yaml.read(path)


def test_a_missing_file_names_the_one_that_is_nearly_it(tmp_path):
    (tmp_path / "digits.yaml").write_text("a: 1")
    with pytest.raises(StudyFileError, match="does not exist") as caught:
        yaml.read(tmp_path / "digit.yaml")
    assert "digits.yaml" in (caught.value.cure or "")


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(StudyFileError, match="is a directory"):
        yaml.read(tmp_path)


def test_binary_and_foreign_encodings_are_refused(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: 1\nb: \xff\xfe\n")
    with pytest.raises(StudyFileError, match="not UTF-8") as caught:
        yaml.read(path)
    assert caught.value.line == 2
    path.write_bytes(b"\x7fELF\0\0\0")
    with pytest.raises(StudyFileError, match="binary"):
        yaml.read(path)


def test_no_permission_is_said(tmp_path, monkeypatch):
    path = tmp_path / "x.yaml"
    path.write_text("a: 1")

    def denied(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    with pytest.raises(StudyFileError, match="no permission"):
        yaml.read(path)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\n")
    assert yaml.read(path).data == {"name": "x"}


characters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(characters, max_size=8),
)
plain = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(characters, min_size=1, max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(characters, min_size=1, max_size=6), plain, min_size=1, max_size=4))
def test_what_is_dumped_is_read_back_equal(data):
    again = yaml.parse(yaml_writer.dump(data, compact=True), "f").data
    assert repr(again) == repr(data)


@pytest.mark.parametrize(
    "text", [":0", "?0", "a: b", "- x", "#c", "*a", "&a", "!t", "%x", "@x", "`x", "a\u2028b", "null", "1e5", "<<"]
)
def test_odd_text_inside_one_line_collections_is_read_back(text):
    data = {"k": {"in": text, "list": [text]}, text: text}
    assert yaml.parse(yaml_writer.dump(data, compact=True), "f").data == data


@pytest.mark.parametrize("text", ['"a\\0b"', '"\\ud800"'])
def test_a_character_that_no_argument_can_hold_is_refused_with_its_line(text):
    with pytest.raises(StudyFileError, match="NUL or half a pair") as caught:
        yaml.parse(f"name: a\nenv:\n  A: {text}\n", "f")
    assert (caught.value.line, caught.value.key) == (3, "env.A")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_and_nothing_else(text):
    try:
        yaml.parse(text, "f")
    except StudyFileError as error:
        assert error.file == "f"


def test_paths_are_written_as_people_write_them():
    assert yaml.dotted(("parameters", "lr", "values", 2)) == "parameters.lr.values[2]"


def test_a_file_that_says_it_is_yaml_11_is_read_as_pyyaml_reads_it(tmp_path):
    import yaml as pyyaml

    text = "# mine\n%YAML 1.1\n---\na: [yes, no, on, y, 010, 1:30, 0o7, 1.5, true, 'yes']\nb: ~\n"
    assert yaml.parse(text, "f").data == pyyaml.safe_load(text)
    with pytest.raises(StudyFileError) as caught:
        yaml.parse(text + "b: 1\n", "f")
    assert caught.value.line == 6
    assert yaml.parse("%YAML 1.2\n---\na: yes\n", "f").data == {"a": "yes"}


def test_a_study_s_own_copy_that_is_no_text_names_what_restores_it(tmp_path):
    (tmp_path / "study.yaml").write_bytes(b"name: caf\xe9\n")
    for cure in ("save it as UTF-8", f"outlast repair {tmp_path}"):
        with pytest.raises(StudyFileError, match="not UTF-8") as caught:
            yaml.read(tmp_path / "study.yaml")
        assert caught.value.cure == cure
        (tmp_path / "ledger").mkdir(exist_ok=True)
