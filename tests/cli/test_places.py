"""What is named on the command line is not there, is something else, or is several things."""

from __future__ import annotations

import json
import os
import sys

import pytest


def refused(here, *words, code=2):
    before = here.entries
    said = here(*words)
    assert said.code == code, said.everything
    assert said.err.startswith("error:  ")
    assert "Traceback" not in said.err
    assert here.entries == before
    return said.err


def test_a_missing_study_file_names_the_nearest(here):
    assert "did you mean `study.yaml`?" in refused(here, "run", "stdy.yaml")


def test_a_directory_lists_the_study_files_in_it(here):
    (here.folder / "inside").mkdir()
    here.write("inside/study.yaml", "name: x\n")
    assert "is a directory, not a study file" in (err := refused(here, "run", "inside"))
    assert "inside/study.yaml" in err


def test_a_broken_link_says_where_it_leads(here):
    os.symlink("nowhere.yaml", "link.yaml")
    assert "link.yaml: is a link to nowhere.yaml, which does not exist" in refused(here, "run", "link.yaml")


def test_a_pipe_is_not_waited_for(here):
    os.mkfifo("pipe.yaml")
    assert "is not a regular file" in refused(here, "run", "pipe.yaml")


def test_a_device_is_not_read(here):
    assert "is not a regular file" in refused(here, "run", "/dev/zero")


def test_one_file_twice(here):
    assert "study.yaml and study.yaml are the same study" in refused(here, "run", "study.yaml", "study.yaml")


def test_a_study_file_and_a_command_exclude_each_other(here):
    err = refused(here, "run", "study.yaml", "--maximize", "s", "--", "python", "train.py", "--x", "~float(0,1)")
    assert "study.yaml and a command behind -- exclude each other" in err


@pytest.mark.parametrize("words", [["run", ""], ["run", "--maximize", "score", "--"], ["check", ""]])
def test_nothing_is_no_study(words, here):
    assert "there is nothing where a study file or a command should be" in refused(here, *words)


def test_an_empty_folder_name(here):
    assert "--dir" in refused(here, "run", "--dir", "")


def test_a_folder_that_is_a_file(here):
    here.write("file", "x")
    assert "file cannot be written" in refused(here, "run", "--dir", "file")
    assert "--dir" in refused(here, "run", "--dir", "file/below")


def test_a_folder_full_of_other_things_is_left_alone(here):
    (here.folder / "data").mkdir()
    for name in ("a.csv", "b.csv", "c.csv", "d.csv"):
        here.write(f"data/{name}", "")
    err = refused(here, "run", "--dir", "data")
    assert "data holds other things and no study: a.csv, b.csv, c.csv and 1 more" in err
    assert len(list((here.folder / "data").iterdir())) == 4
    assert "holds other things" in here("check", "--dir", "data").out


def test_an_empty_folder_is_taken(here):
    (here.folder / "fresh").mkdir()
    assert here("run", "--dir", "fresh").code == 0


def test_no_study_file_here(here):
    (here.folder / "study.yaml").unlink()
    err = refused(here, "run")
    assert "no study file" in err
    assert "outlast init -- python train.py" in err


@pytest.mark.parametrize("command", ["status", "show", "logs", "stop", "retry", "repair", "worker"])
def test_a_study_that_is_not_there(command, here):
    assert "no study in nope" in refused(here, command, "nope")
    assert "outlast run STUDY.yaml" in refused(here, command)


def test_a_study_that_is_nearly_called_so(here):
    here("run")
    assert "did you mean studies/small?" in refused(here, "status", "smal")


def test_several_studies_are_listed(here):
    here("run")
    here("run", "--name", "other")
    err = refused(here, "show")
    assert "studies/other  studies/small" in err
    assert here("show", "other").code == 0


def test_a_study_that_was_set_aside_leaves_the_new_one_the_only_one(here):
    here("run")
    assert here("run", "--fresh").code == 0
    assert len(os.listdir("studies")) == 2
    assert here("status").out.startswith("small  done")


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["run", "--trails", "4"], "Did you mean '--trials'?"),
        (["run", "--trials"], "requires an argument"),
        (["run", "--trials", "0"], "0 is less than 1"),
        (["stop", "--trial", "x"], "'x' is not a whole number"),
        (["run", "--trials", "+5"], "'+5' has a sign: write 5, or the sum where so many more are meant"),
        (["import"], "missing argument"),
        (["run", "--maximize", "a", "--minimize", "b"], "exclude each other"),
        (["run", "--set", "budget.trails=3"], "did you mean `trials`?"),
        (["run", "--set", "trials"], "--set budget.trials=20"),
        (["run", "--set", "parameters.y.max=3"], "unknown parameter `y`"),
        (["run", "--", "python", "train.py", "--x", "~float(0,1)"], "--maximize NAME or --minimize NAME"),
        (["run", "--maximize", "s", "--", sys.executable, "train.py", "--x", "3"], "mark what to search with ~"),
        (["run", "--maximize", "s", "--", sys.executable, "train.py", "--x", "~flaot(0,1)"], "did you mean `float`?"),
        (["run", "--maximize", "s", "--name", "../x", "--", sys.executable, "train.py", "--x", "~float(0,1)"], "name"),
        (["run", "--maximize", "s", "--set", "a=1", "--", sys.executable, "train.py", "--x", "~float(0,1)"], "--set"),
        (["show", "nonsense"], "no study"),
        (["retry", "--cause", "bordeom"], "one of:"),
    ],
)
def test_a_wrong_command_line_names_what_would_be_right(words, cure, here):
    assert cure in refused(here, *words)


def test_init_takes_a_help_in_any_encoding(here):
    here.write("latin.py", "import sys\nsys.stdout.buffer.write(b'  --lr FLOAT  Schritt f\\xfcr (default: 0.1)\\n')\n")
    assert here("init", "-o", "new.yaml", "--", sys.executable, "latin.py").code == 0
    assert "lr:" in (here.folder / "new.yaml").read_text()


def test_init_does_not_wait_for_a_script_that_ignores_help(here, monkeypatch):
    from outlast.engine import draft

    monkeypatch.setattr(draft, "_HELP_WITHIN", 0.5)
    here.write("trains.py", "import time\ntime.sleep(60)\n")
    said = refused(here, "init", "-o", "new.yaml", "--", sys.executable, "trains.py")
    assert "did not end within 0.5 s" in said and not (here.folder / "new.yaml").exists()


def test_init_never_writes_over_a_file(here):
    before = (here.folder / "study.yaml").read_text()
    assert "study.yaml is there already" in refused(here, "init", "--", sys.executable, "train.py")
    assert (here.folder / "study.yaml").read_text() == before


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["init", "-o", "new.yaml"], "init needs the training command"),
        (["init", "-o", "new.yaml", "--", "nosuch-program"], "nosuch-program"),
        (["init", "-o", "new.yaml", "--", sys.executable, "nosuch.py"], "--help` failed"),
        (
            ["init", "-o", "no/such/new.yaml", "--", sys.executable, "-m", "json.tool"],
            "no/such/new.yaml cannot be written",
        ),
    ],
)
def test_init_that_cannot_work(words, says, here):
    assert says in refused(here, *words)


def test_init_drafts_a_file_that_only_lacks_the_metric(here):
    said = here("init", "-o", "new.yaml", "--", sys.executable, "-m", "json.tool")
    assert said.code == 0
    assert "outlast check new.yaml" in said.out
    assert "metric" in here("check", "new.yaml").err


def test_check_names_the_next_command(here):
    said = here("check", "study.yaml", "--set", "budget.trials=9")
    assert said.code == 0, said.everything
    assert said.out.endswith("next        outlast run study.yaml --set budget.trials=9\n")
    assert here.entries == {"study.yaml", "train.py"}


@pytest.fixture
def project(here, monkeypatch):
    """A study file in a folder of its own, one trial of whose study is done; typed in the folder above it."""
    (here.folder / "project").mkdir()
    (here.folder / "elsewhere/deep").mkdir(parents=True)
    for name in ("study.yaml", "train.py"):
        (here.folder / name).rename(here.folder / "project" / name)
    return here


def finished(here, *words):
    return json.loads(here("status", *words, "--json").out)["counts"]["complete"]


@pytest.mark.parametrize(
    ("first", "then"), [("project", "."), (".", "project"), ("project", "elsewhere/deep"), (".", "elsewhere/deep")]
)
def test_a_study_file_means_the_same_study_wherever_it_is_typed(project, monkeypatch, first, then):
    file = project.folder / "project/study.yaml"
    monkeypatch.chdir(project.folder / first)
    project("run", os.path.relpath(file), "--trials", "1")
    monkeypatch.chdir(project.folder / then)
    typed = os.path.relpath(file)
    assert "RESUMING" in project("run", typed, "--trials", "2").out
    assert finished(project, typed) == 2
    assert not os.path.exists("studies") or then == first


def test_another_file_of_the_same_name_has_a_study_of_its_own(project, monkeypatch):
    project("run", "project/study.yaml", "--trials", "1")
    other = project.folder / "elsewhere/deep"
    for name in ("study.yaml", "train.py"):
        (other / name).write_bytes((project.folder / "project" / name).read_bytes())
    monkeypatch.chdir(other)
    assert "STARTING NEW SEARCH" in project("run", "study.yaml", "--trials", "1").out


def test_a_study_folder_that_was_moved_says_what_it_misses_and_goes_on_with_its_file(project):
    project("run", "project/study.yaml", "--trials", "1")
    os.rename("studies/small", "elsewhere/deep/small")
    assert finished(project, "elsewhere/deep/small") == 1
    refused = project("run", "elsewhere/deep/small", "--trials", "2")
    assert refused.code == 2 and "project is not there" in refused.err
    assert "outlast run STUDY.yaml --dir elsewhere/deep/small" in " ".join(refused.err.split())
    goes_on = project("run", "project/study.yaml", "--dir", "elsewhere/deep/small", "--trials", "2")
    assert goes_on.code == 0 and "RESUMING" in goes_on.out
    assert project("run", "elsewhere/deep/small", "--trials", "3").code == 0, "it knows the way now"
    assert finished(project, "elsewhere/deep/small") == 3
