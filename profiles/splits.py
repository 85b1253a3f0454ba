"""The one patient split, and the search for patients who are in two parts.

Fixed for good: figures in cards and bundles stand on it. A part is a function of the patient
key alone, so films added later fall where their patient already is.
"""

import hashlib
from collections.abc import Iterable
from typing import Literal

from ..runtime.errors import OverlapError
from ..runtime.manifest import Part

OfficialPart = Literal["train", "test"]
SPLIT_RULE = (
    "patient-sha256-v1: first 8 bytes of SHA-256(origin/official part/patient), big-endian, "
    "mod 10000; train < 7600, select < 8400, guard < 9200, else test; official test apart"
)
_BOUNDS: tuple[tuple[int, Part], ...] = ((7600, "train"), (8400, "select"), (9200, "guard"))
_SHOWN = 5


def patient_key(origin: str, official_part: OfficialPart, patient: str) -> str:
    """The name of a patient across data folders of one origin."""
    return f"{origin}/{official_part}/{patient}"


def part_of(key: str) -> Part:
    """The part of a patient of the official train part; official test films stay apart."""
    number = int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big") % 10_000
    for bound, part in _BOUNDS:
        if number < bound:
            return part
    return "test"


def key_hash(key: str) -> str:
    """12 hex digits that stand for a patient key in bundles and cards."""
    return hashlib.sha256(key.encode("utf-8")).hexdigest()[:12]


def find_overlap(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    """The hashes of patient keys that are in both, sorted."""
    return tuple(sorted(set(one) & set(other)))


def refuse_overlap(one: Iterable[str], other: Iterable[str], names: tuple[str, str]) -> None:
    """Stop where two sets of patient-key hashes share one.

    Args:
        names: what the two sets are, for the message.

    Raises:
        OverlapError: with up to 5 of the shared hashes and their count.
    """
    shared = find_overlap(one, other)
    if shared:
        more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
        raise OverlapError(
            f"{len(shared)} patients are in both {names[0]} and {names[1]}: "
            f"{', '.join(shared[:_SHOWN])}{more}. Figures would be inflated; expected none. "
            "Split by patient."
        )
