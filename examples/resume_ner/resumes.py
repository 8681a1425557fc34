"""Made-up résumés, from a seed: who somebody is, where they worked, what they studied and what they know.

    python resumes.py --documents 60 --output dataset     # dataset/resumes.jsonl, and dataset/documents.csv: a document a line

The same people's names are names of companies elsewhere, and half of all names are words that the vocabulary lacks: what
something is, its neighbours say.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from random import Random

KINDS = ("NAME", "COMPANY", "SCHOOL", "DEGREE", "SKILL", "DATE")
#: What a token can be: outside, the first word of an entity, or one that goes on with it.
LABELS = ("O", *(f"{part}-{kind}" for kind in KINDS for part in "BI"))

_FIRST = "Ada Bo Chen Dana Emil Fatou Goran Hana Ines Jonas Kaya Lior Mira Noor Olga Pedro Quinn Rosa Sven Tara"
_LAST = "Adler Brook Castro Demir Egede Falk Grant Hill Ito Jansen Keller Lund Marin Novak Okoro Park Reyes Stone"
_RARE = "ba be bi bo da de do ka ke ko la le lo ma me mo na ne no ra re ro sa se so ta te to va ve vo"
_FIRMS = "Systems Labs Logistics Foods Bank Health Energy Studios Partners"
_TOWNS = "Aarhus Bergen Cork Delft Essen Fribourg Gent Haifa Izmir Kyoto Leeds Malmo Nantes Oporto"
_DEGREES = ("Bachelor of Science", "Bachelor of Arts", "Master of Science", "Master of Laws", "PhD", "Diploma", "MBA")
_MONTHS = "January February March April May June July August September October November December"
_SAID = (
    ", : University of College Institute and worked for from to since in at joined hired by studied left with a taught "
    "colleagues résumé professional skills knows but no"
)
_JOBS = {
    "data": ("Python", "SQL", "Spark", "statistics", "machine learning", "data modelling", "dashboards"),
    "web": ("JavaScript", "TypeScript", "React", "CSS", "user research", "accessibility", "web design"),
    "finance": ("accounting", "auditing", "Excel", "risk analysis", "tax law", "forecasting", "budget planning"),
    "care": ("first aid", "wound care", "team leading", "patient records", "shift planning", "Excel", "counselling"),
}
Sentence = tuple[list[str], list[str]]  # words, and what each of them is


def _rare(dice: Random) -> str:
    return "".join(dice.choices(_RARE.split(), k=3)).capitalize()


def _sentence(*parts: str | tuple[str, str]) -> Sentence:
    """Plain text, and entities as pairs of kind and text."""
    words: list[str] = []
    labels: list[str] = []
    for part in parts:
        kind, text = ("", part) if isinstance(part, str) else part
        inside = text.split()
        words += inside
        labels += [f"{'I' if at else 'B'}-{kind}" if kind else "O" for at in range(len(inside))]
    return words, labels


def _years(dice: Random) -> tuple[str | tuple[str, str], ...]:
    begun = dice.randint(1995, 2020)
    first, last = (f"{dice.choice(_MONTHS.split())} {year}" for year in (begun, begun + dice.randint(1, 6)))
    return dice.choice(
        [("from", ("DATE", first), "to", ("DATE", last)), ("since", ("DATE", first)), ("in", ("DATE", str(begun)))]
    )


def _document(dice: Random, job: str) -> list[Sentence]:
    """One résumé: its sentences, in one of several orders and wordings."""
    first, last = (dice.choice(names.split()) if dice.random() < 0.5 else _rare(dice) for names in (_FIRST, _LAST))
    name, skills = f"{first} {last}", _JOBS[job]

    def firm() -> tuple[str, str]:
        owner = dice.choice([dice.choice(_LAST.split()), dice.choice(_FIRST.split()), _rare(dice)])
        return "COMPANY", dice.choice(
            [f"{owner} {dice.choice(_FIRMS.split())}", f"{owner} and {dice.choice(_LAST.split())}"]
        )

    def school() -> tuple[str, str]:
        town = dice.choice(_TOWNS.split())
        return "SCHOOL", dice.choice([f"University of {town}", f"{town} College", f"{_rare(dice)} Institute"])

    def known(count: int) -> list[tuple[str, str]]:
        return [("SKILL", skill) for skill in dice.sample(skills, count)]

    one, two, three = known(3)
    body = [
        dice.choice([_sentence("worked for", firm(), *_years(dice)), _sentence(*_years(dice), "at", firm())]),
        dice.choice([_sentence(("NAME", first), "joined", firm(), *_years(dice)), _sentence("hired by", firm())]),
        _sentence(("DEGREE", dice.choice(_DEGREES)), ",", school(), ",", *_years(dice)),
        _sentence("studied at", school(), "and left with a", ("DEGREE", dice.choice(_DEGREES))),
        _sentence("taught", known(1)[0], "to colleagues at", firm()),
    ]
    dice.shuffle(body)
    head = dice.choice([_sentence("résumé of", ("NAME", name)), _sentence(("NAME", name), ",", job, "professional")])
    foot = dice.choice(
        [_sentence("skills :", one, ",", two, ",", three), _sentence("knows", one, "and", two, "but no", three)]
    )
    return [head, *body[: dice.randint(3, 5)], foot]


def make(documents: int, seed: int) -> list[dict[str, object]]:
    """So many documents, each with an `id`, a `label` (its line of work) and its `sentences`; the same for the same seed."""
    jobs = sorted(_JOBS)
    return [
        {
            "id": f"resume-{number:04d}",
            "label": (job := jobs[number % len(jobs)]),
            "sentences": _document(Random(f"{seed}/{number}"), job),
        }
        for number in range(documents)
    ]


def vocabulary() -> list[str]:
    """The words that a tokenizer knows: all but rare names and years."""
    skills = [*_JOBS, *(skill for job in _JOBS.values() for skill in job)]
    return sorted({*" ".join([_FIRST, _LAST, _FIRMS, _TOWNS, _MONTHS, _SAID, *_DEGREES, *skills]).split()})


def read(folder: Path) -> dict[str, list[Sentence]]:
    """The sentences of each document in a folder, by the document's id."""
    with (folder / "resumes.jsonl").open(encoding="utf-8") as file:
        return {one["id"]: [tuple(pair) for pair in one["sentences"]] for one in map(json.loads, file)}


def main() -> None:
    """Write a data set."""
    parser = argparse.ArgumentParser(
        description="Make up résumés with the names, companies, schools, … in them marked."
    )
    parser.add_argument("--documents", type=int, default=60)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "dataset")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    made = make(args.documents, args.seed)
    with (args.output / "resumes.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in made)
    with (args.output / "documents.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("id", "label"), *((one["id"], one["label"]) for one in made)])
    print(f"{args.output}: {len(made)} résumés")


if __name__ == "__main__":
    main()
