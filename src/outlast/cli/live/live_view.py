"""The live view: what was said scrolls by above a block that says where one study or several stand.

No thread and no alternate screen: whatever kills the process leaves a usable terminal with everything that was said. On
a pipe there is one plain line per finished trial, and a progress line now and then.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from outlast.cli.live.cards import CardWords
from outlast.cli.live.choice import Choice, Wish, press, rows_of, running_of, settle
from outlast.cli.live.in_place import InPlace
from outlast.cli.live.keys import Keyboard
from outlast.cli.live.lines import Shown, Window, footer
from outlast.cli.live.one import picture_of_one
from outlast.cli.live.pages import help_page, log_page, trial_page, trials_of, trials_page
from outlast.cli.live.picture import picture
from outlast.cli.live.plain import plain_line
from outlast.cli.live.stop_one import Stopping
from outlast.cli.render.render_run import event_text
from outlast.cli.render.styled import Text
from outlast.cli.render.text import is_unicode, one_line
from outlast.monitor.overview import Overview, Sight

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_REDRAW_SECONDS = 0.25
_PLAIN_SECONDS = 30.0
_SHARE_OF_TIME = 0.05  # what looking may cost: a study of ten thousand trials is looked at less often
_WIDE = 120  # columns
#: Lines kept for one redraw; of a study that finishes hundreds of trials a second the rest is in trials.csv.
_MOST_PENDING = 200


class LiveView:
    """Shows what goes on, on a console of `make_console`. Use it from one thread; call `close` whatever happens.

    Args:
        keyboard: Where keys come from; ``None``: nothing can be pressed. It is closed with the view.
        on_quit: What ``q`` does: nothing, and says why, where it is a text; else `wants_to_quit` is true from then on.
    """

    def __init__(
        self,
        console: Console,
        *,
        clock: Callable[[], float] = time.monotonic,
        keyboard: Keyboard | None = None,
        on_quit: str = "",
    ) -> None:
        self._console, self._clock, self._on_quit = console, clock, on_quit
        self._block = console.is_terminal and not console.is_dumb_terminal and not _in_a_cell()
        self._keyboard = keyboard if self._block else None
        self._in_place = InPlace(console)
        self._choice, self._stopping, self._cards = Choice(), Stopping(), CardWords()
        self._pending: deque[str] = deque()
        self._skipped = 0
        self._due = -math.inf if self._block else clock() + _PLAIN_SECONDS
        self._last_plain = ""
        self._last: Overview | None = None
        self.wants_to_quit = False

    @property
    def is_wide(self) -> bool:
        """Whether a line has room for a trial's parameters behind its result."""
        return self._block and self._console.width >= _WIDE

    def update(self, overview: Overview | Callable[[], Overview]) -> None:
        """Show the current state; redrawn at most four times a second and after a key (piped: one line every 30 s), else free.

        Args:
            overview: The state, or a function that makes it and is only called when something is drawn.
        """
        began = self._clock()
        self._leave_terminal()
        pressed = self._take_keys()
        if began < self._due:
            if pressed and self._last is not None:
                self._draw(self._last)
            return
        current = overview() if callable(overview) else overview
        self._last = current
        if self._block:
            self._draw(current)
        else:
            line = plain_line(current)
            if line != self._last_plain:
                self._print_plain(line)
                self._last_plain = line
        now = self._clock()
        self._due = now + max(_REDRAW_SECONDS if self._block else _PLAIN_SECONDS, (now - began) / _SHARE_OF_TIME)

    def event(self, text: str) -> None:
        """Say one line that stays: a finished trial, a warning."""
        self._leave_terminal()
        if not self._block:
            self._print_plain(text)
            return
        self._pending.append(text)
        if len(self._pending) > _MOST_PENDING:
            self._pending.popleft()
            self._skipped += 1

    def wait(self, seconds: float) -> None:
        """Until a key is pressed, at most so long: for whoever has nothing else to do."""
        if self._keyboard is not None:
            self._keyboard.wait(seconds)
        else:
            time.sleep(seconds)

    def close(self) -> None:
        """Take the block away; what was said stays."""
        if self._keyboard is not None:
            self._keyboard.close()
        self._leave_terminal()
        if self._block:
            self._in_place.close(self._said())

    def _leave_terminal(self) -> None:
        """Go on with plain lines if the terminal was closed and our words go to a file now."""
        if not self._block or self._console.is_terminal:
            return
        self._block, self._keyboard = False, None
        self._in_place.forget()
        self._due = self._clock() + _PLAIN_SECONDS
        while self._pending:
            self._print_plain(self._pending.popleft())

    def _print_plain(self, text: str) -> None:
        if self._console.is_terminal:
            self._console.print(one_line(text), soft_wrap=True)
        else:  # as it would write it: where a study says much, what a terminal needs is not worked out for each line
            self._console.file.write(f"{one_line(text)}\n")
            self._console.file.flush()

    # -- keys ---------------------------------------------------------------------------------------------------------

    def _take_keys(self) -> bool:
        """Whether something changed by what was pressed, or by what came of it."""
        said = self._stopping.said()
        self._choice.note = said or self._choice.note
        keys = self._keyboard.read() if self._keyboard is not None else []
        overview = self._last
        for key in keys if overview is not None else ():
            assert overview is not None
            sight = self._chosen(overview)
            rows, running = rows_of(overview), running_of(overview)
            self._do(press(self._choice, key, rows, trials_of(sight), running=running))
            if self._choice.asks is not None:
                break  # what was typed before the question could be read is no answer
        return bool(keys or said)

    def _do(self, wish: Wish) -> None:
        asks = self._choice.asks
        if wish == "quit":
            self._choice.note, self.wants_to_quit = self._on_quit, not self._on_quit
        elif wish == "redraw":
            self._in_place.forget()
        elif wish == "stop" and asks is not None and asks.trial is not None:
            self._choice.asks, self._choice.note = None, f"asking trial {asks.trial} to stop"
            self._stopping.ask(asks.folder, asks.trial)

    def _chosen(self, overview: Overview) -> Sight | None:
        if len(overview.sights) == 1:
            return overview.sights[0]
        return next((sight for sight in overview.sights if sight.folder == self._choice.folder), None)

    # -- drawing ------------------------------------------------------------------------------------------------------

    def _draw(self, overview: Overview) -> None:
        window = Window(self._console.width - 1, self._console.height - 1, is_unicode(self._console))
        self._in_place.draw(self._page(overview, window), self._said())

    def _page(self, overview: Overview, window: Window) -> list[RenderableType]:
        shown = Shown(overview, self._cards.of(overview), self._keyboard is not None)
        choice = self._choice
        if self._keyboard is not None:
            settle(choice, rows_of(overview))
        if choice.page == "all":
            page = picture_of_one if len(overview.sights) == 1 else picture
            return [*page(shown, choice, window)]
        foot = footer(shown, choice, window)
        return [*self._behind(overview, Window(window.width, window.height - len(foot), window.unicode)), *foot]

    def _behind(self, overview: Overview, window: Window) -> list[RenderableType]:
        """A page behind the page of all."""
        choice, sight = self._choice, self._chosen(overview)
        if choice.page == "help" or sight is None:
            return [*help_page(window)]
        if choice.page == "trials":
            return [*trials_page(sight, choice, window)]
        if choice.page == "log":
            return [*log_page(sight, choice, window)]
        lines = self._in_place.lines([trial_page(sight, choice.trial)])
        choice.top = max(0, min(choice.top, len(lines) - window.height))
        return [*lines[choice.top :][: window.height]]

    def _said(self) -> list[RenderableType]:
        """The pending lines, as they will stand above the block."""
        said: list[RenderableType] = [event_text(text) for text in self._pending]
        if self._skipped:
            said.insert(0, Text(f"and {self._skipped} trials before these: see trials.csv", style="dim"))
        self._pending.clear()
        self._skipped = 0
        return said


def _in_a_cell() -> bool:
    """Whether a notebook's ``!command`` shows our words: it is given a terminal, and shows what moves the cursor as it is. Its
    kernel says so in the environment (``JPY_PARENT_PID``, jupyter_client; ``PAGER=cat``, ipykernel)."""
    return "JPY_PARENT_PID" in os.environ and os.environ.get("PAGER") == "cat"
