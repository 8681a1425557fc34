"""docs/notebook.md and the tutorial: every block and every cell runs, in order."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "examples" / "notebook" / "tutorial.ipynb"


@pytest.mark.slow
def test_the_blocks_of_the_page_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLAST_PLOTS", "0")
    blocks = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "docs" / "notebook.md").read_text(), re.MULTILINE | re.DOTALL
    )
    said = {"__name__": "__main__"}
    for block in blocks:
        exec(compile(block, "docs/notebook.md", "exec"), said)
    assert said["study"].status()["counts"]["complete"] == 8 == len(said["frame"])
    assert said["result"].state.value == "done" and Path(said["path"]).exists()
    assert said["script"].run(quiet=True).best_value > 0 and said["square"].run(quiet=True).state.value == "done"
    assert said["from_a_file"].dir == "runs/study" and not Path("runs").exists()


@pytest.mark.slow
def test_every_cell_of_the_tutorial_runs(tmp_path, monkeypatch):
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.setenv("OUTLAST_PLOTS", "0")
    shutil.copy(TUTORIAL, tmp_path)
    notebook = nbformat.read(tmp_path / TUTORIAL.name, 4)
    NotebookClient(
        notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    shown = [output.data.get("text/plain", "") for cell in outputs for output in cell if "data" in output]
    assert sum("curve  done" in each for each in shown) == 3 and any("stopped" in each for each in shown)
    assert sum("application/vnd.plotly.v1+json" in output.get("data", {}) for cell in outputs for output in cell) == 3
    assert all(len(cell) <= 2 for cell in outputs), "a search adds one output to its cell"
    assert not any(output.output_type == "stream" and output.name == "stderr" for cell in outputs for output in cell)
    assert (tmp_path / "studies" / "train").is_dir()


def test_the_tutorial_is_kept_without_what_its_cells_gave():
    cells = json.loads(TUTORIAL.read_text())["cells"]
    assert all(
        cell["outputs"] == [] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code"
    )
