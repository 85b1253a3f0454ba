"""The one patient split, and the search for patients who are in two parts.

Fixed for good: figures in cards and bundles stand on it. A part is a function of the patient
key alone, so films added later fall where their patient already is. Two other splits have their
own place: `shuffled_parts` compares with publications, `stratified_parts` is for imported sets
without patient numbers, whose manifest keeps what it gave.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from ..runtime.errors import DataError, OverlapError
from ..runtime.figures import Part

OfficialPart = Literal["train", "test"]
SPLIT_RULE = (
    "patient-sha256-v1: first 8 bytes of SHA-256(origin/official part/patient), big-endian, "
    "mod 10000; train < 7600, select < 8400, guard < 9200, else test; official test apart"
)
_BOUNDS: tuple[tuple[int, Part], ...] = ((7600, "train"), (8400, "select"), (9200, "guard"))
# The same shares for stratified parts, in percent; of equal needs the first here is met.
_PERCENT: dict[Part, int] = {"test": 8, "select": 8, "guard": 8, "train": 76}
_SHOWN = 5
By = Literal["image", "patient"]


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


def stratified_parts(groups: Mapping[str, Mapping[str, int]]) -> dict[str, Part]:
    """A part for each group, so that each part gets its share of the films of every stratum.

    Iterative stratification (Sechidis et al. 2011, "On the stratification of multi-label data"),
    with whole groups in place of single films: the stratum that the fewest groups still hold
    comes first, its largest groups before the smaller ones, each to the part that lacks most films
    of it. The same groups give the same parts, in whatever order they come.

    Args:
        groups: films of each stratum, by group (a patient, or a block of neighbours); a group
            without films gets no part.
    """
    totals = Counter[str]()
    for held in groups.values():
        totals.update(held)
    # In hundredths of a film, so that nothing is rounded.
    needs = {part: {s: share * n for s, n in totals.items()} for part, share in _PERCENT.items()}
    left = {name: held for name, held in groups.items() if any(held.values())}
    parts: dict[str, Part] = {}
    while left:
        holders = Counter(s for held in left.values() for s, n in held.items() if n)
        rarest = min(holders, key=lambda s: (holders[s], s))
        having = [name for name, held in left.items() if held.get(rarest)]
        for name in sorted(having, key=lambda n: (-left[n][rarest], _shuffled(0, n))):
            held = left.pop(name)
            # `max` takes the first of equals.
            parts[name] = max(needs, key=lambda p: (needs[p][rarest], sum(needs[p].values())))
            for stratum, films in held.items():
                needs[parts[name]][stratum] -= 100 * films
    return parts


def shuffled_parts(
    films: Sequence[str], patients: Sequence[str], scheme: tuple[int, int, int], seed: int, by: By
) -> tuple[Part, ...]:
    """A part for each film by a shuffle, as publications split; for comparing with them alone.

    Films, or patients with all their films, are put into the order of a hash of `seed` and their
    name; the first so many percent of the films train, the next select, the rest test. By
    patient, the one in whom a share is reached still belongs to the part before it.

    Args:
        films, patients: N names each; a film's name occurs once.
        scheme: percent of train, select and test, together 100.

    Raises:
        DataError: lengths differ, a film occurs twice, or the scheme is none.
    """
    if len(films) != len(patients) or len(set(films)) != len(films):
        raise DataError(
            f"{len(films)} films, {len(set(films))} of them different, and {len(patients)} "
            "patients; expected as many, each film once."
        )
    if sum(scheme) != 100 or min(scheme) < 0:
        raise DataError(f"scheme {scheme}; expected three percentages that make 100.")
    names = films if by == "image" else patients
    held: dict[str, list[int]] = {}
    for number, name in enumerate(names):
        held.setdefault(name, []).append(number)
    parts: list[Part] = ["test"] * len(films)
    bounds = (scheme[0] * len(films), (scheme[0] + scheme[1]) * len(films))
    given = 0
    for name in sorted(held, key=lambda n: _shuffled(seed, n)):
        part: Part = "test"
        if 100 * given < bounds[1]:
            part = "train" if 100 * given < bounds[0] else "select"
        for number in held[name]:
            parts[number] = part
        given += len(held[name])
    return tuple(parts)


def _shuffled(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"shuffle {seed}\t{name}".encode()).digest()
