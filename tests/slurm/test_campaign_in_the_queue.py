"""A campaign on a real cluster: each study has its part of the slots, and gets that of another that is done."""

from __future__ import annotations

import json
from pathlib import Path

from lab.cluster import Cluster
from lab.slurm import SlurmLab
from lab.waiting import until


def test_studies_share_the_slots_by_weight_and_inherit_those_of_one_that_is_done(
    cluster: Cluster, tmp_path: Path
) -> None:
    lab = SlurmLab.make(tmp_path / "lab", trials=4, hold=0)
    lab.dir = "studies/both/long"
    begun, command = lab.place / "swift.jsonl", lab.settings["command"]
    swift = [*command, "--audit", str(begun), "--hold", "-1"]
    studies = {
        "swift": {"command": swift, "budget": {"trials": 1}},
        "long": {"weight": 2},
        "refused": {"slurm": {"partition": "none-such"}},
        "wrong": {"budget": {"trails": 1}},
    }
    (lab.place / "both.yaml").write_text(json.dumps({"parallel": 4, "base": "study.yaml", "studies": studies}))
    said = lab.outlast("submit", "both.yaml", code=2)
    assert "swift: submitted 1 task as array" in said
    assert "long: submitted 4 tasks as array" in said
    assert "refused: not submitted" in said and "none-such" in said
    assert "wrong: not submitted" in said and "both.yaml:1: studies.wrong.budget.trails" in said
    array = lab.study().jobs[0].job
    assert "0-3%2" in (lab.folder / "jobs" / "array.sh").read_text()
    until(lambda: len({line["trial"] for line in lab.audit}) == 4, "the other study's tasks are its own now")
    said_so = f"long: 4 tasks of array {array} side by side from now on"
    words = (lab.place / "studies/both/swift/jobs").glob  # of the finisher, which says it behind the deed
    until(lambda: any(said_so in path.read_text() for path in words("*.finisher.out")), "it is said")
    lab.let_go()
    lab.wait_done()
    assert lab.faults(trials=4, epochs=2) == []
