"""A wrong study file: one message with its place and its cure, exit code 2, nothing written, never a traceback."""

from __future__ import annotations

import os
import sys

import pytest

from outlast.cli.main import run_cli

# what is changed, where the message must point to, and what it must say
WRONG = {
    "unknown key": ({"samplr": "tpe"}, "study.yaml:10: samplr", ["did you mean `sampler`?"]),
    "unknown key inside": ({"budget": "{trails: 1}"}, "study.yaml:7: budget.trails", ["did you mean `trials`?"]),
    "wrong type": ({"budget": "{trials: many}"}, "study.yaml:7: budget.trials", ["whole number", "'many'"]),
    "part of a trial": ({"budget": "{trials: 1.5}"}, "study.yaml:7: budget.trials", ["whole number"]),
    "negative": ({"budget": "{trials: -4}"}, "study.yaml:7: budget.trials", ["1 or more"]),
    "reversed range": ({"  x": "{min: 5, max: 1}"}, "study.yaml:5: parameters.x.min", ["above max", "swap them"]),
    "not finite": ({"  x": "{min: .nan, max: 1.0}"}, "study.yaml:5: parameters.x.min", ["not finite"]),
    "nothing to choose from": ({"  x": "{values: []}"}, "study.yaml:5: parameters.x.values", ["no value"]),
    "log over zero": ({"  x": "log(0, 1)"}, "study.yaml:5: parameters.x", ["begins above 0", "1e-6"]),
    "unknown distribution": (
        {"  x": "{min: 1, max: 2, distribution: log_unifrm}"},
        "study.yaml:5: parameters.x.distribution",
        ["log_uniform"],
    ),
    "unknown sampler": ({"sampler": "tpee"}, "study.yaml:8: sampler", ["did you mean `tpe`?"]),
    "unknown option of a sampler": ({"sampler": "{name: tpe, sed: 3}"}, "study.yaml:8: sampler", ["mean `seed`?"]),
    "unknown pruner": ({"pruner": "ashaa"}, "study.yaml:10: pruner", ["did you mean `asha`?"]),
    "missing program": (
        {"command": "pyhton train.py ${args}"},
        "study.yaml:2: command",
        ["pyhton", "PATH", "did you mean `python"],
    ),
    "a script that is misspelt and no program": (
        {"command": "trian.py ${args}"},
        "study.yaml:2: command",
        ["no program `trian.py`", "did you mean `python train.py`?"],
    ),
    "missing script": (
        {"command": f"{sys.executable} trian.py ${{args}}"},
        "study.yaml:2: command",
        ["did you mean `train.py`?"],
    ),
    "unknown macro": ({"command": f"{sys.executable} train.py ${{arg}}"}, "study.yaml:2: command", ["`args`"]),
    "open quote": ({"command": "python 'train.py"}, "study.yaml:2: command", ["closing quotation"]),
    "no metric": ({"metric": ""}, "study.yaml:1", ["no metric", "--maximize NAME"]),
    "unknown goal": ({"metric": "{name: score, goal: maximise}"}, "study.yaml:3: metric.goal", ["`maximize`"]),
    "bad pattern": ({"metric": "{name: s, goal: minimize, pattern: '('}"}, "study.yaml:3: metric.pattern", ["regular"]),
    "nothing to run": ({"command": ""}, "study.yaml:1", ["needs `command` or `function`"]),
    "missing module": ({"command": "", "function": "nosuch:f"}, "study.yaml:9: function", ["no module 'nosuch'"]),
    "failing hook": ({"derive": "nosuch:f"}, "study.yaml:10: derive", ["No module named 'nosuch'"]),
    "unknown in a constraint": ({"constraints": "['m > 3']"}, "study.yaml:10: constraints[0]", ["`m`", "kind, x"]),
    "a call in a constraint": (
        {"constraints": """["__import__('os').system('touch pwned')"]"""},
        "study.yaml:10: constraints[0]",
        ["this is a call"],
    ),
    "an attribute in a constraint": ({"constraints": "['x.__class__']"}, "study.yaml:10: constraints[0]", ["x"]),
    "no expression": ({"constraints": "['x >']"}, "study.yaml:10: constraints[0]", ["not an expression"]),
    "never satisfied": ({"constraints": "['x > 5']"}, "study.yaml:10: constraints", ["loosen the constraints"]),
    "condition on nothing": (
        {"  x": "{min: 0, max: 1, when: {knd: a}}"},
        "study.yaml:5: parameters.x",
        ["`knd`", "no parameter"],
    ),
    "enqueued out of range": ({"enqueue": "[{x: 5}]"}, "study.yaml:10: enqueue[0].x", ["5"]),
    "enqueued unknown": ({"enqueue": "[{y: 5}]"}, "study.yaml:10: enqueue[0].y", ["not a parameter"]),
    "missing base configuration": ({"config": "base.yaml"}, "study.yaml:10: config", ["does not exist"]),
    "missing base study": ({"extends": "base.yaml"}, "study.yaml:10: extends", ["does not exist"]),
    "extends itself": ({"extends": "study.yaml"}, "study.yaml:10: extends", ["circle"]),
    "no duration": ({"trial": "{timeout: soon}"}, "study.yaml:10: trial.timeout", ["12h"]),
    "two dialects": ({"method": "bayes"}, "study.yaml", ["two dialects"]),
    "a name that leaves its folder": ({"name": "../evil"}, "study.yaml:1: name", ["letters, digits"]),
    "an absolute name": ({"name": "/tmp/evil"}, "study.yaml:1: name", ["letters, digits"]),
    "a hidden name": ({"name": ".evil"}, "study.yaml:1: name", ["not beginning with . or -"]),
    "a name like an option": ({"name": "--fresh"}, "study.yaml:1: name", ["not beginning with . or -"]),
    "a very long name": ({"name": "a" * 300}, "study.yaml:1: name", ["at most 100"]),
    "an index by another word": ({"index": "{file: study.db}"}, "study.yaml:10: index.file", ["in_memory"]),
    "a budget of 400 digits": ({"budget": f"{{trials: {'9' * 400}}}"}, "study.yaml:7: budget.trials", ["999"]),
    "a range of 400 digits": ({"  x": f"{{min: 0.0, max: {'9' * 400}}}"}, "study.yaml:5: parameters.x.max", ["too large"]),
    "a duration of 400 digits": ({"trial": f"{{timeout: {'9' * 400}d}}"}, "study.yaml:10: trial.timeout", ["longer than"]),
    "seconds of 400 digits": ({"trial": f"{{timeout: {'9' * 400}}}"}, "study.yaml:10: trial.timeout", ["not a duration"]),
    "a clock of 400 digits": ({"trial": f"{{timeout: {'9' * 400}-00:00:00}}"}, "study.yaml:10: trial.timeout", ["longer"]),
    "a size of 400 digits": ({"resources": f"{{memory: {'9' * 400}G}}"}, "study.yaml:10: resources.memory", ["more than"]),
    "bytes of 400 digits": ({"resources": f"{{memory: {'9' * 400}}}"}, "study.yaml:10: resources.memory", ["more than"]),
    "an enqueued value of 400 digits": ({"enqueue": f"[{{x: {'9' * 400}}}]"}, "study.yaml:10: enqueue[0].x", ["999"]),
    "too fine a step": (
        {"  x": "{a: 2, b: 2, q: 1e-300, distribution: q_beta}"},
        "study.yaml:5: parameters.x.q",
        ["too fine"],
    ),
    "NUL in a value": ({"kind": '{values: ["a\\0b"]}'}, "study.yaml:6: parameters.kind.values[0]", ["NUL"]),
    "a Python tag": ({"env": "!!python/object/apply:os.system ['touch pwned']"}, "study.yaml:10: env", ["not a list"]),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_study_file_is_refused_with_place_and_cure_and_nothing_is_written(case, here):
    changes, place, words = WRONG[case]
    here.study(**{key.strip(): text for key, text in changes.items()})
    before = here.entries
    said = here("run", "study.yaml")
    assert said.code == 2
    assert said.err.startswith(f"error:  {place}"), said.err
    assert all(word in said.err for word in words), said.err
    assert said.out == ""
    assert "Traceback" not in said.err
    assert here.entries == before
    assert not os.path.exists("../evil")


@pytest.mark.parametrize("case", ["unknown key", "never satisfied", "failing hook", "missing script"])
def test_check_finds_the_same_and_writes_nothing_either(case, here):
    changes, _, words = WRONG[case]
    here.study(**changes)
    before = here.entries
    said = here("check")
    assert said.code == 2
    assert all(word in said.everything for word in words)
    assert here.entries == before


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{this}: &{this} [{','.join([f'*{last}'] * 10)}]\n" for last, this in zip("abcdefgh", "bcdefghi", strict=True)
)

NOT_A_STUDY = {
    "empty": ("", "is empty"),
    "only a comment": ("# later\n", "is empty"),
    "a list": ("- a\n- b\n", "holds a list"),
    "plain text": ("hello\n", "holds text"),
    "not YAML": ("name: [a\nmetric: }\n", "not YAML"),
    "a tab": ("name: a\n\tmetric: b\n", "indent with spaces"),
    "several documents": ("name: a\n---\nname: b\n", "several documents"),
    "a key twice": ("name: a\nmetric: b\nname: c\n", "is there twice: on line 1 and on line 3"),
    "binary": (b"\x00\x01\xff\xfe", "UTF-8"),
    "another encoding": ("name: café\n".encode("latin-1"), "UTF-8"),
    "a million lines": ("name: a\n" + "".join(f"k{i}: {i}\n" for i in range(1_000_000)), "this is not a study file"),
    "a YAML bomb": (BOMB, "holds more than"),
    "deep": ("a: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    "an alias of itself": ("a: &a\n  <<: *a\n", "contains itself"),
}


@pytest.mark.parametrize("case", NOT_A_STUDY)
def test_what_is_no_study_file_is_refused_in_one_message(case, here):
    content, words = NOT_A_STUDY[case]
    here.write("odd.yaml", content)
    before = here.entries
    said = here("run", "odd.yaml")
    assert said.code == 2
    assert said.err.startswith("error:  odd.yaml")
    assert words in said.err
    assert here.entries == before


def test_values_never_pass_through_a_shell(here):
    here.study(kind="{values: ['$(touch pwned)', '; touch pwned', '`touch pwned`', '| touch pwned']}", budget="{trials: 4}",
               sampler="grid", x="{value: 0.5}")  # fmt: skip
    said = here("run")
    assert said.code == 0, said.everything
    assert "pwned" not in here.entries


def test_a_message_fits_sixty_columns(here, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    here.study(samplr="tpe")
    said = here("run")
    assert max(map(len, said.err.splitlines())) <= 60


def test_running_as_a_module_gives_the_same_exit_code(here):
    here.study(samplr="tpe")
    assert run_cli(["run", "study.yaml"]) == 2
