"""All measurements by name: `make bench`, or a part of it, written to docs/benchmarks.md.

    python benchmarks/bench.py                      every part; about an hour
    python benchmarks/bench.py looking starting     these
    python benchmarks/bench.py --list
    python benchmarks/bench.py --quick              under three minutes: counts and ratios, against what is on record
    python benchmarks/bench.py --quick --record     these are what later ones are compared with
    python benchmarks/bench.py --page               the page anew from the figures that are kept

A part is a module with ``ABOUT``, a sentence or two, and ``figures(place, quick)``, which makes what it needs in the folder
`place` and returns what it measures. Figures are kept in ``benchmarks/recorded``, a file a part, and beside it, where there is
one, a page that says why a figure is short of its mark.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from _figures import Measured, keep, load, machine, markdown, measure, times_as_bad

PARTS = ("command", "kept", "looking", "starting", "history", "scale")
#: Measured by programs of their own, which keep a page beside the others' figures.
APART = ("quality", "quality_dear", "quality_pruners")
HERE = Path(__file__).parent
RECORDED = HERE / "recorded"
QUICK = RECORDED / "quick.json"
TOO_BAD = 2.0  # times as bad as recorded
PAGE = HERE.parent / "docs" / "benchmarks.md"
_HEAD = """\
# Benchmarks

Written by `make bench` (`python benchmarks/bench.py --help`); nobody edits it by hand. Both sides are measured in one run, in
turn, and a ratio is the median of the rounds' ratios; a spread is the least and the most of all rounds. Each part says what
machine it was measured on, and how much other work that had (its load; 0 where it was idle), and so does a figure that was
measured at another time. *Wanted* is the mark that we set ourselves, and is reached where the median keeps to it; a figure that
falls short of it is named as such, with the reason.
"""


def run_part(name: str, *, rounds: int, only: Sequence[str] = ()) -> list[Measured]:
    """Measure a part, and keep its figures."""
    about = machine()
    with tempfile.TemporaryDirectory(prefix="outlast-bench-", ignore_cleanup_errors=True) as place:
        figures = importlib.import_module(name).figures(Path(place), False)
        measured = [measure(figure, rounds) for figure in figures if not only or figure.key in only]
    keep(RECORDED / f"{name}.json", about, measured)
    return measured


def run_quick(parts: Sequence[str] = PARTS) -> Iterator[tuple[Measured, float | None]]:
    """Measure what the quick form has: each figure, and how many times as bad it is as recorded; ``None``: that is not."""
    recorded = {each.key: each for each in load(QUICK)[1]} if QUICK.exists() else {}
    for name in parts:
        with tempfile.TemporaryDirectory(prefix="outlast-bench-", ignore_cleanup_errors=True) as place:
            for figure in importlib.import_module(name).figures(Path(place), True):
                if not figure.quick:
                    continue
                measured = replace(measure(figure, 2), key=f"{name}/{figure.key}")
                before = recorded.get(measured.key)
                yield measured, before and times_as_bad(measured, before, more_is_better=figure.more_is_better)


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
    sections += [path.read_text() for path in (RECORDED / f"{name}.md" for name in APART) if path.exists()]
    return "\n".join(sections)


def main() -> None:
    """Measure, print the tables, keep the figures, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all by default")
    parser.add_argument("--only", nargs="*", default=[], metavar="FIGURE", help="these figures of the parts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="counts and ratios only; fails where one is twice as bad")
    parser.add_argument("--record", action="store_true", help="with --quick: keep them")
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
    if args.quick:
        sys.exit(quick(chosen, record=args.record))
    for name in [] if args.page else chosen:
        print(f"{name}:", file=sys.stderr)
        print(markdown(run_part(name, rounds=args.rounds, only=args.only)))
    PAGE.write_text(page())


def quick(parts: Sequence[str], *, record: bool) -> int:
    """The quick form. Returns 1 where something is twice as bad as recorded."""
    about, found = machine(), list(run_quick(parts))
    print(markdown([measured for measured, _ in found]))
    if record:
        keep(QUICK, about, [measured for measured, _ in found])
        return 0
    bad = [
        f"{measured.title}: {times:.1f} times as bad as recorded"
        for measured, times in found
        if times and times > TOO_BAD
    ]
    print("\n".join(bad))
    return int(bool(bad))


if __name__ == "__main__":
    main()
