"""Posts of made-up people about their days: written from a seed, so that everybody has the same, and nobody's life is in them.

A sentence has one or two clauses of a holder, a verb and an object. It meets a criterion if *the writer* (not a brother) does
something *troubled* (not cheerful) with an object of that criterion (not with a tax form); verb and object are its evidence.
Words alone do not tell: which holder goes with which verb and object does. Some objects are so rare that who has only read the
labelled posts has hardly seen them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

CRITERIA = ("none", "sleep", "energy", "appetite", "focus", "interest")
SHARES = (0.36, 0.20, 0.16, 0.12, 0.09, 0.07)  # of sentences; macro-F1 counts the rare ones alike
SENTENCES = (3, 5)  # a post

_OBJECTS = {
    "sleep": (
        "the night|my nap|the quiet bedroom|a pillow|early bedtime|"
        "my dreams|the soft mattress|a lullaby|midnight|the dark hours"
    ),
    "energy": (
        "the stairs|my walk to work|the laundry|the garden gate|a short run|"
        "the shopping bags|heavy boxes|the bike ride|chores|the hill"
    ),
    "appetite": (
        "my plate|the warm soup|breakfast|a sandwich|the birthday cake|"
        "leftovers|the rice bowl|lunch|a ripe pear|the stew"
    ),
    "focus": (
        "a single page|the crossword|my notes|the long meeting|an essay|"
        "the manual|this chapter|a lecture|the recipe steps|spreadsheets"
    ),
    "interest": (
        "my guitar|the choir|old records|the board games|a painting class|"
        "my stamp album|the football match|knitting|cinema night|pottery"
    ),
    "none": (
        "the tax form|a jigsaw|the old shed|my bus pass|a borrowed drill|"
        "the fence|two letters|the spare key|a flat tyre|the kite"
    ),
}
_OBJECTS_OF = {name: text.split("|") for name, text in _OBJECTS.items()}
_TROUBLED = (
    "could not finish|barely managed|gave up on|kept dreading|"
    "struggled through|turned away from|lost all wish for|failed again at"
)
_CHEERFUL = (
    "finally finished|easily managed|came back to|kept enjoying|"
    "sailed through|looked forward to|found new joy in|did well at"
)
_WRITER = ["i", "i", "i", "i really", "i also", "once more i"]
_OTHERS = ["my brother", "the neighbour", "a colleague", "my sister", "our teacher", "the man next door", "her cousin"]
_OPENERS = ["", "", "", "today", "this week", "to be honest", "last tuesday", "since the move", "as always"]
_JOINTS = [", and", ", but", ", while", "because", ", although"]
_TAILS = ["", "", "", "for hours", "at home", "and nobody noticed", "before the rain came", "with the radio on"]
_SMALL_TALK = [
    "the bus was late again", "it rained on the way home", "we painted the kitchen blue", "the cat sleeps on the radio",
    "my phone needs a new screen", "our street is being repaired", "she sent a card from the coast", "the shop opens at nine",
]  # fmt: skip


@dataclass(frozen=True)
class Sentence:
    """A sentence with what was marked in it.

    Attributes:
        words: In lower case, punctuation apart.
        criterion: Index in `CRITERIA`.
        span: First and last word of the evidence; ``None`` where there is none.
    """

    words: list[str]
    criterion: int
    span: tuple[int, int] | None


def load_sentences(part: str, most: int | None = None, seed: int = 0) -> list[Sentence]:
    """Write a part of the data.

    Args:
        part: ``train``, ``val``, ``test``, ``train+val``, or ``unlabelled``, which has twelve times as many.
        most: So many sentences of each part, at most.
        seed: Of all posts.
    """
    sentences: list[Sentence] = []
    for name in part.split("+"):
        rng = random.Random(f"{seed} {name}")
        posts = {"train": 130, "val": 60, "test": 90, "unlabelled": 1560}[name]
        written = [sentence for _ in range(posts) for sentence in _post(rng)]
        sentences += written[:most]
    return sentences


def vocabulary() -> list[str]:
    """Every word that a post can have."""
    texts = [
        *_OBJECTS.values(),
        _TROUBLED,
        _CHEERFUL,
        *_WRITER,
        *_OTHERS,
        *_OPENERS,
        *_JOINTS,
        *_TAILS,
        *_SMALL_TALK,
        ", .",
    ]
    return sorted({word for text in texts for word in text.replace("|", " ").split()})


def _post(rng: random.Random) -> list[Sentence]:
    return [_sentence(rng) for _ in range(rng.randint(*SENTENCES))]


def _sentence(rng: random.Random) -> Sentence:
    (name,) = rng.choices(CRITERIA, SHARES)
    if name == "none" and rng.random() < 0.25:
        return Sentence(f"{rng.choice(_OPENERS)} {rng.choice(_SMALL_TALK)} .".split(), 0, None)
    marked = [] if name == "none" else [_clause(rng, name)]
    others = [_harmless(rng) for _ in range(1 if marked else 2)]
    clauses = others[: 1 if not marked and rng.random() < 0.4 else 2]
    if marked:
        clauses = marked if rng.random() < 0.2 else rng.sample([*marked, others[0]], 2)
    words, span = rng.choice(_OPENERS).split(), None
    for place, (holder, deed) in enumerate(clauses):
        words += rng.choice(_JOINTS).split() if place else []
        words += holder.split()
        if marked and (holder, deed) == marked[0]:
            span = (len(words), len(words) + len(deed.split()) - 1)
        words += deed.split()
    words += [*rng.choice(_TAILS).split(), "."]
    return Sentence(words, CRITERIA.index(name), span)


def _clause(rng: random.Random, name: str) -> tuple[str, str]:
    """The writer, troubled by something of a criterion."""
    return rng.choice(_WRITER), f"{rng.choice(_TROUBLED.split('|'))} {_object(rng, name)}"


def _harmless(rng: random.Random) -> tuple[str, str]:
    """Somebody else who is troubled, or anybody who is cheerful, whatever the object; or trouble with what is no criterion's."""
    if rng.random() < 0.25:
        return _clause(rng, "none")
    thing = _object(rng, rng.choice(CRITERIA))
    if rng.random() < 0.5:
        return rng.choice(_OTHERS), f"{rng.choice(_TROUBLED.split('|'))} {thing}"
    return rng.choice([*_WRITER, *_OTHERS]), f"{rng.choice(_CHEERFUL.split('|'))} {thing}"


def _object(rng: random.Random, name: str) -> str:
    """The first objects of a list are the usual ones."""
    return _OBJECTS_OF[name][min(rng.randrange(10), rng.randrange(10))]
