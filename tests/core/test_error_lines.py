"""Which line says what went wrong, and which failures are alike."""

from __future__ import annotations

import pytest

from outlast.core.symptoms import last_words, signature_of, told_story

HYDRA = "\n\nSet the environment variable HYDRA_FULL_ERROR=1 for a complete stack trace.\n"
WANDB = (
    "wandb: \nwandb: Run history:\nwandb: loss █▁\nwandb: 🚀 View run x at: https://wandb.ai/a/b/runs/3k9x2m1q\n"
    "wandb: Find logs at: ./wandb/run-20240101_120000-3k9x2m1q/logs\n"
)
USAGE = "usage: train.py [-h] [--nesterov]\n                [--lr LR]\n"
FRAMES = 'Traceback (most recent call last):\n  File "/home/x/train.py", line 12, in main\n    f()\n'
LAUNCHER = (
    "E0101 12:00:00.000000 123 torch/distributed/elastic/multiprocessing/api.py:874] failed (exitcode: 2) "
    "local_rank: 0 (pid: 71)\n"
    'Traceback (most recent call last):\n  File "/bin/torchrun", line 8, in <module>\n    sys.exit(main())\n'
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
    "============================================================\ntrain.py FAILED\n"
    "------------------------------------------------------------\nFailures:\n  <NO_OTHER_FAILURES>\n"
    "------------------------------------------------------------\nRoot Cause (first observed failure):\n[0]:\n"
    "  time      : 2024-01-01_12:00:00\n  host      : node1\n  rank      : 0 (local_rank: 0)\n"
    "  exitcode  : 2 (pid: 71)\n"
    "  error_file: <N/A>\n  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html\n"
    "============================================================\n"
)
GROUP = (
    "  + Exception Group Traceback (most recent call last):\n"
    '  |   File "/x/train.py", line 3, in <module>\n  |     g()\n'
    "  | ExceptionGroup: several (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n"
    '    | Traceback (most recent call last):\n    |   File "/x/train.py", line 1, in g\n    | ValueError: no 1\n'
    "    +---------------- 2 ----------------\n    | KeyError: 'b'\n    +------------------------------------\n"
)
REMOTE = (
    'joblib.externals.loky.process_executor._RemoteTraceback: \n"""\nTraceback (most recent call last):\n'
    '  File "/x/process_executor.py", line 463, in _process_worker\n  File "/x/train.py", line 5, in f\n'
    'ValueError: fold 3 is empty\n"""\n\nThe above exception was the direct cause of the following exception:\n\n'
    'Traceback (most recent call last):\n  File "/x/train.py", line 9, in <module>\n'
    '  File "/x/parallel.py", line 763, in get\n'
    "ValueError: fold 3 is empty\n"
)
SAID = {
    "a traceback": (FRAMES + "ValueError: boom\n", "ValueError: boom"),
    "Hydra behind a traceback": (
        "Error executing job with overrides: ['lr=1']\n" + FRAMES + "ValueError: boom" + HYDRA,
        "ValueError: boom",
    ),
    "Hydra": (
        "Could not override 'optimizer.lrr'.\nTo append to your config use +optimizer.lrr=0.1\n"
        "Key 'lrr' is not in struct\n"
        "    full_key: optimizer.lrr\n    object_type=dict" + HYDRA,
        "Could not override 'optimizer.lrr'.",
    ),
    "Hydra's missing choice": (
        "You must specify 'db', e.g, db=<OPTION>\nAvailable options:\n\tmysql\n" + HYDRA,
        "You must specify 'db', e.g, db=<OPTION>",
    ),
    "W&B behind a usage error": (
        USAGE + "train.py: error: the following arguments are required: --lr\n" + WANDB,
        "train.py: error: the following arguments are required: --lr",
    ),
    "W&B itself": (
        "wandb: ERROR api_key not configured (no-tty)\n" + WANDB,
        "wandb: ERROR api_key not configured (no-tty)",
    ),
    "click": (
        "Usage: train.py [OPTIONS]\nTry 'train.py --help' for help.\n\n"
        "Error: Invalid value for '--lr': 'x' is no float.\n",
        "Error: Invalid value for '--lr': 'x' is no float.",
    ),
    "Typer": (
        "Usage: train.py [OPTIONS]\nTry 'train.py --help' for help.\n╭─ Error ─────────────╮\n"
        "│ No such option: --x │\n╰─────────────────────╯\n",
        "No such option: --x",
    ),
    "a progress bar": (
        "RuntimeError in step 3\n 45%|████▌     | 420/938 [00:05<00:06, 75.0it/s, loss=0.123]\n",
        "RuntimeError in step 3",
    ),
    "torchrun, and a child without a traceback": (
        USAGE + "train.py: error: unrecognized arguments: --x\n" + LAUNCHER,
        "train.py: error: unrecognized arguments: --x",
    ),
    "torchrun alone": (LAUNCHER, "torch.distributed.elastic.multiprocessing.errors.ChildFailedError:"),
    "srun": (
        "solver: cannot open mesh\nsrun: error: n1: task 0: Exited with exit code 1\n",
        "solver: cannot open mesh",
    ),
    "mpirun": (
        "solver: cannot open mesh\n-----\n"
        "mpirun detected that one or more processes exited with non-zero status, thus causing\n-----\n",
        "solver: cannot open mesh",
    ),
    "make": ("ld: cannot find -lx\nmake: *** [Makefile:3: train] Error 1\n", "ld: cannot find -lx"),
    "a C++ abort": (
        "terminate called after throwing an instance of 'std::runtime_error'\n  what():  bad device 3\n"
        "Aborted (core dumped)\n",
        "what():  bad device 3",
    ),
    "a segmentation fault": (
        "Fatal Python error: Segmentation fault\n\nCurrent thread 0x00007f12 (most recent call first):\n"
        '  File "/x/train.py", line 3 in f\n'
        "\nExtension modules: numpy.core (total: 1)\nSegmentation fault (core dumped)\n",
        "Fatal Python error: Segmentation fault",
    ),
    "a shell alone": ("Killed\n", "Killed"),
    "an exception group": (GROUP, "KeyError: 'b'"),
    "joblib": (REMOTE, "ValueError: fold 3 is empty"),
    "Ray": (
        'Traceback (most recent call last):\n  File "/x/drive.py", line 9, in <module>\n'
        "ray.exceptions.RayTaskError(ValueError): ray::train() (pid=71, ip=10.0.0.1)\n"
        '  File "/x/train.py", line 3, in train\nValueError: boom\n',
        "ValueError: boom",
    ),
    "a data loader": (
        FRAMES
        + "ValueError: Caught ValueError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n"
        '  File "/x/data.py", line 3, in get\nValueError: row 7\n',
        "ValueError: row 7",
    ),
    "rich": (
        "╭──── Traceback (most recent call last) ────╮\n│ /x/train.py:6 in <module>                  │\n"
        "│ ❱ 6 raise ValueError('error')              │\n╰────────────────────────────────────────────╯\n"
        "ValueError: no data for fold 3\n",
        "ValueError: no data for fold 3",
    ),
    "a metric called error": ("disk on fire\nerror: 0.5\n", "error: 0.5"),
    "a script that does not compile": (
        "  File \"train.py\", line 1\n    x = (\n        ^\nSyntaxError: '(' was never closed\n",
        "SyntaxError: '(' was never closed",
    ),
}


@pytest.mark.parametrize("kind", SAID)
def test_the_line_that_says_it_is_found(kind: str) -> None:
    text, expected = SAID[kind]
    assert last_words(text) == expected


ALIKE = {
    "a switch": (
        "train.py: error: argument --nesterov: ignored explicit argument 'True'",
        "train.py: error: argument --nesterov: ignored explicit argument 'False'",
    ),
    "an option": (
        "error: unrecognized arguments: --lr=0.1 --nesterov=True",
        "error: unrecognized arguments: --lr=3e-05 --nesterov=False",
    ),
    "paths": ("cannot open runs/0003/a.pt in /tmp/x1/y", "cannot open runs/0017/b.pt in /home/me/z"),
    "addresses": ("bad object at 0x7f12ab", "bad object at 0x55c0ffee"),
    "signs": ("loss is -0.5", "loss is 1e-3"),
    "shapes": (
        "mat1 and mat2 shapes cannot be multiplied (32x64 and 128x10)",
        "mat1 and mat2 shapes cannot be multiplied (8x16 and 12x10)",
    ),
    "lists": ("bad sizes [1, 2, 3]", "bad sizes [4, 5]"),
    "ids": ("run 3k9x2m1q failed", "run aa8b7c6d failed"),
    "quotes": ("KeyError: 'lr'", 'KeyError: "lr"'),
    "constants": ("error: got True", "error: got None"),
    "Hydra": ("Could not override 'a'." + HYDRA, "Could not override 'b'." + HYDRA),
    "torchrun": (
        "train.py: error: bad value 3\n" + LAUNCHER,
        "train.py: error: bad value 4\n" + LAUNCHER.replace("71", "72"),
    ),
    "W&B": ("fatal: no data\n" + WANDB, "fatal: no data\n" + WANDB.replace("3k9x2m1q", "zz9x2m1q")),
    "places in other folders": (FRAMES + "ValueError: 3", FRAMES.replace("/home/x", "/tmp/7") + "ValueError: 4"),
}


@pytest.mark.parametrize("kind", ALIKE)
def test_failures_that_differ_in_values_only_are_alike(kind: str) -> None:
    first, second = ALIKE[kind]
    assert signature_of(first) == signature_of(second) != ""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (
            "error: argument --lr: expected one argument" + HYDRA,
            "error: argument --depth: expected one argument" + HYDRA,
        ),
        ("Could not override 'a'." + HYDRA, "Key 'a' not found in struct" + HYDRA),
        ("error: no data\n" + LAUNCHER, "error: no model\n" + LAUNCHER),
        (FRAMES + "ValueError: can't open what isn't there", FRAMES + "ValueError: can't close what isn't there"),
        (FRAMES + "ValueError: 1", FRAMES.replace("line 12", "line 13") + "ValueError: 1"),
        # the first of a chain is the cause: what its handling raised is the same for all
        *[
            tuple(
                f"{FRAMES}{cause}: x\n\nDuring handling of the above exception, another exception occurred:\n\n"
                f"{FRAMES}OSError: closed\n"
                for cause in ("KeyError", "ValueError")
            )
        ],
    ],
)
def test_failures_of_different_kinds_are_not_alike(first: str, second: str) -> None:
    assert signature_of(first) != signature_of(second)


def test_where_only_a_launcher_left_a_traceback_the_lines_before_it_tell_the_story() -> None:
    launchers = LAUNCHER[LAUNCHER.index("Traceback") :].rstrip()
    tail = ("train.py: error: no data", *LAUNCHER.splitlines())
    assert last_words(told_story(launchers, tail)) == "train.py: error: no data"
    assert told_story(launchers, ()) == launchers


@pytest.mark.parametrize("piece", ["x", " ", "1", "'", "/", "=", "error", "a "])
def test_a_very_long_line_is_judged_at_once(piece: str) -> None:
    line = piece * (60_000 // len(piece))  # in minutes, where a pattern begins again at every letter
    for text in (line, FRAMES + "ValueError: " + line):
        signature_of(text)
        last_words(told_story(text, [line]))
