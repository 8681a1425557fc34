"""`outlast.optimize` in a real Jupyter kernel: a closure defined in a cell, the cell run again, the stop button."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import ExitStack

import pytest

pytestmark = pytest.mark.slow


class Notebook:
    """Cells, run one after another in one kernel."""

    def __init__(self, client, manager):
        self._client, self._manager = client, manager
        self.outputs = 0  # that front ends add; those that they replace do not count

    def kill(self) -> None:
        """As the kernel's host does when it runs out of memory."""
        os.kill(self._manager.provisioner.process.pid, signal.SIGKILL)
        self._client.stop_channels()
        self._manager.provisioner.process.wait()

    def run(self, code: str, *, stop_at: str | None = None, then: str = "interrupt") -> str:
        """Run a cell.

        Args:
            code: Its text.
            stop_at: Press the stop button when this has been shown.
            then: ``kill``: kill the kernel instead.
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
                if then == "kill":
                    self.kill()
                    return said
                self._manager.interrupt_kernel()
        raise TimeoutError(said)


@pytest.fixture
def kernels(tmp_path):
    """Makes notebooks with a kernel each, in one folder."""
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import KernelManager

    work = tmp_path / "work"
    work.mkdir()
    with ExitStack() as held:

        def start() -> Notebook:
            number = len(list(tmp_path.glob("kernel-*")))
            manager = KernelManager(transport="ipc", connection_file=str(tmp_path / f"kernel-{number}.json"))
            command = [sys.executable, "-W", "ignore", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
            manager._kernel_spec = KernelSpec(argv=command, language="python", display_name="this Python")
            manager.start_kernel(cwd=str(work))
            held.callback(manager.cleanup_resources)
            held.callback(manager.shutdown_kernel, now=True)
            client = manager.client()
            client.start_channels()
            held.callback(client.stop_channels)
            client.wait_for_ready(timeout=120)
            return Notebook(client, manager)

        yield start


@pytest.fixture
def notebook(kernels):
    return kernels()


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
        "def slow(trial):\n    x = trial.suggest_float('x', 0, 1)\n    time.sleep(0.2)\n    return x\n"
        "outlast.optimize(slow, trials={trials}, parallel=1)"
    )
    said = notebook.run(cell.format(trials=200), stop_at="trial 0 complete")
    assert "stopped: " in said and "; the same call goes on" in said
    assert "<outlast.Result studies/slow: stopped" in said
    ended = int(notebook.run("print(outlast.Study.open('studies/slow').status()['counts']['complete'])"))
    said = notebook.run(cell.format(trials=ended + 2))
    assert f"<outlast.Result studies/slow: done, {ended + 2} trials" in said


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


CELLS = (
    "import os, time, outlast\n"
    "def counted(trial):\n"
    "    x = trial.suggest_float('x', 0, 1)\n"
    "    while trial.number > 3 and not os.path.exists('killed'):\n        time.sleep(0.02)\n"
    "    with open('ran', 'a') as file:\n        file.write(f'{trial.number}\\n')\n"
    "    return x\n",
    "study = outlast.Study.create(objective=counted, trials=12, parallel=2, sampler={'name': 'random', 'seed': 4})",
    "study.run()",
)


def test_a_killed_kernel_and_all_cells_again(kernels, tmp_path):
    """kill -9 in the middle: the exact budget, nothing twice, and the same parameters as without."""
    first = kernels()
    for cell in CELLS[:-1]:
        assert first.run(cell) == ""
    assert "done: " not in first.run(CELLS[-1], stop_at="trial 2 complete", then="kill")
    (tmp_path / "work" / "killed").touch()
    second = kernels()
    said = "".join(second.run(cell) for cell in CELLS)
    assert "resuming studies/counted: " in said and "<outlast.Result studies/counted: done, 12 trials" in said
    assert second.outputs == 1
    assert sorted(map(int, (tmp_path / "work" / "ran").read_text().split())) == list(range(12))
    assert "True" in second.run("[t.state.value for t in study.result.trials] == ['complete'] * 12")
    said = second.run("print(study.status()['counts']['complete'], len(study.trials()))\nstudy.run()")
    assert said.startswith("12 12") and "done, 12 trials" in said


def test_a_cell_runs_in_a_thread_and_beside_the_loop_of_the_kernel(notebook):
    said = notebook.run(
        "import asyncio, threading, outlast\n"
        "study = outlast.Study.create(function=lambda x: x, parameters={'x': {'min': 0.0, 'max': 1.0}}, minimize='x',\n"
        "                             trials=2, name='threaded', parallel=1)\n"
        "async def beside():\n    return await asyncio.to_thread(study.run)\n"
        "print((await beside()).state.value, asyncio.get_running_loop().is_running())\n"
        "study.run(trials=3)"
    )
    assert "done True" in said and "<outlast.Result studies/threaded: done, 3 trials" in said
    assert "Traceback" not in said


def test_a_mistake_is_one_error_without_a_frame_of_ours(notebook):
    said = notebook.run("import outlast\noutlast.Study.create(command='python none.py ${args}', trials=0)")
    assert said.startswith("StudyFileError: ") and "line" not in said and "outlast/" not in said
