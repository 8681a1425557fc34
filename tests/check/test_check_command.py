"""`outlast check` as it is typed."""

from __future__ import annotations

import json

import pytest

from outlast.cli.main import run_cli

SCRIPT = """
import json, os, sys, time
args = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
if args.get("model") == "vit":
    raise ImportError("timm is missing")
place = os.path.join(os.environ["OUTLAST_CHECKPOINT_DIR"], "last.json")
start = json.load(open(place))["epoch"] + 1 if os.path.exists(place) else 0
for epoch in range(start, 1000):
    time.sleep(0.05)
    print(f"epoch {epoch}: val_acc={epoch / 1000}", flush=True)
    json.dump({"epoch": epoch}, open(place + ".tmp", "w"))
    os.replace(place + ".tmp", place)
"""


def test_the_quick_check_prints_one_object(make, capsys) -> None:
    make()
    assert run_cli(["check", "study.yaml", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["smoke"] is None and facts["rehearse"] is None
    assert {"command", "metric", "space", "sampler", "folder"} <= {finding["about"] for finding in facts["findings"]}


def test_an_error_of_the_quick_check_is_exit_code_2_and_runs_nothing(make, capsys) -> None:
    make(SCRIPT, pruner={"name": "median", "n_warmup": 3})
    assert run_cli(["check", "study.yaml", "--smoke", "--rehearse", "--json"]) == 2
    facts = json.loads(capsys.readouterr().out)
    assert facts["smoke"] is None and facts["rehearse"] is None


@pytest.mark.parametrize("limit", ["soon", "0"])
def test_a_limit_that_is_none_is_refused(make, capsys, limit) -> None:
    make()
    assert run_cli(["check", "study.yaml", "--smoke", "--limit", limit]) == 2
    assert "--limit" in capsys.readouterr().err


@pytest.mark.slow
def test_a_failed_trial_is_exit_code_1_with_its_traceback(make, capsys) -> None:
    make(SCRIPT, parameters={"model": {"values": ["cnn", "vit"]}})
    assert run_cli(["check", "study.yaml", "--smoke", "--limit", "30s"]) == 1
    output = capsys.readouterr().out
    assert "model=vit cannot run" in output and "ImportError: timm is missing" in output
    assert "val_acc" in output


@pytest.mark.slow
def test_both_together_in_one_object(make, capsys) -> None:
    make(SCRIPT)
    assert run_cli(["check", "study.yaml", "--smoke", "--rehearse", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["smoke"]["passed"] and facts["smoke"]["trials"][0]["outcome"] == "passed"
    assert facts["rehearse"]["verdict"] == "resumes" and facts["rehearse"]["passed"]


@pytest.mark.slow
def test_a_rehearsal_without_checkpoints_is_exit_code_1(make, capsys) -> None:
    make("print('val_acc=0.5')\n")
    assert run_cli(["check", "study.yaml", "--rehearse"]) == 1
    assert "an interrupted trial starts over" in capsys.readouterr().out
