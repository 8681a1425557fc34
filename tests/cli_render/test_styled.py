"""Our texts are those of Rich, and what is drawn without Rich is what Rich draws where nobody's window ends a line."""

from __future__ import annotations

import io
from typing import Any

import rich.console
import rich.text
from hypothesis import given
from hypothesis import strategies as st

from outlast.cli.render.styled import Group, Sheet, Text
from outlast.cli.render.text import Command, Facts, Paragraph, Rows, make_console

CONSOLE = rich.console.Console()
texts = st.text(st.sampled_from("ab \tc\n宽é\r·"), max_size=12)
styles = st.sampled_from(["", "bold", "dim", "red", "bold cyan"])
pairs = st.lists(st.tuples(texts, styles), max_size=4)


def looks(text: rich.text.Text) -> list[tuple[str, str]]:
    """Each character and its style."""
    return [(each, str(text.get_style_at_offset(CONSOLE, at))) for at, each in enumerate(text.plain)]


def both(base: tuple[str, str], parts: list[tuple[str, str]], above: str) -> list[Any]:
    made: list[Any] = []
    for kind in (Text, rich.text.Text):
        text: Any = kind(*base)
        for part in parts:
            text.append(*part)
        text.append_text(kind.assemble(*parts, kind("x", "green")))
        text.stylize(above)
        made.append(text)
    return made


@given(st.tuples(texts, styles), pairs, styles, st.integers(0, 9), st.lists(st.integers(0, 30), max_size=3).map(sorted))
def test_a_text_is_what_rich_makes_of_the_same_calls(
    base: tuple[str, str], parts: list[tuple[str, str]], above: str, width: int, cuts: list[int]
) -> None:
    ours, theirs = both(base, parts, above)
    assert (len(ours), ours.cell_len, bool(ours)) == (len(theirs), theirs.cell_len, bool(theirs))
    assert looks(ours.__rich__()) == looks(theirs)
    cuts = [cut for cut in cuts if cut <= len(ours)]
    for pieces in ("split", "divide"):
        given = {"allow_blank": True} if pieces == "split" else {}
        wanted = getattr(theirs, pieces)(*([] if given else [cuts]), **given)
        found = getattr(ours, pieces)(*([] if given else [cuts]), **given)
        assert [looks(part.__rich__()) for part in found] == [looks(part) for part in wanted]
    for change in (lambda text: text.rstrip(), lambda text: text.truncate(width)):
        for text in (ours, theirs):
            change(text)
        assert looks(ours.__rich__()) == looks(theirs)


@given(
    st.lists(st.tuples(texts, texts), max_size=3), st.lists(st.lists(texts, min_size=2, max_size=2), max_size=3), texts
)
def test_without_rich_a_screen_is_drawn_as_rich_draws_it(
    facts: list[tuple[str, str]], rows: list[list[str]], text: str
) -> None:
    one_line = [[" ".join(cell.split()) for cell in row] for row in rows]
    screen = Group(
        Text(text), Facts(facts), Text(), Rows(["a", "b"], one_line, right=frozenset({1})), "plain",
        Paragraph(Text(text), indent=4, head=Text("  - ")), Command(text, label="next"),
    )  # fmt: skip
    drawn = io.StringIO()
    make_console(file=drawn).print(screen)
    assert [*Sheet("utf-8", 10_000).lines(screen)] == drawn.getvalue().split("\n")[:-1]
