"""What a trial of a command costs the coordinator in operations that change the disk, and how many of them are waited for."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from outlast._system import observed
from outlast.cli.main import run_cli
from outlast.testing.fault_injection import install_from_environment

TRIALS = 12
STUDY = {
    "name": "cheap", "command": ["sh", "./t.sh", "${x}"], "metric": {"name": "score", "goal": "maximize"},
    "parameters": {"x": {"min": 1, "max": 100_000}}, "sampler": "random", "parallel": 2, "budget": {"trials": TRIALS},
}  # fmt: skip


@pytest.mark.slow
def test_a_trial_is_laid_out_and_put_away_in_few_operations_and_only_the_ledger_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "t.sh").write_text('echo "score=0.$1"\n')
    (tmp_path / "study.yaml").write_text(json.dumps(STUDY))
    record = tmp_path / "operations.jsonl"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLAST_FAULTS", json.dumps({"record": str(record)}))
    monkeypatch.setattr(observed, "observer", None)
    install_from_environment("coordinator")
    assert run_cli(["run", "study.yaml"]) == 0
    told = [json.loads(line) for line in record.read_text().splitlines()]
    ours = [each for each in told if "/trials/" in each["path"] or "/open/" in each["path"]]
    counts = Counter(each["op"] for each in ours)
    assert sum(counts.values()) <= 20 * TRIALS, counts
    assert [each["path"] for each in ours if each["op"].startswith("fsync")] == []
    lines = [each for each in told if each["op"] == "append" and "/ledger/" in each["path"]]
    assert len(lines) <= TRIALS + 6, "an outcome and the opening that follows are one line"
