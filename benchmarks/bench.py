"""All measurements by name: `make bench`, or a part of it, written to docs/benchmarks.md.

    python benchmarks/bench.py                      every part; about an hour
    python benchmarks/bench.py looking starting     these
    python benchmarks/bench.py --list
    python benchmarks/bench.py --quick              under three minutes: what CI measures, against what is on record
    python benchmarks/bench.py --page               the page anew from the figures that are kept

A part is a module with ``ABOUT``, a sentence or two, and ``figures(place, quick)``, which makes what it needs in the folder
`place` and returns what it measures. Figures are kept in ``benchmarks/recorded/PART.json``, and why one is short of its mark in
``benchmarks/recorded/PART.md``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from _figures import Figure, Measured, keep, load, machine, markdown, measure

PARTS = ("command",)
HERE = Path(__file__).parent
RECORDED = HERE / "recorded"
PAGE = HERE.parent / "docs" / "benchmarks.md"
_HEAD = """\
# Benchmarks

Written by `make bench` (`python benchmarks/bench.py --help`); nobody edits it by hand. Both sides are measured in one run, in
turn, and a ratio is the median of the rounds' ratios; a spread is the least and the most of all rounds. Each part says what
machine it was measured on, and how much other work that had (its load; 0 where it was idle). *Wanted* is the mark that we set
ourselves; a figure that falls short of it is named as such, with the reason.
"""


def run_part(name: str, *, rounds: int, quick: bool, only: Sequence[str] = ()) -> list[Measured]:
    """Measure a part."""
    module = importlib.import_module(name)
    about = machine()
    with tempfile.TemporaryDirectory(prefix="outlast-bench-") as place:
        figures: list[Figure] = module.figures(Path(place), quick)
        measured = [measure(figure, rounds) for figure in figures if not only or figure.key in only]
    if not quick:
        keep(RECORDED / f"{name}.json", about, measured)
    return measured


def worse(measured: Measured, recorded: Measured, *, more_is_better: bool) -> float:
    """How many times as bad as recorded: the ratio to the other side where there is one, else the figure itself."""
    now, then = (
        (measured.ratio, recorded.ratio)
        if recorded.ratio is not None
        else (median(measured.ours), median(recorded.ours))
    )
    assert now is not None and then is not None
    return then / now if more_is_better else now / then


def page() -> str:
    """The page of all figures that are kept."""
    sections = [_HEAD]
    for name in PARTS:
        path = RECORDED / f"{name}.json"
        if not path.exists():
            continue
        about, measured = load(path)
        versions = ", ".join(f"{of} {number}" for of, number in about["versions"].items() if number)
        sections.append(f"## {name}\n\n{importlib.import_module(name).ABOUT}\n")
        system = f"{about['cpus']} CPUs, load {about['load']}, {about['system']}, Python {about['python']}"
        sections.append(f"{about['date']}: {system}, {versions}.\n")
        sections.append(markdown(measured) + "\n")
        remarks = RECORDED / f"{name}.md"
        if remarks.exists():
            sections.append(remarks.read_text())
    return "\n".join(sections)


def main() -> None:
    """Measure, print the tables, keep the figures, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--only", nargs="*", default=[], metavar="FIGURE", help="these figures of the parts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="short, kept nowhere")
    parser.add_argument("--list", action="store_true", help="say which parts there are, and what they measure")
    parser.add_argument("--page", action="store_true", help="write the page anew, measure nothing")
    args = parser.parse_args()
    unknown = [name for name in args.parts if name not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}: {', '.join(PARTS)}")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is compiled once stays compiled, as it does for people
    chosen = args.parts or PARTS
    if args.list:
        for name in chosen:
            print(f"{name}: {importlib.import_module(name).ABOUT}")
        return
    for name in [] if args.page else chosen:
        print(f"{name}:", file=sys.stderr)
        print(markdown(run_part(name, rounds=2 if args.quick else args.rounds, quick=args.quick, only=args.only)))
    if not args.quick:
        PAGE.write_text(page())


if __name__ == "__main__":
    main()
