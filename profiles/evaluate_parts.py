"""Which films an evaluation may read: parts of the split, without patients that were used."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ..runtime.bundle import Bundle
from ..runtime.errors import DataError, OverlapError
from ..runtime.figures import Part
from .boxes import BoxDataset
from .datasets import Dataset
from .evaluation import TEST_PARTS, USED_PARTS, Question, Wanted
from .film_identity import refuse_copies
from .masks import MaskDataset
from .placing import Placed
from .splits import find_overlap

Data = TypeVar("Data", Dataset, MaskDataset, BoxDataset)
# What convert writes of weights without a card.
UNKNOWN = "not recorded"
_SHOWN = 5


@dataclass(frozen=True, eq=False)
class PartFilms:
    """Which of the scored films are in a part: bool (N,), and the patient keys of those."""

    name: Wanted
    inside: NDArray[np.bool_]
    patients: tuple[str, ...]


def part_films(name: Wanted, films: Sequence[Placed], held: Collection[Placed]) -> PartFilms:
    """The films of one part, `held`, among all that were scored."""
    known = set(held)
    inside = np.array([film in known for film in films])
    return PartFilms(name, inside, tuple(film.patient_key for film in films if film in known))


def choose_parts(bundle: Bundle, data: Data, question: Question) -> dict[Wanted, Data]:
    """The films of each part that is wanted.

    Raises:
        DataError: a part has no film.
        OverlapError: it holds a patient whom the bundle has already seen.
    """
    chosen = {part: _choose(data, part) for part in _wanted(bundle, data, question)}
    refuse_used_patients(bundle, chosen)
    return chosen


def used_patients(bundle: Bundle) -> dict[Part, frozenset[str]]:
    """Hashes of the patient keys that trained, tuned or guarded a model, by part.

    Of a pipeline: those of all its members together.
    """
    used: dict[Part, frozenset[str]] = {}
    manifests = [model.manifest for _, model in bundle.models()]
    for hygiene in (
        h for m in dict.fromkeys((bundle.manifest.data, *(m.data for m in manifests))) for h in m
    ):
        for part in hygiene.parts:
            if part.part in USED_PARTS:
                keys = frozenset(part.patient_keys.split())
                used[part.part] = used.get(part.part, frozenset()) | keys
    return used


def used_films(bundle: Bundle) -> frozenset[str]:
    """Hashes of the films that conversion read, of a pipeline those of all its members."""
    return frozenset(
        name
        for manifest in (bundle.manifest, *(model.manifest for _, model in bundle.models()))
        for hygiene in manifest.data
        for part in hygiene.parts
        if part.part in USED_PARTS
        for name in part.film_hashes.split()
    )


def refuse_used_films(bundle: Bundle, chosen: Mapping[Wanted, Data]) -> tuple[str, ...]:
    """Stop where a part consists of films that the bundle has seen under other names; else
    cautions about a few of them.

    Raises:
        OverlapError: more than a few are.
        DamagedFilmError: a film cannot be read.
    """
    told: tuple[str, ...] = ()
    seen = used_films(bundle)
    for name, data in chosen.items():
        names = (f"'{name}' of {data.name}", f"those that made '{bundle.manifest.name}'")
        told += refuse_copies([film.path for film in data.films], seen, names)
    return told


def unknown_training(bundle: Bundle) -> tuple[str, ...]:
    """A caution about models that do not say which patients trained them."""
    papers = ((m.manifest.name, m.manifest.provenance) for _, m in bundle.models())
    unknown = dict.fromkeys(n for n, p in papers if p is not None and p.training_data == UNKNOWN)
    if not unknown:
        return ()
    return (
        f"which patients trained {', '.join(unknown)} is not recorded: where they are among these, "
        "the figures are inflated",
    )


def refuse_used_patients(bundle: Bundle, chosen: dict[Wanted, Data]) -> None:
    """Stop where a part asked for holds a patient whom the bundle has already seen.

    Raises:
        OverlapError: names the parts, how many patients they share and some of their hashes.
    """
    used = used_patients(bundle)
    for name, dataset in chosen.items():
        keys = dataset.key_hashes()
        for part, seen in used.items():
            shared = find_overlap(keys, seen)
            if shared:
                more = f" and {len(shared) - _SHOWN} more" if len(shared) > _SHOWN else ""
                raise OverlapError(
                    f"'{name}' of {dataset.name} has {len(keys)} patients, {len(shared)} of them "
                    f"are in part '{part}' of '{bundle.manifest.name}': "
                    f"{', '.join(shared[:_SHOWN])}{more}. Figures on them would be inflated. "
                    "Evaluate the parts test and official-test, or other data."
                )


def _wanted(bundle: Bundle, data: Data, question: Question) -> tuple[Wanted, ...]:
    if question.parts:
        return question.parts
    keys = data.key_hashes()
    if any(find_overlap(keys, used) for used in used_patients(bundle).values()):
        tests = (p for p in TEST_PARTS if _choose(data, p, required=False).films)
        # Without a test part the refusal of "all" names whom the bundle has seen.
        return tuple(tests) or ("all",)
    return ("all",)


def _choose(data: Data, part: Wanted, required: bool = True) -> Data:
    if part == "all":
        chosen = data
    elif part == "official-test-new-patients":
        chosen = data.official_test_new_patients()
    else:
        chosen = data.part(part)
    if required and not chosen.films:
        raise DataError(
            f"{data.name} has no film in part '{part}'; expected one at least. "
            "Ask for another part."
        )
    return chosen
