"""Where a process runs, and where what it makes is kept there: told by the environment and a root to look below."""

from __future__ import annotations

import pytest

from outlast._system.platforms import current_platform, studies_folder

PACKAGE = "usr/local/lib/python3.11/dist-packages/google/colab"
KAGGLE = "kaggle/working"
DRIVE = "content/drive/MyDrive"


@pytest.mark.parametrize(
    ("environ", "folders", "kind", "root", "durable", "says"),
    [
        ({}, [], "local", None, True, ""),
        ({}, ["content"], "local", None, True, ""),  # somebody's own folder of that name
        ({"COLAB_GPU": "1"}, ["content", DRIVE], "colab", f"{DRIVE}/outlast", True, "Drive"),
        (
            {"COLAB_GPU": ""},
            ["content", DRIVE],
            "colab",
            f"{DRIVE}/outlast",
            True,
            "Drive",
        ),  # without a GPU it is there, empty
        ({"COLAB_TPU_ADDR": "x"}, ["content"], "colab", "content", False, "this session only"),
        (
            {"COLAB_RELEASE_TAG": "x"},
            ["content/drive"],
            "colab",
            "content",
            False,
            "this session only",
        ),  # not mounted yet
        ({}, [PACKAGE, "content"], "colab", "content", False, "this session only"),
        ({}, [PACKAGE], "local", None, True, ""),
        ({"COLAB_GPU": "1", "OUTLAST_DRIVE_FOLDER": "a/b"}, [DRIVE], "colab", f"{DRIVE}/a/b", True, "Drive"),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, ["content"], "local", None, True, ""),  # a container, CI
        ({"KAGGLE_KERNEL_RUN_TYPE": "Batch"}, ["content", KAGGLE], "kaggle", "kaggle/working", True, "output"),
        ({"KAGGLE_KERNEL_RUN_TYPE": "Interactive"}, [KAGGLE], "kaggle", "kaggle/working", False, "this session only"),
        (
            {"KAGGLE_KERNEL_RUN_TYPE": "Batch", "COLAB_GPU": ""},
            [DRIVE, KAGGLE],
            "kaggle",
            "kaggle/working",
            True,
            "output",
        ),
    ],
)
def test_each_place_is_known_by_its_environment(tmp_path, monkeypatch, environ, folders, kind, root, durable, says):
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    here = tmp_path / "work"
    here.mkdir()
    monkeypatch.chdir(here)
    known = {**environ, "OUTLAST_LOOK_BELOW": str(tmp_path)}
    platform = current_platform(known)
    assert (platform.kind, platform.durable) == (kind, durable) and says in platform.note
    assert platform.root == (here if root is None else tmp_path / root)
    assert studies_folder(known) == ("studies" if root is None else str(tmp_path / root / "studies"))


def test_a_variable_wins_over_every_place(tmp_path):
    known = {"COLAB_GPU": "1", "OUTLAST_LOOK_BELOW": str(tmp_path), "OUTLAST_STUDIES": "/data/mine/"}
    assert studies_folder(known) == "/data/mine"
