"""Lines of handwriting by made-up writers: drawn from a seed, so that everybody has the same, and nobody has to download any.

A writer has habits: how the letters are shaped, how far they lean, how wide and how even they are, how thick the pen is. A page
adds its own accidents: the ink, the paper, a slight turn of the sheet. A line is a few words in the writer's letters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

HEIGHT, WIDTH = 32, 160  # pixels of a line
LETTERS = 12
PAGES = {"train": (0, 1, 2, 3), "val": (4, 5), "test": (6, 7)}  # of each writer: no page is in two parts
LINES = 6  # a page
_ALPHABET_SEED = 1234  # what the letters have in common, whoever writes them


@dataclass
class Lines:
    """Pictures of lines with who wrote them, and on which page.

    Attributes:
        pictures: ``(n, 1, HEIGHT, WIDTH)``, 0 paper to 1 ink.
        writers: ``(n,)``, from 0.
        pages: ``(n,)``, one number a page over all writers.
    """

    pictures: np.ndarray
    writers: np.ndarray
    pages: np.ndarray

    def __len__(self) -> int:
        return len(self.writers)


def load_lines(part: str, writers: int = 12, seed: int = 0) -> Lines:
    """Draw a part of the data.

    Args:
        part: ``train``, ``val``, ``test``, or ``train+val``.
        writers: How many there are.
        seed: Of writers, pages and words.
    """
    pictures, whose, pages = [], [], []
    for writer in range(writers):
        hand = _Hand(np.random.default_rng([seed, writer]))
        for page in (page for name in part.split("+") for page in PAGES[name]):
            rng = np.random.default_rng([seed, writer, page])
            sheet = rng.uniform(0.6, 1.0), rng.uniform(0.02, 0.1), rng.normal(0.0, 0.02)
            for _ in range(LINES):
                pictures.append(_line(hand, sheet, rng))
                whose.append(writer)
                pages.append(writer * 100 + page)
    return Lines(np.stack(pictures)[:, None].astype(np.float32), np.array(whose), np.array(pages))


class _Hand:
    """How one writer writes."""

    def __init__(self, rng: np.random.Generator) -> None:
        common = np.random.default_rng(_ALPHABET_SEED).uniform(
            0.0, 1.0, (LETTERS, 5, 2)
        )  # corners of each letter's stroke
        self.letters = common + rng.normal(0.0, 0.13, common.shape)
        self.slant = rng.uniform(-0.5, 0.7)
        self.height, self.width = rng.uniform(11.0, 17.0), rng.uniform(6.0, 10.0)
        self.gap, self.unevenness = rng.uniform(1.0, 4.0), rng.uniform(0.3, 1.2)
        self.pen = rng.uniform(0.6, 1.3)


def _line(hand: _Hand, sheet: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    ink, noise, turn = sheet
    x, dots = 4.0, []
    while x < WIDTH - 14:
        if rng.random() < 0.15:
            x += hand.width * 0.8  # between two words
            continue
        corners = hand.letters[rng.integers(LETTERS)] + rng.normal(0.0, 0.04, (5, 2))
        along = np.linspace(0.0, 4.0, 48)
        stroke = np.stack([np.interp(along, range(5), corners[:, axis]) for axis in (0, 1)], axis=1)
        up = stroke[:, 1] * hand.height
        across = x + stroke[:, 0] * hand.width + up * hand.slant
        down = HEIGHT * 0.78 - up + rng.normal(0.0, hand.unevenness)
        dots.append(np.stack([across, down + (across - WIDTH / 2) * turn], axis=1))
        x += hand.width + hand.gap
    return _inked(np.concatenate(dots), hand.pen, ink, noise, rng)


def _inked(dots: np.ndarray, pen: float, ink: float, noise: float, rng: np.random.Generator) -> np.ndarray:
    """A small round pen at each dot, on paper that is not quite white."""
    picture = np.zeros((HEIGHT, WIDTH))
    near = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3)), axis=-1).reshape(-1, 2)
    cells = np.round(dots)[:, None, :] + near
    pressed = np.exp(-((cells - dots[:, None, :]) ** 2).sum(-1) / (2 * pen**2))
    inside = (cells >= 0).all(-1) & (cells[..., 0] < WIDTH) & (cells[..., 1] < HEIGHT)
    columns, rows = cells[inside].astype(int).T
    np.maximum.at(picture, (rows, columns), pressed[inside])
    return np.clip(picture * ink + rng.normal(0.0, noise, picture.shape), 0.0, 1.0)
