"""Ctrl-C, SIGTERM, a closed terminal: what stops, what is saved, what goes on."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time

import pytest

from lab.waiting import until

SAVES = """\
import os, signal, sys, time
import outlast
trial = outlast.current_trial()
state = trial.load_checkpoint()
for step in range(state["step"] + 1 if state else 0, 3000):
    trial.report(step=step, score=step)
    trial.save_checkpoint({"step": step})
    if trial.should_stop or state:
        break
    if step == 3:
        os.kill(int(os.environ["SEARCH"]), getattr(signal, os.environ["SIGNAL"]))
    time.sleep(0.01)
"""

IGNORES = """\
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.kill(int(os.environ["SEARCH"]), signal.SIGINT)
time.sleep(60)
"""

PRESSES_AGAIN = """\
import os, signal, time
again = lambda *_: os.kill(int(os.environ["SEARCH"]), signal.SIGINT)
signal.signal(signal.SIGTERM, again)
again()
for _ in range(6000):
    time.sleep(0.01)
"""

SLOW = """\
import sys, time
print("begun", flush=True)
time.sleep(0.8)
print("score=1", flush=True)
"""

HELD = """\
import os, time
print("begun", flush=True)
while not os.path.exists("go"):
    time.sleep(0.02)
print("score=1", flush=True)
"""


@pytest.fixture
def signalled(here, monkeypatch):
    """The training knows whom to send a signal: this process, in which the search runs."""
    monkeypatch.setenv("SEARCH", str(os.getpid()))
    monkeypatch.setenv("SIGNAL", "SIGINT")
    return here


def facts(here, *words):
    return json.loads(here(*words, "--json").out)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_once_lets_running_trials_save_and_they_go_on_under_their_number(name, signalled, monkeypatch):
    monkeypatch.setenv("SIGNAL", name)
    signalled.write("train.py", SAVES)
    signalled.study(budget="{trials: 1}")
    said = signalled("run")
    assert said.code == 4, said.everything
    assert "stopping: running trials have 2m 00s to save a checkpoint and leave; once more to end them now" in said.out
    assert "trial 0 interrupted" in said.out
    assert "next        outlast run studies/small" in said.out
    again = signalled("run")
    assert again.code == 0, again.everything
    assert facts(signalled, "show", "0")["attempts"] == 2
    assert "resumed" in signalled("show", "0").out


def test_a_script_that_ignores_the_request_is_killed_after_grace(signalled):
    signalled.write("train.py", IGNORES)
    signalled.study(budget="{trials: 1}", trial="{grace: 1s}")
    began = time.monotonic()
    assert signalled("run").code == 4
    assert time.monotonic() - began < 30
    assert facts(signalled, "status")["counts"]["interrupted"] == 1


def test_twice_ends_running_trials_now(signalled):
    signalled.write("train.py", PRESSES_AGAIN)
    signalled.study(budget="{trials: 1}", trial="{grace: 10m}")
    began = time.monotonic()
    said = signalled("run")
    assert said.code == 4
    assert "ending the running trials now" in said.out
    assert time.monotonic() - began < 30


def test_while_a_trial_is_being_created(signalled):
    signalled.write(
        "hook.py",
        "import os, signal\n\ndef f(params):\n    if os.path.isdir('studies') and not os.path.exists('pressed'):\n"
        "        open('pressed', 'w').close()\n        os.kill(int(os.environ['SEARCH']), signal.SIGINT)\n    return {}\n",
    )
    signalled.study(derive="hook:f", budget="{trials: 3}")
    assert signalled("run").code == 4
    again = signalled("run")
    assert again.code == 0, again.everything
    shown = facts(signalled, "show")
    assert [trial["trial"] for trial in shown] == [0, 1, 2]
    assert {trial["state"] for trial in shown} == {"complete"}


def test_before_the_search_has_begun(here, monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("outlast.engine.launch.quick_check", pressed)
    said = here("run")
    assert said.code == 4
    assert "Traceback" not in said.err
    assert "studies" not in here.entries


def running(here, *words, **options):
    process = subprocess.Popen(
        [sys.executable, "-m", "outlast", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    deadline = time.monotonic() + 60
    while not list(here.folder.glob("studies/small/trials/*/attempts/*/output.log")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)
    return process


def pressed_when(*seen):
    """Ctrl-C, as soon as the command has said one of these words. Returns the thread that presses."""
    shown = sys.stdout  # pytest's: what the command has said so far

    def press():
        try:
            until(lambda: any(words in shown.getvalue() for words in seen))
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    pressing = threading.Thread(target=press)
    pressing.start()
    return pressing


@pytest.fixture
def slow_study(here):
    here.write("train.py", SLOW)
    here.study(budget="{trials: 40}", trial="{grace: 5s}")
    process = running(here, "run")
    yield here, process
    if process.poll() is None:
        process.terminate()
    process.communicate(timeout=60)


LONG = """\
import time
print("begun", flush=True)
time.sleep(600)
"""


@pytest.fixture
def long_study(here):
    here.write("train.py", LONG)
    here.study(budget="{trials: 4}", trial="{grace: 5s}")
    process = running(here, "run")
    yield here, process
    process.terminate()
    process.communicate(timeout=60)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["status", "-w"], ["logs", "-f"]])
def test_looking_ends_with_ctrl_c_and_the_search_goes_on(words, long_study):
    here, process = long_study
    pressing = pressed_when("trial", "begun")
    said = here(*words)
    pressing.join()
    assert said.code == 0, said.everything
    assert "Traceback" not in said.everything
    assert process.poll() is None


@pytest.mark.parametrize("words", [["status", "-w"], ["logs", "-f"]])
def test_looking_ends_as_well_with_a_ctrl_c_that_comes_before_there_is_anything_to_see(words, here, monkeypatch):
    assert here("run").code == 0

    def pressed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("outlast.engine.record.look.Looker.__init__", pressed)
    monkeypatch.setattr("outlast.engine.record.examine.read_study", pressed)
    assert here(*words).code == 0


@pytest.mark.slow
def test_stop_from_another_terminal(long_study):
    here, process = long_study
    said = here("stop")
    assert said.code == 0
    assert "is stopping" in said.out
    assert process.wait(timeout=60) == 4


@pytest.mark.slow
def test_stop_with_drain_lets_running_trials_finish(slow_study):
    here, process = slow_study
    assert here("stop", "--drain").code == 0
    assert process.wait(timeout=60) == 4
    counts = facts(here, "status")["counts"]
    assert counts["complete"] >= 1
    assert counts["interrupted"] == 0


@pytest.mark.slow
def test_stop_of_one_trial_prunes_it_and_the_search_goes_on(long_study):
    here, process = long_study
    number = facts(here, "status")["running"][0]["trial"]
    said = here("stop", "--trial", str(number))
    assert said.code == 0, said.everything
    until(lambda: facts(here, "show", str(number))["state"] != "running")
    ended = facts(here, "show", str(number))
    assert ended["state"] == "pruned"
    assert ended["reason"] == "stopped by hand (outlast stop --trial)"
    assert process.poll() is None


@pytest.mark.slow
def test_a_second_run_says_who_runs_it_and_what_to_do_instead(long_study):
    here, process = long_study
    for words in (["run"], ["run", "--fresh"]):
        said = here(*words)
        assert said.code == 4
        assert f"pid {process.pid}" in said.err
        assert "outlast stop studies/small" in said.err
    assert here("repair", "--check").code in (0, 1)
    assert process.poll() is None


@pytest.mark.slow
def test_a_closed_terminal_does_not_end_the_search(here):
    here.write("train.py", HELD)
    here.study(budget="{trials: 4}")
    ours, theirs = pty.openpty()

    def take_terminal():
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may run under nohup
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        [sys.executable, "-m", "outlast", "run"], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        preexec_fn=take_terminal,
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"trials" not in seen:
        seen += os.read(ours, 4096)
    while not list(here.folder.glob("studies/small/trials/*/attempts/*/output.log")):
        assert process.poll() is None
        time.sleep(0.02)
    os.close(ours)  # the kernel sends SIGHUP
    log = here.folder / "studies/small/run.log"
    until(lambda: log.exists() and "the terminal was closed" in log.read_text(), "it notices")
    here.write("go", "")
    assert process.wait(timeout=60) == 0
    words = log.read_text()
    assert "the terminal was closed: the search goes on" in words
    assert "done: all 4 trials are finished" in words
    assert not re.search(r"\x1b", words)


def detached(code=0):
    command = [sys.executable, "-m", "outlast", "run", "--detach"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done
    return done.stdout + done.stderr


@pytest.mark.slow
def test_detached_runs_go_on_in_the_background(here):
    here.write("train.py", LONG)
    here.study(budget="{trials: 4}")
    out = detached()
    pid = re.search(r"running in the background \(pid (\d+)\); its words go to studies/small/run.log", out)
    assert pid is not None, out
    assert "outlast status -w studies/small" in out
    assert facts(here, "status")["run"]["pid"] == int(pid[1])
    assert here("stop").code == 0
    until(lambda: facts(here, "status")["state"] not in ("running", "waiting"))
    assert facts(here, "status")["state"] == "stopped"


@pytest.mark.slow
def test_a_detached_run_that_fails_at_once_says_why(here):
    assert here("run", "--trials", "1").code == 0
    here.study(x="{min: 0.0, max: 0.5}")
    assert "parameters.x.max: 1.0 → 0.5" in detached(2)


@pytest.mark.slow
def test_a_detached_run_with_nothing_left_to_do_shows_the_result(here):
    assert here("run").code == 0
    out = detached()
    assert "done: all 2 trials are finished" in out or "running in the background" in out


@pytest.mark.slow
def test_a_worker_helps_a_live_run_and_ctrl_c_ends_only_the_worker(long_study):
    here, process = long_study
    pressing = pressed_when("begins")
    said = here("worker")
    pressing.join()
    assert said.code == 0, said.everything
    assert "begins" in said.out
    assert process.poll() is None


@pytest.mark.parametrize(
    ("name", "moment"), [("SIGTERM", "click"), ("SIGTERM", "outlast.engine.hold.run"), ("SIGINT", "click")]
)
def test_a_signal_before_the_banner_ends_with_4_and_leaves_nothing(tmp_path, name, moment):
    """The signal comes while a module of the command is being loaded."""
    program = f"""\
import os, signal, sys
class Signalled:
    def find_spec(self, module, path=None, target=None):
        if module == {moment!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.{name})
from outlast.cli.main import main
sys.meta_path.insert(0, Signalled())
sys.argv[1:] = ["run", "--maximize", "acc", "--trials", "1", "--", "echo", "acc=1", "--lr", "~log(1e-5,1e-1)"]
main()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, os.listdir(tmp_path)) == (4, []), done.stderr
    assert "Traceback" not in done.stderr
