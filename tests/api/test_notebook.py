"""`outlast.optimize` in a real Jupyter kernel: a closure defined in a cell, the cell run again, the stop button."""

from __future__ import annotations

import sys
import time

import pytest

pytestmark = pytest.mark.slow


class Notebook:
    """Cells, run one after another in one kernel."""

    def __init__(self, client, interrupt):
        self._client, self._interrupt = client, interrupt
        self.outputs = 0  # that front ends add; those that they replace do not count

    def run(self, code: str, *, stop_at: str | None = None) -> str:
        """Run a cell.

        Args:
            code: Its text.
            stop_at: Press the stop button when this has been printed.
        """
        asked = self._client.execute(code)
        said, deadline = "", time.monotonic() + 120
        while time.monotonic() < deadline:
            message = self._client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != asked:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "stream":
                said += content["text"]
            elif kind in ("display_data", "update_display_data"):
                self.outputs += kind == "display_data"
                said += f"{content['data']['text/plain']}\n"
            elif kind == "execute_result":
                said += content["data"]["text/plain"]
            elif kind == "error":
                said += "\n".join(content["traceback"])
            elif kind == "status" and content["execution_state"] == "idle":
                return said
            if stop_at is not None and stop_at in said:
                stop_at = None
                self._interrupt()
        raise TimeoutError(said)


@pytest.fixture
def notebook(tmp_path):
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import KernelManager

    manager = KernelManager(transport="ipc", connection_file=str(tmp_path / "kernel.json"))
    command = [sys.executable, "-W", "ignore", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=command, language="python", display_name="this Python")
    work = tmp_path / "work"
    work.mkdir()
    manager.start_kernel(cwd=str(work))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        yield Notebook(client, manager.interrupt_kernel)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


def test_a_closure_from_a_cell_and_the_cell_again_with_more_trials(notebook):
    notebook.run(
        "import outlast\nscale = 3.0\n"
        "def make(offset):\n    def objective(trial):\n        x = trial.suggest_float('x', -5, 5)\n"
        "        return scale * (x - offset) ** 2\n    return objective\n"
    )
    said = notebook.run("result = outlast.optimize(make(1.0), trials=3, name='closure', seed=1)\nresult")
    assert "<outlast.Result studies/closure: done, 3 trials" in said
    assert (
        "new study studies/closure: 3 trials" in said
        and "resumable: interrupted or killed, the same call goes on" in said
    )
    assert "(3 of 3, best value=" in said and "\ndone: 3 trials in studies/closure, best trial " in said
    said = notebook.run("result = outlast.optimize(make(1.0), trials=5, name='closure', seed=1)\nresult")
    assert "resuming studies/closure: 3 complete, 2 to go" in said
    assert "not the objective" not in said
    assert [number for number in range(6) if f"trial {number} complete" in said] == [3, 4]
    said = notebook.run("outlast.optimize(make(2.0), trials=5, name='closure', seed=1)")
    assert "another objective: it was made with offset=1.0, this one with 2.0" in said
    said = notebook.run(
        "x = result.best_params['x']\nprint(result.study.best_value == result.best_value == 3.0 * (x - 1.0) ** 2)"
    )
    assert "True" in said


def test_the_stop_button_leaves_a_study_that_goes_on(notebook):
    cell = (
        "import time, outlast\n"
        "def slow(trial):\n    x = trial.suggest_float('x', 0, 1)\n    time.sleep(0.3)\n    return x\n"
        "outlast.optimize(slow, trials={trials}, parallel=1)"
    )
    said = notebook.run(cell.format(trials=200), stop_at="trial 0 complete")
    assert "stopped: " in said and "; the same call goes on" in said
    assert "<outlast.Result studies/slow: stopped" in said
    said = notebook.run(cell.format(trials=3))
    assert "<outlast.Result studies/slow: done, 3 trials" in said


def test_several_objectives_and_an_error_in_a_cell(notebook):
    said = notebook.run(
        "import outlast\n"
        "result = outlast.optimize(lambda t: (t.suggest_float('x', 0, 1), t.suggest_float('y', 0, 1)), trials=3,\n"
        "                          directions=['minimize', 'maximize'], name='two')\n"
        "print([str(d) for d in result.study.directions], len(result.study.best_trials) == len(result.best_trials))"
    )
    assert "True" in said
    said = notebook.run("outlast.optimize(lambda t: undefined_name, trials=9, name='wrong', parallel=1)")
    assert "NameError: name 'undefined_name' is not defined" in said
    assert "halted" in said
