"""No patient in two parts, none that trained the weights among those who judge them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

from ..profiles.boxes import BoxDataset
from ..profiles.datasets import Dataset
from ..profiles.masks import MaskDataset
from ..profiles.splits import refuse_overlap
from ..runtime.figures import Part
from ..runtime.manifest import DataHygiene

# Which patients of the weights' card may be in no part of ours that is named: what trained or
# chose the network would flatter it, and its test patients are read once, at the end.
_APART: dict[Part, tuple[Part, ...]] = {
    "train": ("select", "guard"),
    "select": ("guard",),
    "test": ("train", "select", "guard"),
    "official-test": ("train", "select", "guard"),
}
_DID: dict[Part, str] = {
    "train": "trained the weights",
    "select": "chose the weights",
    "test": "are the weights' test part",
    "official-test": "are the weights' official test part",
}


def refuse_overlaps(record: DataHygiene) -> None:
    """Stop where a patient is in two parts.

    Raises:
        OverlapError: names the parts and the hashes of the keys.
    """
    for one, other in combinations(record.parts, 2):
        names = (f"part '{one.part}' of {record.data}", f"its part '{other.part}'")
        refuse_overlap(one.patient_keys.split(), other.patient_keys.split(), names)


def refuse_trained(
    dataset: Dataset | MaskDataset | BoxDataset, trained: DataHygiene | None
) -> None:
    """Stop where patients of the weights' card would judge them, or are kept for their test.

    Raises:
        OverlapError: names the parts and the hashes of the keys.
    """
    for used in trained.parts if trained is not None else ():
        for part in _APART.get(used.part, ()):
            names = (
                f"the films of {dataset.name} for '{part}'",
                f"those that {_DID[used.part]}",
            )
            refuse_overlap(dataset.part(part).key_hashes(), used.patient_keys.split(), names)


def with_films(record: DataHygiene, read: Mapping[Part, Sequence[str]]) -> DataHygiene:
    """With the hashes of the films that were read of each part."""
    parts = tuple(
        replace(part, film_hashes=" ".join(sorted(set(read[part.part]))))
        if part.part in read
        else part
        for part in record.parts
    )
    return replace(record, parts=parts)


def films_twice(read: Mapping[Part, Sequence[str]]) -> int:
    """How many films of guard are the very files of calibration or select, under other patients."""
    before = {*read["train"], *read["select"]}
    return sum(name in before for name in read["guard"])
