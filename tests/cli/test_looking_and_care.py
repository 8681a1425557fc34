"""`status`, `show`, `logs` on every kind of study; `retry`, `import`, `repair`."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

LOOKS = [["status"], ["show"], ["show", "best"], ["show", "failures"], ["repair", "--check"]]


def facts(here, *words):
    return json.loads(here(*words, "--json").out)


@pytest.fixture
def halted(here):
    here.study(kind="{value: crash}", parallel="1")
    assert here("run").code == 3
    return here


@pytest.fixture
def stopped(here, monkeypatch):
    """Stopped by a signal from its first trial, before anything was finished."""
    import os

    monkeypatch.setenv("SEARCH", str(os.getpid()))
    here.write(
        "train.py", "import os, signal, time\nos.kill(int(os.environ['SEARCH']), signal.SIGTERM)\ntime.sleep(60)\n"
    )
    here.study(budget="{trials: 2}", trial="{grace: 1s}")
    assert here("run").code == 4
    return here


@pytest.mark.parametrize("words", LOOKS)
def test_a_study_in_which_nothing_completed(words, halted):
    said = halted(*words)
    assert said.code == 0, said.everything
    assert "fault of Outlast" not in said.everything


@pytest.mark.parametrize("words", LOOKS)
def test_a_study_that_was_stopped_at_once(words, stopped):
    said = stopped(*words)
    assert said.code == 0, said.everything


def test_a_stopped_study_says_how_to_go_on(stopped):
    assert "next        outlast run studies/small" in stopped("status").out


@pytest.mark.parametrize("what", ["²", "٣", "9" * 5000])
def test_what_is_no_trials_number_is_said(stopped, what):
    for words in (["show", "studies/small", what], ["show", what]):
        said = stopped(*words)
        assert said.code == 2 and "Traceback" not in said.everything and "fault of Outlast" not in said.everything


def test_a_trial_that_printed_nothing_says_so(stopped):
    said = stopped("logs")
    assert said.code == 2
    assert "has printed nothing" in said.err


def test_failures_show_the_traceback_and_the_next_commands(halted):
    said = halted("show", "failures")
    assert 'raise RuntimeError("no such layer")' in said.out
    assert "RuntimeError: no such layer" in said.out
    assert "outlast retry studies/small --cause crash" in said.out
    assert "3 trials" in said.out


def test_a_failed_trial_shows_its_last_lines_and_its_log(halted):
    said = halted("show", "0")
    assert "RuntimeError: no such layer" in said.out
    assert "trials/0000/output.log" in said.out
    assert "trials/0000/error.log" in said.out


def test_a_halted_study_is_a_warning_for_check(halted):
    assert halted("status", "--check").code == 1


def test_several_objectives(here):
    script = here.folder / "train.py"
    script.write_text(script.read_text() + "print(f'loss={x * x}')\n")
    here.study(metric="[{name: score, goal: maximize}, {name: loss, goal: minimize}]", budget="{trials: 4}",
               enqueue="[{x: 0.1, kind: a}, {x: 0.3, kind: a}]")  # fmt: skip
    assert here("run").code == 0
    for words in LOOKS:
        assert here(*words).code == 0
    assert "Pareto front" in here("status").out
    assert {"metrics", "pareto_front"} <= set(facts(here, "status"))


def test_show_knows_a_number_best_and_failures_without_a_study(here):
    here("run")
    assert here("show", "1").out.startswith("trial 1")
    assert here("show", "best").code == 0
    assert here("show", "failures").out.strip() == "no trial has failed"
    said = here("show", "9")
    assert said.code == 2
    assert "there is no trial 9" in said.err


def test_logs_show_what_a_trial_printed(here):
    here("run")
    assert here("logs", "small", "1").out.startswith("step 0: score=")
    assert here("logs", "1").out == here("logs", "studies/small", "1").out
    assert here("logs", "1", "-n", "1").out.startswith("step 2: score=")
    assert here("logs", "1", "-f").code == 0
    assert "there is no trial 7" in here("logs", "7").err


def test_retry_gives_old_numbers_new_attempts(halted):
    script = halted.folder / "train.py"
    script.write_text(script.read_text().replace("crash", "never"))
    said = halted("retry")
    assert said.code == 0
    assert "3 trials get new attempts: 0, 1, 2" in said.out
    assert "outlast run studies/small" in said.out
    assert halted("run").code == 0
    assert facts(halted, "show", "0")["state"] == "complete"
    assert facts(halted, "show", "0")["attempts"] == 2


def test_retry_of_some(halted):
    assert "1 trial gets a new attempt: 1" in halted("retry", "1").out
    assert "no trial to retry" in halted("retry", "--cause", "timeout").out
    assert "trial 9 does not exist or is not finished" in halted("retry", "9").err


def test_tables_and_index_are_current_after_a_retry(halted):
    import optuna

    halted("retry", "1")
    rows = (halted.folder / "studies/small/trials.csv").read_text().splitlines()[1:]
    assert [row.partition(",")[0] for row in rows] == ["0", "2"]
    index = optuna.load_study(study_name="small", storage="sqlite:///studies/small/study.db")
    assert [trial.state.name for trial in index.trials] == ["FAIL", "RUNNING", "FAIL"]
    assert "nothing is wrong" in halted("repair", "--check").out


@pytest.fixture
def old_storage(here):
    import optuna

    study = optuna.create_study(storage="sqlite:///old.db", study_name="res net", direction="maximize")
    for number in range(4):
        trial = study.ask()
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_categorical("kind", ["a", "b"])
        trial.report(x, 0)
        if number == 3:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, x)
    return here


def test_an_old_storage_goes_on_with_a_study_file(old_storage):
    old_storage.study(budget="{trials: 5}")
    said = old_storage("import", "old.db", "study.yaml")
    assert said.code == 0, said.everything
    assert "imported into studies/small: 3 complete, 1 failed" in said.out
    assert "outlast run study.yaml" in said.out
    assert old_storage("run", "study.yaml").code == 0
    assert facts(old_storage, "status")["counts"]["complete"] == 5


def test_an_old_storage_whose_last_process_was_killed_goes_on_at_once(old_storage):
    import optuna

    study = optuna.load_study(storage="sqlite:///old.db", study_name="res net")
    ranges = {name: study.trials[0].distributions[name] for name in ("x", "kind")}
    running = study.ask(ranges)
    study.enqueue_trial({"x": 0.25})
    old_storage.study(budget="{trials: 5}")
    said = old_storage("import", "old.db", "study.yaml")
    assert "3 complete, 1 failed, 1 interrupted, 1 created" in said.out and "trial 5: waited in the queue" in said.out
    assert "nothing is wrong" in old_storage("repair", "--check").out
    assert old_storage("run", "study.yaml").code == 0
    again, waited = (facts(old_storage, "show", str(number)) for number in (4, 5))
    assert (again["state"], again["params"]["x"]) == ("complete", running.params["x"])
    assert (waited["state"], waited["params"]["x"]) == ("complete", 0.25)
    assert facts(old_storage, "status")["counts"]["complete"] == 5


def test_an_old_storage_without_a_study_file_waits_for_its_command(old_storage):
    said = old_storage("import", "old.db")
    assert said.code == 0, said.everything
    assert "outlast run studies/res-net --trials N --accept-changes --set" in said.out
    for words in LOOKS:
        assert old_storage(*words).code == 0
    refused = old_storage("run", "studies/res-net")
    assert refused.code == 2
    assert "nobody has said yet how to train" in refused.err
    script = old_storage.folder / "train.py"
    script.write_text(script.read_text().replace("score=", "value="))
    goes_on = old_storage(
        "run", "studies/res-net", "--trials", "4", "--accept-changes",
        "--set", f"command={sys.executable} train.py ${{args}}",
    )  # fmt: skip
    assert goes_on.code == 0, goes_on.everything
    assert old_storage("run", "studies/res-net", "--trials", "5").code == 0
    assert facts(old_storage, "status")["counts"]["complete"] == 5


def test_nothing_is_imported_over_a_study(old_storage):
    old_storage("import", "old.db")
    said = old_storage("import", "old.db")
    assert said.code == 2
    assert "there is a study in studies/res-net already" in said.err


@pytest.mark.parametrize(
    ("storage", "says"),
    [
        ("nofile.db", "no file"),
        ("sqlite:///nofile.db", "no file"),
        ("train.py", "neither a SQLite database nor a journal"),
        ("mysql://user:secret@host/db", "driver"),
    ],
)
def test_what_is_no_storage(storage, says, here):
    said = here("import", storage)
    assert said.code == 2
    assert says in said.err
    assert "secret" not in said.err
    assert "studies" not in here.entries


def damage_ledger_tail(folder):
    (segment,) = folder.glob("ledger/*.jsonl")
    with open(segment, "ab") as file:
        file.write(b'{"v":1,"n":99,"ev')


def damage_ledger(folder):
    for segment in folder.glob("ledger/*.jsonl"):
        segment.unlink()


def damage_index(folder):
    (folder / "study.db").write_bytes(b"garbage" * 1000)


def damage_table(folder):
    (folder / "trials.csv").write_text("")


@pytest.mark.parametrize("damage", [damage_ledger_tail, damage_ledger, damage_index, damage_table])
def test_repair_says_what_is_wrong_changes_nothing_with_check_and_mends(damage, here):
    here("run")
    folder = here.folder / "studies" / "small"
    best = facts(here, "status")["best"]
    damage(folder)
    before = {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
    said = here("repair", "small", "--check")
    assert said.code == 1, said.everything
    assert "nothing was changed: outlast repair mends it" in said.out
    assert {path: path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()} == before
    said = here("repair", "small")
    assert said.code == 0, said.everything
    assert "mended" in said.out
    assert here("repair", "--check").out.startswith("nothing is wrong")
    assert facts(here, "status")["best"] == best
    assert here("run").code == 0


def test_many_faults_of_one_kind_are_counted_not_listed(here):
    import sqlite3

    here("run", "--trials", "8")
    with contextlib.closing(sqlite3.connect("studies/small/study.db")) as index, index:
        index.execute("DELETE FROM trial_params")
    said = here("repair", "--check")
    assert said.code == 1
    assert said.out.count("its parameters differ") == 5
    assert "index: and 3 more of this kind (all of them: --json)" in said.out
    assert len(facts(here, "repair", "--check")) == 8


def test_a_study_without_a_trial_yet(here, monkeypatch):
    def pressed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("outlast.engine.coordinator.coordinator.Coordinator.run", pressed)
        assert here("run").code == 4
    assert "next        outlast run studies/small" in here("status").out
    assert "no trials yet" in here("show").out
    assert "no trial has completed" in here("show", "best").out
    assert "no trial has failed" in here("show", "failures").out
    assert "no trial has begun yet" in here("logs").err
    assert facts(here, "show") == []
    assert facts(here, "status")["best"] is None
    assert "no trial to retry" in here("retry").out
    assert "nothing runs" in here("stop").out
    assert here("run").code == 0


@pytest.mark.slow
def test_retry_is_taken_in_by_a_live_run(here):
    script = here.folder / "train.py"
    script.write_text("import time\ntime.sleep(0.5)\n" + script.read_text())
    here.study(
        budget="{trials: 30}",
        kind="{values: [a, crash], probabilities: [0.999, 0.001]}",
        enqueue="[{x: 0.5, kind: crash}]",
    )
    process = subprocess.Popen([sys.executable, "-m", "outlast", "run"], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not (here.folder / "studies/small/trials/0000/error.log").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        said = here("retry", "0")
        assert said.code == 0, said.everything
        assert "the running search takes them in" in said.out
        while facts(here, "show", "0")["attempts"] < 2:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait(timeout=60)


#: A server that answers once, and ends.
DIES_LATER = """\
import os, signal, socket, sys, time
with socket.create_server(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1]))) as server:
    server.accept()
    if os.path.exists("hang up"):
        os.kill(os.getppid(), signal.SIGHUP)
        time.sleep(60)
sys.exit(3)
"""


def test_the_dashboard_says_what_it_lacks(here, monkeypatch):
    assert here("run").code == 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert "70000 is more than 65535" in here("dashboard", "--port", "70000").err
        assert f"--port {port} is taken" in here("dashboard", "--port", str(port), "--no-browser").err
    (here.folder / "studies" / "small" / "study.db").unlink()
    python, said = sys.executable, here("dashboard")
    assert said.code == 2 and "has no study.db" in said.err and "outlast repair" in said.err
    assert here("repair").code == 0
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "executable", str(here.folder / "python"))
    server = here.folder / "optuna-dashboard"
    server.write_text(f"#!{python}\n{DIES_LATER}")
    server.chmod(0o755)
    said = here("dashboard", "--no-browser")
    assert said.code == 1 and "optuna-dashboard ended with 3" in said.err
    (here.folder / "hang up").touch()
    began, said = time.monotonic(), here("dashboard", "--no-browser")
    assert said.code == 0 and "closed" in said.out and time.monotonic() - began < 50
    server.unlink()
    assert "pip install 'outlast[dashboard]'" in here("dashboard").err
