from __future__ import annotations

import re

import pytest

from outlast.results.latex import escaped, list_of, table

NASTY = '\\input{/etc/passwd} 50% of $x_1^2$ & #1 ~ <a|b> "q" {brace} −1 ± 2 é 中 \x1b[31m\n'


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a_b", r"a\_b"),
        ("50%", r"50\%"),
        ("\\end{tabular}", r"\textbackslash{}end\{tabular\}"),
        ("a & b", r"a \& b"),
        ("~^", r"\textasciitilde{}\textasciicircum{}"),
        ("\x1b[31mred", "[31mred"),
        ("中", "[U+4E2D]"),
        ("é", "é"),
    ],
)
def test_what_tex_would_run_is_printed(text, printed):
    assert escaped(text) == printed


def test_a_table_has_as_many_cells_in_every_row_and_ends_what_it_begins():
    text = table(
        ["trial", "lr", NASTY], [["1", "0.1", "a"], ["2", "0.2", NASTY * 3]], caption=NASTY, label="tab:x", right=[0]
    )
    begun, ended = re.findall(r"\\begin\{(\w+)\}", text), re.findall(r"\\end\{(\w+)\}", text)
    assert begun == ["table", "tabular"] and ended == ["tabular", "table"]
    assert r"\begin{tabular}{rll}" in text
    rows = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(rows) == 3 and all(len(re.findall(r"(?<!\\)&", row)) == 2 for row in rows)
    bare = re.sub(r"\\[\\{}$&#%_]", "", text)
    assert not re.search(r"[#%$_^~]", bare) and bare.count("{") == bare.count("}")


def test_nothing_is_read_as_an_option_of_what_stands_before_it():
    text = table(["λ"], [["λ"], ["[3pt]"], ["*"]], caption="", label="x") + list_of(["[a]", "*"])
    assert not re.search(r"(\\\\|\\item)\s*[\[*]", text)
    assert "{}[3pt]" in text


def test_a_list_has_its_items():
    assert list_of(["a_b", "c"]) == "\\begin{itemize}\n\\item a\\_b\n\\item c\n\\end{itemize}\n"
