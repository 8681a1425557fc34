"""Exit codes, `--json`, pipes and narrow terminals."""

from __future__ import annotations

import errno
import gc
import json
import os
import pkgutil
import re
import signal
import subprocess
import sys
import tempfile
from types import SimpleNamespace

import pytest

from outlast.cli.main import main, run_cli

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def test_zero_when_the_target_is_reached(here):
    assert here("run").code == 0


def test_one_for_a_fault_of_our_own_with_the_details_in_a_file(here, monkeypatch):
    monkeypatch.setattr("outlast.engine.record.at_a_glance.seen_at_once", lambda *_, **__: 1 / 0)
    here("run")
    said = here("status")
    assert said.code == 1
    assert "Traceback" not in said.err
    details = re.search(r"details are in (\S+)\n", said.err)
    assert details is not None
    with open(details[1]) as file:
        assert "ZeroDivisionError" in file.read()
    os.unlink(details[1])


def test_one_when_the_disk_refuses(here, monkeypatch):
    def read_only(*_):
        raise OSError(errno.EROFS, "Read-only file system", "studies/small/study.yaml")

    monkeypatch.setattr("outlast.engine.launch.quick_check", read_only)
    said = here("run")
    assert said.code == 1
    assert "studies/small/study.yaml: Read-only file system" in said.err
    assert "nothing that was decided is lost" in said.err


def test_no_cycles_are_looked_for_while_a_study_is_read_once(here, monkeypatch):
    seen = []
    fault = "outlast.engine.record.at_a_glance.seen_at_once"
    monkeypatch.setattr(fault, lambda *_, **__: seen.append(gc.isenabled()) or 1 / 0)
    here("run", "--trials", "1")
    os.unlink(re.search(r"details are in (\S+)\n", here("status").err)[1])
    assert (seen, gc.isenabled()) == ([False], True)


def test_nor_until_a_search_runs(here, monkeypatch):
    seen = []
    for step in ("launch.make_ready", "hold.run.slots_of", "hold.run.Coordinator", "hold.run.stopping_at_signals"):
        name = f"outlast.engine.{step}"
        monkeypatch.setattr(name, _noting(seen, pkgutil.resolve_name(name)))
    assert here("run").code == 0 and (seen, gc.isenabled()) == ([False, False, True, True], True)


def test_whoever_supervises_looks_for_cycles_again(here, monkeypatch):
    seen = []
    over = property(lambda _: seen.append(gc.isenabled()) or 1 / 0)
    monkeypatch.setattr("outlast.engine.campaign.supervisor.Supervisor.is_over", over)
    os.rename(here.study(name="other"), "other.yaml")
    os.unlink(re.search(r"details are in (\S+)\n", here("run", here.study(), "other.yaml").err)[1])
    assert seen == [True]


def _noting(seen, call):
    return lambda *args, **more: seen.append(gc.isenabled()) or call(*args, **more)


def test_two_for_a_wrong_command_line(here):
    assert here("run", "--trials", "many").code == 2


def test_three_when_a_policy_halts_the_study(here):
    here.study(kind="{value: crash}")
    assert here("run").code == 3


def test_three_when_the_search_space_is_used_up_without_a_result(here):
    here.study(x="{value: 0.5}", kind="{values: [crash, crash2]}", sampler="grid", budget="")
    script = here.folder / "train.py"
    script.write_text(script.read_text().replace('"no such layer"', 'given["kind"]'))
    said = here("run")
    assert said.code == 3 and "outlast retry studies/small" in said.out
    assert "halted: the search space is used up: every configuration was tried, and no trial gave a" in said.out
    assert here("status", "--check").code == 1
    assert json.loads(here("status", "--json").out)["state"] == "halted"
    again = here("run")
    assert again.code == 3 and "no trial gave a" in again.out
    assert here("retry").code == 0
    script.write_text("print('score: 1')")
    assert here("run").code == 0
    assert json.loads(here("status", "--json").out)["counts"]["complete"] == 2


def test_three_when_every_trial_runs_out_of_memory(here):
    here.study(budget="{trials: 3}")
    (here.folder / "train.py").write_text(
        "raise MemoryError('torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 9 GiB')"
    )
    said = here("run")
    assert said.code == 3 and "3 infeasible" in said.out and "outlast show studies/small failures" in said.out
    assert here("status", "--check").code == 1


def test_four_when_it_was_stopped_with_work_left(here, monkeypatch):
    monkeypatch.setenv("SEARCH", str(os.getpid()))
    script = here.folder / "train.py"
    script.write_text("import os, signal\nos.kill(int(os.environ['SEARCH']), signal.SIGTERM)\n" + script.read_text())
    said = here("run", "--trials", "50")
    assert said.code == 4, said.everything
    assert "next        outlast run studies/small" in said.out


def test_four_when_somebody_else_runs_the_study(here, monkeypatch):
    from filelock import SoftFileLease

    here("run", "--trials", "1")
    lease = SoftFileLease(str(here.folder / "studies/small/lease"), lease_duration=30.0)
    with lease:
        said = here("run", "--trials", "2")
    assert said.code == 4
    for words in ("is being run already", "outlast status -w", "outlast worker", "outlast stop"):
        assert words in said.err


@pytest.fixture
def searched(here):
    tried = ", ".join(f"{{x: 0.{x}, kind: {kind}}}" for x, kind in enumerate(["a", "crash", "a", "a"], 1))
    here.study(kind="{values: [a, crash]}", budget="{trials: 3}", enqueue=f"[{tried}]")
    assert here("run").code == 0
    return here


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["check", "study.yaml"], dict),
        (["status"], dict),
        (["show"], list),
        (["show", "best"], list),
        (["show", "failures"], list),
        (["show", "0"], dict),
        (["repair"], list),
        (["repair", "--check"], list),
    ],
)
def test_json_is_one_valid_document_and_nothing_else(words, kind, searched):
    said = searched(*words, "--json")
    assert said.code == 0, said.everything
    assert isinstance(json.loads(said.out, parse_constant=pytest.fail), kind)
    assert said.err == ""


def test_status_json_has_the_promised_keys(searched):
    facts = json.loads(searched("status", "--json").out)
    promised = {"study", "dir", "state", "metric", "target", "counts", "best", "rate_per_hour", "eta", "warnings"}
    assert promised <= set(facts)
    assert set(facts["metric"]) == {"name", "goal"}
    states = {"complete", "pruned", "failed", "infeasible", "interrupted", "running", "created", "remaining"}
    assert set(facts["counts"]) == states
    assert set(facts["best"]) >= {"trial", "value", "params"}


def test_json_of_a_diverged_trial_is_valid_too(here):
    here.study(command=f"{sys.executable} -c 'print(\"score=nan\")' ${{args}}", budget="{trials: 1, max_failures: 1}")
    here("run")
    said = here("show", "0", "--json")
    json.loads(said.out, parse_constant=pytest.fail)


def test_check_by_exit_code(here):
    here.study(kind="{value: crash}")
    here("run")
    assert here("status").code == 0
    assert here("status", "--check").code == 1


@pytest.mark.parametrize(
    "words", [["status"], ["show"], ["show", "best"], ["show", "failures"], ["show", "0"], ["logs"], ["check", "study.yaml"],
              ["run"], ["repair"], ["--help"], ["run", "--help"]],
)  # fmt: skip
def test_piped_output_has_no_control_codes(words, searched):
    said = searched(*words)
    assert not CONTROL.search(said.everything)


def test_what_a_training_prints_cannot_move_the_cursor_through_a_pipe(here):
    here.study(command=f"{sys.executable} -c 'print(\"\\x1b[2Jscore=1\")' ${{args}}", budget="{trials: 1}")
    here("run")
    assert not CONTROL.search(here("show", "0").out)


@pytest.mark.parametrize("words", [["status"], ["show"], ["show", "best"], ["show", "failures"], ["show", "0"]])
def test_sixty_columns_are_enough(words, searched, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    said = searched(*words)
    long = [line for line in said.out.splitlines() if len(line) > 60]
    copied = [
        line for line in long if 'File "' in line or "train.py" in line
    ]  # a traceback and a command are never cut
    assert copied == long, said.out


def outlast(*words, **options):
    return subprocess.Popen([sys.executable, "-m", "outlast", *words], text=True, **options)


@pytest.mark.slow
@pytest.mark.parametrize("words", [["show"], ["--help"], ["status", "--json"]])
def test_a_closed_pipe_is_quiet(words, searched):
    reading, writing = os.pipe()
    os.close(reading)
    process = outlast(*words, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert err == ""
    assert process.returncode == 0


@pytest.mark.parametrize("command", ["status", "repair"])
def test_the_answer_to_a_check_is_the_exit_code_though_nobody_takes_what_is_said(command, here, monkeypatch):
    here.study(command=f"{sys.executable} -c 'raise RuntimeError'")
    assert here("run").code == 3
    (here.folder / "studies/small/study.db").unlink()
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        assert run_cli([command, "--check"]) == 1


@pytest.mark.parametrize("command", ["status", "repair"])
def test_a_fault_of_our_own_while_a_check_is_told_is_not_its_answer(command, here, monkeypatch):
    monkeypatch.setattr("outlast.cli.commands.inspect.one_or_several", lambda *_: (".", False))
    monkeypatch.setattr("outlast.engine.record.look.look", lambda _: (SimpleNamespace(warnings=["one"]), None, None))
    monkeypatch.setattr("outlast.cli.commands.care.damaged_or_not", lambda *_: ".")
    monkeypatch.setattr("outlast.engine.care.repair.repair_study", lambda *_, **__: [None])
    said = here(command, "--check", "--json")
    os.unlink(re.search(r"details are in (\S+)\n", said.err)[1])
    assert said.code == 1 and "a fault of Outlast's own" in said.err


def test_a_fault_on_the_way_to_the_commands_is_told_as_any_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))  # for the details
    monkeypatch.setitem(sys.modules, "outlast.cli.app", None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    with pytest.raises(SystemExit, match="1"):
        main()
    assert "a fault of Outlast's own" in capsys.readouterr().err and os.listdir(tmp_path) and gc.isenabled()


@pytest.mark.slow
def test_a_pipe_that_nobody_reads_ends_no_search(here):
    here.write("train.py", "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.02)\nprint('score=1')\n")
    process = outlast("run", "--trials", "3", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    assert "STARTING NEW SEARCH" in process.stdout.readline()
    process.stdout.close()
    here.write("go", "")
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 0, err
    assert json.loads(here("status", "--json").out)["counts"]["complete"] == 3
    assert "trial 2 complete" in (here.folder / "studies/small/run.log").read_text()


def test_how_a_search_ended_counts_though_nobody_takes_what_is_said(here, monkeypatch):
    monkeypatch.setattr("outlast.cli.running.run_here.run_here", lambda *_, **__: print("halted") or 3)
    with open("/dev/full", "w") as full:  # closing it would raise what is left in it
        monkeypatch.setattr(sys, "stdout", full)
        assert run_cli(["run"]) == 3


#: The tests may run as root, whom no permission stops: without these two capabilities an owner's bits count for root, too.
WITHOUT_PRIVILEGES = """
import ctypes, os, sys
if os.getuid() == 0:
    libc = ctypes.CDLL(None)
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
            sys.exit("cannot drop privileges")
os.execv(sys.executable, [sys.executable, "-m", "outlast", *sys.argv[1:]])
"""


def unprivileged(*words: str) -> subprocess.CompletedProcess[str]:
    """An ordinary user types it."""
    command = [sys.executable, "-c", WITHOUT_PRIVILEGES, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_study_file_that_may_not_be_read(here):
    (here.folder / "study.yaml").chmod(0)
    said = unprivileged("run", "study.yaml")
    assert said.returncode == 2, said.stderr
    assert said.stderr.startswith("error:  study.yaml: may not be read: no permission")
    assert "chmod u+r study.yaml" in said.stderr


def test_a_place_where_nothing_may_be_written(here):
    here.folder.chmod(0o555)
    said = unprivileged("run", "study.yaml")
    here.folder.chmod(0o755)
    assert said.returncode == 2, said.stderr
    assert "studies/small cannot be written" in said.stderr
    assert "--dir" in said.stderr
    assert "studies" not in here.entries


@pytest.mark.slow
def test_a_study_that_may_be_read_but_not_written_can_be_looked_at(here):
    assert run_cli(["run"]) == 0
    for folder, _, files in os.walk("studies"):
        for name in files:
            os.chmod(os.path.join(folder, name), 0o444)
        os.chmod(folder, 0o555)
    try:
        for words in (["status"], ["show"], ["show", "best"], ["logs"], ["repair", "--check"]):
            said = unprivileged(*words)
            assert said.returncode == 0, (words, said.stderr)
        said = unprivileged("run", "--trials", "9")
    finally:
        for folder, _, _ in os.walk("studies"):
            os.chmod(folder, 0o755)
    assert said.returncode in (1, 2)
    assert "Traceback" not in said.stderr
    assert "cannot be written" in said.stderr, said.stderr
