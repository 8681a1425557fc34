"""Write a tiny corpus and spaCy's own starting config into the current folder."""

import random

import spacy
from spacy.cli.init_config import init_config
from spacy.tokens import DocBin

GOOD = ["good", "fine", "splendid", "bright", "calm", "warm"]
BAD = ["bad", "dull", "broken", "grey", "noisy", "cold"]
FILLER = ["the", "a", "house", "day", "film", "road", "was", "very", "rather", "and", "it", "with"]


def write_corpus(path: str, size: int, seed: int) -> None:
    rng = random.Random(seed)
    make_doc = spacy.blank("en").make_doc
    corpus = DocBin()
    for _ in range(size):
        is_good = rng.random() < 0.5
        words = [rng.choice(FILLER) for _ in range(8)] + [rng.choice(GOOD if is_good else BAD)]
        rng.shuffle(words)
        doc = make_doc(" ".join(words))
        doc.cats = {"good": float(is_good), "bad": float(not is_good)}
        corpus.add(doc)
    corpus.to_disk(path)


write_corpus("train.spacy", 120, seed=1)
write_corpus("dev.spacy", 40, seed=2)
init_config(lang="en", pipeline=["textcat"], optimize="efficiency", silent=True).to_disk("config.cfg")
