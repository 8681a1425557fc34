"""The output as a stream: any cut, any size, progress bars, tracebacks."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlast.core.evidence import Report
from outlast.errors import StudyFileError
from outlast.runner.capture.scanner import OutputScanner


def scan(output: str | bytes, *objectives: str, **patterns: str) -> OutputScanner:
    scanner = OutputScanner(objectives or ("val_acc",), patterns)
    scanner.feed(output.encode() if isinstance(output, str) else output)
    scanner.close()
    return scanner


def points(scanner: OutputScanner) -> list[tuple[int, dict[str, float]]]:
    return [(report.step, dict(report.metrics)) for report in scanner.drain_reports()]


OUTPUT = (
    "starting\r\n"
    "Epoch 0:   0%|      | 0/10\rEpoch 0: 100%|██████| 10/10 [val_acc=0.5]\n"
    "\x1b[1mEpoch 1\x1b[0m val_acc: 0.6\n"
    "{'val_acc': 0.7, 'epoch': 2.0}\n"
    "OPTUNA_SCORE: 0.7\n"
    "Traceback (most recent call last):\n"
    '  File "train.py", line 3, in <module>\n'
    "    main()\n"
    "ValueError: nö\n"
).encode()


@given(st.lists(st.integers(min_value=0, max_value=len(OUTPUT)), max_size=12))
def test_where_the_chunks_are_cut_makes_no_difference(cuts: list[int]) -> None:
    scanner = OutputScanner(["val_acc"], {})
    edges = [0, *sorted(cuts), len(OUTPUT)]
    for start, end in itertools.pairwise(edges):
        scanner.feed(OUTPUT[start:end])
    scanner.close()
    whole = scan(OUTPUT)
    assert points(scanner) == points(whole) == [(0, {"val_acc": 0.5}), (1, {"val_acc": 0.6}), (2, {"val_acc": 0.7})]
    assert scanner.tail == whole.tail
    assert scanner.traceback == whole.traceback
    assert scanner.metrics.last_values() == whole.metrics.last_values()


@given(st.binary(max_size=2000))
def test_no_bytes_break_it(data: bytes) -> None:
    scan(data)


def test_the_last_value_of_each_name_is_kept() -> None:
    assert scan("a=1 b=2\na=3\n").metrics.last_values() == {"a": 3.0, "b": 2.0}


def test_invalid_utf8_costs_only_its_own_characters() -> None:
    assert scan(b"\xff\xfe val_acc: 0.5\n").metrics.last_values() == {"val_acc": 0.5}


def test_output_without_a_line_end_counts_when_it_is_over() -> None:
    assert scan("val_acc: 0.5").metrics.last_values() == {"val_acc": 0.5}


def test_a_point_is_there_as_soon_as_its_line_is() -> None:
    scanner = OutputScanner(["val_acc"], {})
    scanner.feed(b"epoch 1 val_acc: 0.5\nepoch 2 val_")
    assert scanner.drain_reports() == [Report(1, {"val_acc": 0.5})]
    scanner.feed(b"acc: 0.6\n")
    assert scanner.drain_reports() == [Report(2, {"val_acc": 0.6})]
    assert scanner.drain_reports() == []


def test_a_value_below_its_epochs_headline_belongs_to_that_epoch() -> None:
    assert points(scan("Epoch 1/3\nloss 3 val_acc: 0.5\nEpoch 2/3\nval_acc: 0.6\n")) == [
        (1, {"val_acc": 0.5}),
        (2, {"val_acc": 0.6}),
    ]


def test_without_a_step_there_is_no_point() -> None:
    assert points(scan("val_acc: 0.5\nval_acc: 0.6\n")) == []


def test_a_progress_bar_counts_when_it_moves_on() -> None:
    bar = "Epoch 1: 10%|x [val_acc=0.1]\rEpoch 1: 99%|x [val_acc=0.5]\rEpoch 2: 0%|x [val_acc=0.5]\r"
    scanner = OutputScanner(["val_acc"], {})
    scanner.feed(bar.encode())
    scanner.feed(b"Epoch 2: 100%|x [val_acc=0.7]")
    assert points(scanner) == [(1, {"val_acc": 0.5})]
    scanner.close()
    assert points(scanner) == [(2, {"val_acc": 0.7})]


def test_several_objectives_of_one_line_are_one_point() -> None:
    assert points(scan("epoch 1 f1=0.5 ece=0.1\n", "f1", "ece")) == [(1, {"f1": 0.5, "ece": 0.1})]


def test_steps_do_not_go_back() -> None:
    assert points(scan("epoch 2 val_acc=0.5\nepoch 1 val_acc=0.6\n")) == [(2, {"val_acc": 0.5})]


def test_epochs_count_where_a_line_has_both_and_the_unit_stays() -> None:
    output = "epoch 1 step 100 val_acc=0.5\nstep 200 loss=3\nepoch 2 step 300 val_acc=0.6\n"
    assert points(scan(output)) == [(1, {"val_acc": 0.5}), (2, {"val_acc": 0.6})]


def test_a_name_in_another_spelling_gives_points_under_the_objectives_name() -> None:
    assert points(scan("{'eval_accuracy': 0.5, 'epoch': 1.0}\n", "eval/accuracy")) == [(1, {"eval/accuracy": 0.5})]


def test_two_names_that_might_both_be_meant_give_no_points() -> None:
    assert points(scan("epoch 1 eval_accuracy=0.5 test_accuracy=0.4\n", "accuracy")) == []


def test_an_own_pattern_is_searched_in_every_line() -> None:
    scanner = scan("final 0.5!\nfinal 0.7!\n", score=r"final (\S+)!")
    assert scanner.patterns["score"].last == 0.7


def test_a_pattern_that_is_none_is_a_clear_error() -> None:
    with pytest.raises(StudyFileError, match="no regular expression"):
        OutputScanner(["a"], {"a": "(("})


def test_a_marked_score_that_cannot_be_read_is_remembered() -> None:
    scanner = scan("OPTUNA_SCORE: 0.5\nOPTUNA_SCORE: n/a\n")
    assert scanner.unreadable == {"OPTUNA_SCORE": "n/a"}


def test_the_tail_is_the_last_lines_and_the_end_of_each_bar() -> None:
    scanner = OutputScanner(["x"], {}, tail_lines=3)
    scanner.feed(b"one\ntwo\n 10%\r 50%\r100%\nthree\nfour")
    assert scanner.tail == ("100%", "three", "four")


def test_long_lines_are_cut_and_memory_stays_small() -> None:
    scanner = OutputScanner(["x"], {})
    for _ in range(200):
        scanner.feed(b"x" * 65536)
    assert len(scanner._rest) <= 65536
    scanner.feed(b"\nval=3\n")
    assert scanner.metrics.last_values() == {"val": 3.0}
    assert all(len(line) <= 2000 for line in scanner.tail)


def test_in_a_flood_of_lines_no_objective_and_no_marker_is_missed() -> None:
    noise = "".join(f"noise_{n % 50}={n}\n" for n in range(25_000))
    scanner = OutputScanner(["val_acc"], {})
    scanner.feed(noise.encode())
    scanner.feed((noise + "epoch 1 val_acc=0.5\nOUTLAST_SCORE: 0.25\n" + noise).encode())
    scanner.close()
    assert points(scanner) == [(1, {"val_acc": 0.5})]
    assert scanner.markers["OUTLAST_SCORE"].last == 0.25


def test_names_are_bounded() -> None:
    scanner = scan("".join(f"name{n}=1\n" for n in range(3000)))
    assert len(scanner.metrics) == 1000


def _traceback_of(code: str, tmp_path: Path) -> tuple[str, str]:
    script = tmp_path / "script.py"
    script.write_text(code)
    result = subprocess.run([sys.executable, "-X", "utf8", str(script)], capture_output=True, text=True, check=False)
    return result.stderr.rstrip(), scan("before\n" + result.stderr).traceback


@pytest.mark.parametrize(
    "code",
    [
        "1/0",
        "raise ValueError('several\\nlines\\nof message')",
        "try:\n    1/0\nexcept Exception as e:\n    raise RuntimeError('second') from e",
        "try:\n    1/0\nexcept Exception:\n    {}['x']",
        "def f(): f()\nf()",
        "x = (",
        "raise MemoryError",
    ],
)
def test_the_traceback_of_a_dead_script_is_whole(code: str, tmp_path: Path) -> None:
    printed, caught = _traceback_of(code, tmp_path)
    assert caught == printed


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_an_exception_group_is_whole(tmp_path: Path) -> None:
    printed, caught = _traceback_of("raise ExceptionGroup('g', [ValueError(1), KeyError(2)])", tmp_path)
    assert caught == printed


def test_the_last_of_several_tracebacks_counts() -> None:
    one = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nKeyError: 1\n'
    two = 'Traceback (most recent call last):\n  File "b.py", line 2, in g\nKeyError: 2\n'
    assert scan(one + "going on\n" * 30 + two).traceback == two.rstrip()


def test_output_that_goes_on_is_no_part_of_a_traceback() -> None:
    one = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nKeyError: 1\n'
    assert scan(one + "epoch goes on\n" * 30).traceback == one.rstrip()


def test_of_torchruns_interleaved_ranks_one_story_is_kept() -> None:
    output = (
        "[rank0]: Traceback (most recent call last):\n"
        "[rank1]: Traceback (most recent call last):\n"
        '[rank0]:   File "a.py", line 1, in f\n'
        '[rank1]:   File "a.py", line 1, in f\n'
        "[rank0]: ValueError: zero\n"
        "[rank1]: ValueError: one\n"
    )
    assert scan(output).traceback.startswith(
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: zero'
    )


def test_behind_a_launchers_traceback_the_childs_is_found() -> None:
    child = (
        '[rank1]: Traceback (most recent call last):\n[rank1]:   File "a.py", line 1, in f\n[rank1]: ValueError: one\n'
    )
    launcher = (
        "E1123 21:16:03 failed (exitcode: 1)\nTraceback (most recent call last):\n"
        '  File "run.py", line 1028, in main\n    elastic_launch(\n'
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n====\ntrain.py FAILED\n"
    )
    caught = scan(child + launcher).traceback
    assert caught == 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: one'


def test_a_launchers_traceback_alone_is_better_than_none() -> None:
    launcher = (
        'Traceback (most recent call last):\n  File "run.py", line 1, in main\n'
        "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
    )
    assert "ChildFailedError" in scan(launcher).traceback


def test_an_endless_traceback_is_bounded() -> None:
    output = "Traceback (most recent call last):\n" + '  File "a.py", line 1, in f\n' * 5000 + "RecursionError: deep\n"
    caught = scan(output).traceback
    assert caught.startswith("Traceback") and caught.endswith("RecursionError: deep")
    assert len(caught.splitlines()) < 500


DUMPS = {
    "argparse": "Namespace(val_acc=0.5, lr=0.1)\n",
    "a dict": "config: {'val_acc': 0.5, 'sub': {'x': 1}}\n",
    "Transformers": "TrainingArguments(\n_n_gpu=1,\nval_acc=0.5,\nbetas=(0.9, 0.999),\n)\n",
    "JSON": 'Model config BertConfig {\n  "val_acc": 0.5,\n  "ids": [\n    1,\n    2\n  ]\n}\n\n',
    "YAML": "Configuration:\n  val_acc: 0.5\n  model:\n    width: 3\n",
    "an optimizer": "Adam (\nParameter Group 0\n    val_acc: 0.5\n)\n",
}


@pytest.mark.parametrize("dump", DUMPS)
def test_a_printed_configuration_is_no_metric_and_what_follows_is_read(dump: str) -> None:
    assert "val_acc" not in scan(DUMPS[dump]).metrics
    assert scan(DUMPS[dump] + "val_acc: 0.75\n" + DUMPS[dump]).metrics["val_acc"].last == 0.75


@pytest.mark.parametrize(
    "line",
    [
        "config (see below)",
        "args parsed",
        "settings {",
        "reading the config (",
        "best params: {'lr': 0.1}",
        "TrainOutput(global_step=5, metrics={'loss': 0.5})",
    ],
)
def test_a_line_that_only_speaks_of_a_configuration_hides_nothing(line: str) -> None:
    assert scan(f"{line}\nval_acc 0.5 {{\nepoch 1 done, val_acc: 0.75 now\n").metrics["val_acc"].last == 0.75


def test_what_a_traceback_mentions_was_not_measured() -> None:
    output = (
        'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    f(val_acc=0.5)\n'
        "ValueError: val_acc: 0.5 is too low\nval_acc: 0.75\n"
    )
    assert scan(output).metrics.last_values() == {"val_acc": 0.75}


BOOM = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: boom\n'


@pytest.mark.parametrize("prefix", ["[rank0]: ", "[default0]:[rank0]: ", "0: ", "[1,0]<stderr>:", "(train pid=71) "])
def test_the_prefix_of_a_launcher_is_left_out(prefix: str) -> None:
    output = "".join(f"{prefix}{line}\n" for line in BOOM.splitlines())
    assert scan(output).traceback == BOOM.rstrip()


def test_what_python_prints_while_it_leaves_is_not_what_ended_it() -> None:
    at_exit = "Exception ignored in: <function D.__del__ at 0x7f>\n" + BOOM.replace(
        "ValueError: boom", "TypeError: none"
    )
    assert scan(BOOM + at_exit).traceback == BOOM.rstrip()


def test_of_a_wrapper_that_ran_the_training_the_training_tells_the_story() -> None:
    wrapper = BOOM.replace(
        "ValueError: boom",
        "subprocess.CalledProcessError: Command '['python', 'a.py']' returned non-zero exit status 1.",
    )
    assert scan(BOOM + wrapper).traceback == BOOM.rstrip()
    assert scan(wrapper).traceback == wrapper.rstrip()
    assert scan(BOOM + "epoch 1\n" * 30 + wrapper).traceback == wrapper.rstrip()


def test_what_is_no_number_before_anything_is_numbered_is_a_point() -> None:
    assert [step for step, values in points(scan("val_acc: nan\nval_acc: nan\n"))] == [0]
    assert points(scan("val_acc: 0.1\n")) == []
    later = points(scan("epoch 3\nval_acc: 0.5\nval_acc: nan\n"))
    assert [step for step, values in later] == [3, 3] and math.isnan(later[1][1]["val_acc"])


@pytest.mark.parametrize(
    "piece", ["x", " ", "1", "(", "a ", "a=", "train", "param", "val_acc ", "val_acc: 1 ", "{'a':"]
)
def test_a_very_long_line_is_read_at_once(piece: str) -> None:
    line = piece * (60_000 // len(piece))  # in minutes, where a pattern begins again at every letter
    assert scan(f"config(\n{line}\nval acc {line}\n\nval_acc: 0.5\n").metrics["val_acc"].last == 0.5


def test_a_box_drawn_around_a_traceback_is_none_of_pythons() -> None:
    assert (
        scan("╭── Traceback (most recent call last) ──╮\n│ train.py:6 in f │\n╰──╯\nValueError: boom\n").traceback == ""
    )
