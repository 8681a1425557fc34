"""What each key does, as a table: a key and what can be chosen in, what is shown and wished for out."""

from __future__ import annotations

import socket

import pytest

from outlast.cli.live.choice import Choice, Row, press, settle
from outlast.cli.live.keys import keys_of, read_keys
from outlast.cli.live.stop_one import Stopping

A, B = Row("a"), Row("b")
A1, B2 = Row("a", 1), Row("b", 2)
ROWS = [A, B, A1, B2]
RUNNING = [A1, B2]
TRIALS = [5, 4, 3, 2, 1]


def pressed(*keys: str, choice: Choice | None = None) -> tuple[Choice, list[str]]:
    choice = choice or Choice()
    wishes = [press(choice, key, ROWS, TRIALS, running=RUNNING) for key in keys]
    return choice, [wish for wish in wishes if wish]


@pytest.mark.parametrize(
    ("keys", "row"),
    [
        ([], A), (["down"], B), (["down", "down"], A1), (["down"] * 9, B2), (["end"], B2), (["end", "up"], A1),
        (["end", "home"], A), (["page down"], B2), (["up"], A),
    ],
)  # fmt: skip
def test_the_cursor_goes_from_row_to_row_and_no_further(keys: list[str], row: Row) -> None:
    choice, wishes = pressed(*keys)
    settle(choice, ROWS)
    assert (choice.row, wishes) == (row, [])


@pytest.mark.parametrize(
    ("keys", "page", "trial"),
    [
        (["enter"], "trials", 5), (["enter", "down", "enter"], "trial", 4), (["end", "enter"], "trial", 2),
        (["end", "l"], "log", 2), (["l"], "log", 1), (["down", "l"], "log", 2), (["?"], "help", None),
        (["?", "x"], "all", None), (["enter", "enter", "escape"], "trials", 5),
        (["enter", "enter", "left", "back"], "all", 5), (["end", "enter", "l", "escape"], "trial", 2),
        (["enter", "end", "right"], "trial", 1), (["escape"], "all", None), (["end", "l", "?", "escape"], "log", 2),
    ],
)  # fmt: skip
def test_pages_are_opened_and_left_again(keys: list[str], page: str, trial: int | None) -> None:
    choice, wishes = pressed(*keys)
    assert (choice.page, choice.trial, wishes) == (page, trial, [])


def test_stopping_a_trial_asks_first_and_only_y_means_it() -> None:
    choice, wishes = pressed("end", "s")
    assert (choice.asks, wishes) == (B2, [])
    assert pressed("y", choice=choice)[1] == ["stop"] and choice.asks == B2
    for other in ("n", "enter", "escape", "q", "Y", "s"):
        choice, wishes = pressed("end", "s", other)
        assert (choice.asks, choice.note, wishes) == (None, "not stopped", [])
    choice, wishes = pressed("end", "s", "n", "y")
    assert wishes == []


@pytest.mark.parametrize("keys", [["s"], ["enter", "s"], ["enter", "s", "y"], ["s", "y"]])
def test_what_does_not_run_cannot_be_stopped(keys: list[str]) -> None:
    choice, wishes = pressed(*keys)
    assert (choice.asks, wishes) == (None, [])


def test_a_trial_that_runs_can_be_stopped_from_its_pages() -> None:
    for way in (["end", "enter", "s"], ["end", "l", "s"], ["down", "enter", "down", "down", "down", "enter", "s"]):
        assert pressed(*way)[0].asks == B2


def test_q_leaves_from_everywhere_but_from_a_question() -> None:
    for way in ([], ["enter"], ["end", "l"], ["end", "enter"]):
        assert pressed(*way, "q")[1] == ["quit"]


def test_the_cursor_stays_on_a_trial_while_others_end_and_goes_to_its_study_when_it_ends() -> None:
    choice = Choice(row=B2)
    settle(choice, [A, B, B2])
    assert choice.row == B2
    settle(choice, [A, B, A1])
    assert choice.row == B
    settle(choice, [])
    assert choice.row is None
    assert press(choice, "down", [], [], running=[]) == ""


@pytest.mark.parametrize(
    ("typed", "keys"),
    [
        ("\x1b[A\x1b[B\x1bOC", ["up", "down", "right"]), ("jkgG", ["down", "up", "home", "end"]), ("\r\n", ["enter"] * 2),
        ("\x1b", ["escape"]), ("\x1b[5~\x1b[6~", ["page up", "page down"]), ("\x0cq", ["redraw", "q"]), ("é?", ["é", "?"]),
        ("\x1b[200~\x1b[1;5A", ["\x1b[200~", "\x1b[1;5A"]), ("\x00\x01", []), ("", []),
    ],
)  # fmt: skip
def test_what_a_terminal_sends_is_told_apart(typed: str, keys: list[str]) -> None:
    assert keys_of(typed) == keys


def test_a_request_for_which_there_is_no_process_is_said_and_ends_no_view() -> None:
    stopping = Stopping()
    stopping.ask("x" * 300_000, 7)  # longer than the kernel takes for a word
    assert stopping.said().startswith("trial 7 was not asked: ")
    assert stopping.said() == ""


@pytest.mark.parametrize(
    ("reads", "keys"),
    [
        ([b"\x1b", b"[A"], ["up"]), ([b"j\x1b[", b"5", b"~k"], ["down", "page up", "up"]), ([b"\x1b"], ["escape"]),
        ([b"\x1bO", b"B"], ["down"]), ([b"q", b"s"], ["q"]),
    ],
)  # fmt: skip
def test_a_sequence_that_comes_in_pieces_is_one_key(reads: list[bytes], keys: list[str]) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        for piece in reads:
            theirs.send(piece)  # each is a read of its own
        assert keys_of(read_keys(ours.fileno())) == keys
