"""Tables and texts for a paper, as LaTeX that needs no package."""

from __future__ import annotations

from collections.abc import Sequence

# What TeX reads as a command (The TeXbook, chapter 7), by what prints it in every font encoding.
_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\ensuremath{<}", ">": r"\ensuremath{>}",
    "|": r"\ensuremath{|}", "–": "--", "—": "---", "…": r"\ldots{}", "ρ": r"\ensuremath{\rho}", '"': "''",
    "−": r"\ensuremath{-}", "±": r"\ensuremath{\pm}", "×": r"\ensuremath{\times}",
}  # fmt: skip
_LONGEST = 60
_LATIN_ENDS = 0x180


def escaped(text: str) -> str:
    """A text that LaTeX prints as it is; control characters are left out.

    What pdfLaTeX has no letter for by itself, beyond the Latin ones, is told by its number: ``[U+4E2D]``.
    """
    return "".join(_SPECIAL.get(char) or _letter(char) for char in text if char.isprintable())


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str, label: str, right: Sequence[int] = ()
) -> str:
    """A floating table.

    Args:
        header: One word per column.
        rows: The cells, not escaped yet.
        caption: Below it, not escaped yet.
        label: For references; letters, digits, ``:`` and ``-``.
        right: The columns that are aligned to the right.
    """
    columns = "".join("r" if at in right else "l" for at in range(len(header)))
    lines = [
        r"\begin{table}[t]",
        r"\centering",
        rf"\caption{{{escaped(caption)}}}",
        rf"\label{{{label}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\hline",
        _row(header),
        r"\hline",
        *(_row(cells) for cells in rows),
        r"\hline",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def list_of(items: Sequence[str]) -> str:
    """Texts as an unnumbered list."""
    inside = "\n".join(rf"\item {_guarded(escaped(text))}" for text in items)
    return f"\\begin{{itemize}}\n{inside}\n\\end{{itemize}}\n"


def verbatim(text: str) -> str:
    """A text as it is, in the type of a machine; letters that pdfLaTeX lacks become ``?``."""
    plain = "".join(char if char == "\n" or (char.isprintable() and ord(char) < _LATIN_ENDS) else "?" for char in text)
    inside = plain.replace(r"\end{verbatim}", r"\end {verbatim}").strip("\n")
    return f"\\begin{{verbatim}}\n{inside}\n\\end{{verbatim}}\n"


def _letter(char: str) -> str:
    return char if ord(char) < _LATIN_ENDS else f"[U+{ord(char):04X}]"


def _row(cells: Sequence[str]) -> str:
    short = (cell if len(cell) <= _LONGEST else f"{cell[: _LONGEST - 3]}..." for cell in cells)
    return _guarded(" & ".join(escaped(" ".join(cell.split())) for cell in short)) + r" \\"


def _guarded(text: str) -> str:
    """What follows a command that may be given options, so that it is not read as one: ``\\\\[3pt]``, ``\\\\*``."""
    return "{}" + text if text.lstrip().startswith(("[", "*")) else text
