"""Folds of the train part, for the members of an ensemble.

Fold K of N leaves a share of the train patients out of training and adds them to select, where
the epoch is chosen. The other parts stay: no member has trained on the select part, so the
ensemble's own threshold can be set there.
"""

import hashlib
import re
from dataclasses import dataclass, replace

from ..runtime.errors import DataError
from .datasets import Dataset

MOST = 20


@dataclass(frozen=True)
class Fold:
    """Fold `number` (1..`of`) of `of`."""

    number: int
    of: int

    def rule(self, split: str) -> str:
        """The split in words, for cards and bundles; `split` is that of the whole data."""
        return (
            f"{split}; then fold {self.number}/{self.of}: train patients with bytes 9 to 16 of "
            f"SHA-256(origin/official part/patient) mod {self.of} = {self.number - 1} go to select"
        )

    def leaves_out(self, key: str) -> bool:
        """Whether a train patient is not trained on."""
        digest = hashlib.sha256(key.encode("utf-8")).digest()
        return int.from_bytes(digest[8:16], "big") % self.of == self.number - 1


def parse_fold(text: str) -> Fold:
    """ "2/3" is the second of three.

    Raises:
        DataError: not of that form, or out of range.
    """
    match = re.fullmatch(r"([0-9]{1,3})/([0-9]{1,3})", text)
    number, of = (int(n) for n in match.groups()) if match else (0, 0)
    if not 2 <= of <= MOST or not 1 <= number <= of:
        raise DataError(
            f"fold {text!r}; expected K/N with N from 2 to {MOST} and K from 1 to N, e.g. 1/3."
        )
    return Fold(number, of)


def apply_fold(data: Dataset, fold: Fold) -> Dataset:
    """The same films with the fold's patients moved from train to select."""
    films = tuple(
        replace(film, part="select")
        if film.part == "train" and fold.leaves_out(film.patient_key)
        else film
        for film in data.films
    )
    return replace(data, films=films, split=fold.rule(data.split))
