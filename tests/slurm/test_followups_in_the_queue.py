"""A search in the queue is followed up there as well: laid out here, submitted, and gone on with by the same command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.cluster import Cluster
from lab.slurm import SlurmLab
from lab.waiting import until
from outlast.engine.record.examine import read_study
from outlast.study.layout import StudyPaths

pytestmark = pytest.mark.slow


def test_a_confirmation_and_a_refit_run_as_jobs(cluster: Cluster, tmp_path: Path) -> None:
    lab = SlurmLab.make(tmp_path, trials=2, epochs=1, seconds=0.0, slurm={"partition": "gpu"}, parallel=2)
    lab.outlast("submit", "study.yaml")
    lab.wait_done()
    for words in (("confirm", "--top", "2", "--seeds", "2"), ("refit",)):
        child = lab.folder / words[0]
        said = lab.outlast(*words, str(lab.folder), "--no-run")
        assert f"outlast submit {child.relative_to(tmp_path)}" in said.replace(str(tmp_path) + "/", "")
        lab.outlast("submit", str(child))
        ended = lambda child=child: read_study(StudyPaths.at(child)).ended  # noqa: E731
        until(lambda ended=ended: (found := ended()) is not None and found.state == "done", f"{words[0]} is done")
        lab.outlast(*words, str(lab.folder))
    confirmed = json.loads((lab.folder / "confirm" / "confirmation.json").read_text())
    assert (confirmed["final"], confirmed["repetitions"]["ended"]) == (True, 4)
    assert json.loads((lab.folder / "refit" / "refit.json").read_text())["trainings"][0]["state"] == "complete"
    assert [line["epoch"] for line in lab.audit].count(0) == 2 + 4 + 1  # every training once
