"""What other programs print for a terminal reads as plain text."""

from __future__ import annotations

import pytest

from outlast.core.escapes import as_on_a_screen


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07text", "text"),
        ("bold\x1b(B off", "bold off"),  # tput sgr0
        ("\x1bP1$r0m\x1b\\after", "after"),
        ("\x1bPwithout its end 0.5", "without its end 0.5"),
        ("10%\r20%\r100%\r\nnext", "100%\nnext"),
        ("a lone \x1b 0.5", "a lone  0.5"),
    ],
)
def test_it_is_as_on_a_screen(printed, shown) -> None:
    assert as_on_a_screen(printed) == shown
