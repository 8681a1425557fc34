"""The same command again, and with something changed: what goes on, what is refused, what is kept."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys

import pytest


def status(here, *words):
    return json.loads(here("status", "--json", *words).out)


def test_the_first_run_shows_the_best_and_the_next_command(here):
    said = here("run", "study.yaml")
    assert said.code == 0, said.everything
    assert "STARTING NEW SEARCH" in said.out
    assert "Resumable: you can safely stop and restart" in said.out
    assert "done: all 2 trials are finished" in said.out
    assert "next        outlast show studies/small best" in said.out


def test_a_reached_target_says_so_starts_nothing_and_still_shows_the_result(here):
    first = here("run")
    again = here("run")
    assert again.code == 0
    assert "RESUMING" in again.out
    assert "done: all 2 trials are finished" in again.out
    assert "trial 2" not in again.out
    assert [line for line in first.out.splitlines() if "best  " in line][-1] in again.out


def test_a_raised_target_runs_only_the_difference(here):
    here("run")
    said = here("run", "--trials", "5")
    assert said.code == 0
    assert [n for n in range(6) if f"trial {n} complete" in said.out] == [2, 3, 4]


def test_a_lowered_target_deletes_nothing_and_is_done(here):
    here("run", "--trials", "3")
    said = here("run", "--trials", "2")
    assert said.code == 0
    assert status(here)["counts"]["complete"] == 3
    assert "trial 3" not in said.out


def test_a_flag_is_recorded(here):
    here("run", "--trials", "3")
    assert status(here)["target"] == 3
    said = here("run", "studies/small")
    assert said.code == 0
    assert status(here)["target"] == 3


def test_a_study_folder_needs_no_study_file(here):
    here("run")
    (here.folder / "study.yaml").unlink()
    said = here("run", "studies/small", "--trials", "3")
    assert said.code == 0, said.everything
    assert status(here)["counts"]["complete"] == 3


@pytest.mark.parametrize("words", [["small"], ["studies/small"], ["studies/small/"], []])
def test_a_study_is_found_by_name_by_folder_and_alone(here, words):
    here("run")
    (here.folder / "study.yaml").unlink()
    for command in ("run", "status", "show", "logs", "stop", "repair"):
        said = here(command, *words)
        assert said.code == 0, (command, said.everything)


def test_fresh_keeps_the_earlier_study_under_a_name_with_the_time(here):
    here("run")
    said = here("run", "--fresh")
    assert said.code == 0
    assert "STARTING NEW SEARCH" in said.out
    (kept,) = (here.folder / "studies").glob("small.2*")
    assert f"the earlier study is kept in studies/{kept.name}" in said.out
    assert status(here, str(kept))["counts"]["complete"] == 2


def test_resume_with_nothing_there_is_refused_and_writes_nothing(here):
    before = here.entries
    said = here("run", "--resume")
    assert said.code == 2
    assert "--resume: there is no study in studies/small" in said.err
    assert here.entries == before


def test_resume_goes_on_with_what_is_there(here):
    here("run", "--trials", "1")
    said = here("run", "--resume")
    assert said.code == 0
    assert "trial 1 complete" in said.out


def test_a_changed_space_is_shown_as_a_difference_and_refused(here):
    here("run")
    here.study(x="{min: 0.0, max: 0.5}")
    said = here("run")
    assert said.code == 2
    assert "parameters.x.max: 1.0 → 0.5" in said.err
    assert "--accept-changes" in said.err
    assert "--fresh" in said.err


def test_accepted_changes_go_on_and_what_does_not_fit_stays_visible(here):
    here("run", "--trials", "4", "--set", "parameters.x=int(0, 9)", "--set", "enqueue=[{x: 9, kind: a}]")
    here.study(x="{min: 0, max: 5}", budget="{trials: 6}")
    said = here("run", "--accept-changes")
    assert said.code == 0, said.everything
    shown = json.loads(here("show", "--json").out)
    assert shown[0]["state"] == "failed"
    assert "does not fit" in shown[0]["reason"]
    assert all(trial["params"]["x"] <= 5 for trial in shown if trial["state"] == "complete")
    assert status(here)["counts"]["complete"] == 6


def test_a_metric_and_a_command_that_changed_are_differences_too(here):
    here("run")
    here.study(metric="{name: score, goal: minimize}")
    said = here("run")
    assert said.code == 2
    assert "metric.goal: maximize → minimize" in said.err


def test_run_settings_apply_at_once(here):
    here("run")
    here.study(parallel="1", budget="{trials: 3}")
    said = here("run")
    assert said.code == 0, said.everything
    assert "trial 2 complete" in said.out


def test_another_folder_keeps_both(here):
    here("run")
    here.study(x="{min: 0.0, max: 0.5}")
    said = here("run", "--dir", "elsewhere/small")
    assert said.code == 0
    assert status(here, "elsewhere/small")["counts"]["complete"] == 2
    assert status(here, "studies/small")["counts"]["complete"] == 2


def test_a_space_on_the_command_line(here):
    words = ["--maximize", "score", "--trials", "2", "--", sys.executable, "train.py"]
    said = here("run", *words, "--x=~float(0,1)", "--kind", "~[a,b]")
    assert said.code == 0, said.everything
    assert status(here, "train")["counts"]["complete"] == 2
    again = here("run", *words, "--x=~float(0,1)", "--kind", "~[a,b]")
    assert again.code == 0
    assert "done: all 2 trials are finished" in again.out


def test_a_wandb_sweep_file_without_metric_takes_one_from_the_command_line(here):
    here.write(
        "sweep.yaml",
        f"program: train.py\ncommand: [{sys.executable}, '${{program}}', '${{args}}']\nmethod: random\nrun_cap: 2\n"
        "parameters:\n  x: {min: 0.0, max: 1.0}\n",
    )
    said = here("run", "sweep.yaml")
    assert said.code == 2
    assert "--maximize NAME" in said.err
    said = here("run", "sweep.yaml", "--maximize", "score")
    assert said.code == 0, said.everything
    assert status(here, "sweep")["counts"]["complete"] == 2


def test_a_file_in_the_other_dialect(here):
    here.write(
        "hpo.yaml",
        f"command: {sys.executable} train.py ${{args}}\n"
        "search_space:\n  x: {type: uniform, min: 0.0, max: 1.0}\n  kind: {type: choice, values: [a, b]}\n"
        "sampling: {algorithm: random, max_trials: 2}\nobjective: {metric: score, goal: maximize}\n",
    )
    said = here("run", "hpo.yaml")
    assert said.code == 0, said.everything
    assert status(here, "hpo")["counts"]["complete"] == 2


def test_code_that_changed_between_two_runs_is_said_and_is_a_column(here):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *words], check=True, capture_output=True)

    git("init", "-q")
    git("add", "train.py", "study.yaml")
    git("commit", "-qm", "first")
    assert "has changed" not in here("run").out
    assert "has changed" not in here("run", "--trials", "3").out
    script = here.folder / "train.py"
    script.write_text(script.read_text() + "# faster\n")
    assert "has changed since trial 2: " in here("run", "--trials", "4").out
    with open(here.folder / "studies/small/trials.csv") as file:
        codes = [row["code"] for row in csv.DictReader(file)]
    assert len(codes[0]) == 12 and codes[:3] == [codes[0]] * 3
    assert codes[3].startswith(codes[0] + "+")
    assert codes[3] in here("show", "3").out


def test_a_search_that_keeps_nothing_names_no_file_and_promises_no_next_time(here):
    here.write(
        "hpo.yaml",
        f"command: {sys.executable} train.py ${{args}}\n"
        "search_space: {x: {type: uniform, min: 0.0, max: 1.0}}\n"
        "sampling: {algorithm: random, max_trials: 2}\n"
        "objective: {metric: score, goal: maximize}\n"
        "checkpoint: {enabled: false}\n",
    )
    before = here.entries
    said = here("run", "hpo.yaml")
    assert said.code == 0, said.everything
    assert "nothing is kept but what is printed here" in said.out and "best " in said.out
    for word in ("outlast-in-memory", "Resumable", "next ", "trials.csv"):
        assert word not in said.out
    assert here.entries == before


def test_a_python_function(here):
    here.write("work.py", "def train(x, kind):\n    return {'score': x}\n")
    here.study(command="", function="work:train")
    said = here("run")
    assert said.code == 0, said.everything
    assert status(here)["counts"]["complete"] == 2


def test_three_failures_alike_halt_with_the_traceback_and_how_to_go_on(here):
    here.study(kind="{value: crash}", budget="{trials: 20}", parallel="1")
    said = here("run")
    assert said.code == 3
    assert "no such layer" in said.out
    assert "RuntimeError" in said.out
    assert status(here)["state"] == "halted"
    assert status(here)["counts"]["failed"] == 3
    assert "outlast show studies/small" in said.out
    assert "next        outlast run studies/small" in said.out
    assert "once it is mended" in said.out


def test_after_a_halt_and_a_mended_script_the_same_command_goes_on(here):
    here.study(kind="{value: crash}", parallel="1")
    assert here("run").code == 3
    script = here.folder / "train.py"
    script.write_text(script.read_text().replace("crash", "never"))
    said = here("run")
    assert said.code == 0, said.everything
    assert status(here)["counts"]["complete"] == 2


def test_a_copied_study_folder_opens_elsewhere(here):
    here("run")
    shutil.copytree("studies/small", "copy")
    assert status(here, "copy")["counts"]["complete"] == 2
    assert here("repair", "copy", "--check").code == 0


@pytest.mark.parametrize("words", [("--maximize", "foo"), ("--minimize", "score"), ("--name", "bar")])
def test_flags_that_say_what_a_new_study_is_are_refused_for_one_that_is_there(here, words):
    here("run", "--trials", "1")
    before = status(here)
    said = here("run", "studies/small", "--trials", "2", *words)
    assert said.code == 2 and said.err.startswith(f"error:  {words[0]}"), said.everything
    assert {**status(here), "at": before["at"]} == before
    goal = f"--{before['metric']['goal']}"
    assert here("run", "studies/small", goal, before["metric"]["name"], "--name", "small").code == 0


def test_how_many_at_once_is_recorded_for_a_command_too(here):
    command = ("--", sys.executable, "train.py", "--x=~float(0,1)")
    assert here("run", "--minimize", "score", "--trials", "1", "--parallel", "1", "--name", "inl", *command).code == 0
    assert "parallel: 1" in (here.folder / "studies" / "inl" / "study.yaml").read_text()


def test_extends_is_no_flag(here):
    said = here("run", "study.yaml", "--set", "extends=other.yaml")
    assert said.code == 2 and "extends" in said.err and not (here.folder / "studies").exists()


def test_checks_next_line_has_the_flags_that_it_was_given(here):
    said = here("check", "study.yaml", "--maximize", "score", "--dir", "else where", "--set", "parallel=1")
    assert "outlast run study.yaml --maximize score --dir 'else where' --set parallel=1" in " ".join(said.out.split())


def test_submit_hands_the_secrets_of_env_to_sbatch_for_no_record_does(here, monkeypatch):
    from outlast.engine.cluster import inspection, submit
    from outlast.errors import UsageError

    def submit_study(paths, settings, **_):
        raise UsageError(" ".join(os.environ[key] for key in ("HF_TOKEN", "DB")) + f" {os.environ.get('PLAIN')}")

    monkeypatch.setattr(submit, "submit_study", submit_study)
    monkeypatch.setattr(inspection, "cluster_findings", lambda *_: [])
    monkeypatch.setenv("HF_TOKEN", "another")
    monkeypatch.setenv("DB", "")
    here.study(env="{HF_TOKEN: abc, DB: 'postgres://u:pw@host/db', PLAIN: x}")
    assert "abc postgres://u:pw@host/db None" in here("submit", "study.yaml").err


def test_submitting_again_goes_on_where_auto_resume_is_off(here, monkeypatch):
    from outlast.engine.cluster import inspection, submit
    from outlast.errors import UsageError

    def submit_study(*_, **__):
        raise UsageError("it is submitted")

    monkeypatch.setattr(submit, "submit_study", submit_study)
    monkeypatch.setattr(inspection, "cluster_findings", lambda *_: [])
    here.study(index="{auto_resume: false}")
    (here.folder / "studies/small/trials").mkdir(parents=True)
    (here.folder / "studies/small/study.yaml").touch()
    assert "auto_resume is off" in here("run").err
    assert "it is submitted" in here("submit", "study.yaml").err


@pytest.mark.slow
def test_a_base_configuration_that_breaks_during_a_run_halts_it_and_costs_no_trial(here):
    here.write("base.yaml", "lr: 0.1\n")
    here.write(
        "train.py",
        "import os, sys\n"
        "if os.environ['OUTLAST_TRIAL'] == '1' and not os.path.exists('broken'):\n"
        "    open('broken', 'w').close()\n"
        "    open('base.yaml', 'w').write('lr:\\t- [')\n"
        "print('score=0.5')\n",
    )
    here.study(config="base.yaml", budget="{trials: 4}", parallel="1")
    said = here("run")
    assert said.code == 3 and "base.yaml" in said.everything and "Traceback" not in said.everything, said.everything
    assert status(here)["counts"]["complete"] == 2
    here.write("base.yaml", "lr: 0.2\n")
    said = here("run")
    assert said.code == 0, said.everything
    assert status(here)["counts"]["complete"] == 4 and status(here)["counts"]["failed"] == 0


def test_a_configuration_that_a_machine_spoilt_is_drawn_again_before_the_space_counts_as_used_up(here, monkeypatch):
    monkeypatch.setenv("OUTLAST_BACKOFF_SECONDS", "0.02")
    here.study(x="{value: 0.5}", sampler="{name: grid}", budget="")
    script = here.folder / "train.py"
    begins = "import os, sys\nif '--kind=b' in sys.argv and len(os.listdir('tries')) < 3:\n"
    script.write_text(f"{begins}    open(f'tries/{{os.getpid()}}', 'w'), sys.exit(75)\n{script.read_text()}")
    (here.folder / "tries").mkdir()
    said = here("run")
    assert said.code == 0 and "the search space is used up" in said.out
    assert status(here)["counts"]["complete"] == 2 and status(here)["counts"]["failed"] == 1


def test_a_search_begins_with_the_best_of_another_once(here):
    assert here("run").code == 0
    other = here.study(name="other", budget="{trials: 4}")
    first = here("run", other, "--from", "studies/small", "--from-top", "2")
    assert first.code == 0 and "small: its best 2 are tried first" in first.out and "STARTING NEW SEARCH" in first.out
    again = here("run", other, "--from", "studies/small", "--from-top", "2", "--trials", "5")
    assert again.code == 0 and "tried first" not in again.out
    with open("studies/other/trials.csv") as rows:
        sources = [row["source"] for row in csv.DictReader(rows)]
    assert sorted(sources) == ["earlier: small 0", "earlier: small 1", "sampler", "sampler", "sampler"]


def test_an_earlier_search_that_is_not_there_begins_nothing(here):
    refused = here("run", "--from", "studies/smal")
    assert refused.code == 2 and "--from studies/smal: there is no such file or folder" in refused.err
    assert not (here.folder / "studies").exists()
