"""The split never moves, and an overlap is named."""

import hashlib
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clinicedge.profiles.splits import (
    find_overlap,
    key_hash,
    part_of,
    patient_key,
    refuse_overlap,
    shuffled_parts,
    stratified_parts,
)
from clinicedge.runtime.errors import DataError, OverlapError


def test_known_patients_stay_where_they_are() -> None:
    keys = [patient_key("kermany", "train", f"person{n}") for n in range(1, 13)]
    assert keys[0] == "kermany/train/person1"
    assert [part_of(k) for k in keys] == [
        "train",
        "train",
        "train",
        "guard",
        "train",
        "train",
        "train",
        "select",
        "train",
        "train",
        "train",
        "train",
    ]
    assert key_hash(keys[0]) == "7d6d017c525a"


@given(st.text(min_size=1, max_size=40))
def test_the_part_follows_from_the_first_eight_bytes(key: str) -> None:
    number = int(hashlib.sha256(key.encode()).hexdigest()[:16], 16) % 10000
    expected = "train" if number < 7600 else "select" if number < 8400 else "guard"
    assert part_of(key) == (expected if number < 9200 else "test")
    assert key_hash(key) == hashlib.sha256(key.encode()).hexdigest()[:12]


def test_shares_are_as_promised() -> None:
    parts: list[str] = [part_of(f"x/train/{n}") for n in range(20_000)]
    for part, share in (("train", 0.76), ("select", 0.08), ("guard", 0.08), ("test", 0.08)):
        assert parts.count(part) / len(parts) == pytest.approx(share, abs=0.01)


@given(st.sets(st.text("abc", max_size=3)), st.sets(st.text("abc", max_size=3)))
def test_overlap_is_the_intersection(one: set[str], other: set[str]) -> None:
    assert set(find_overlap(one, other)) == one & other


def test_a_refusal_names_five_patients_and_counts_them() -> None:
    hashes = [key_hash(str(n)) for n in range(7)]
    with pytest.raises(OverlapError) as caught:
        refuse_overlap(hashes, [*hashes, "other"], ("train", "test"))
    text = str(caught.value)
    assert "7 patients are in both train and test" in text
    assert sum(h in text for h in hashes) == 5
    assert "and 2 more" in text


def test_disjoint_sets_pass() -> None:
    refuse_overlap(["a"], ["b"], ("train", "test"))


SCHEMES = ((80, 10, 10), (70, 15, 15), (60, 20, 20))


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=120),
    st.sampled_from(SCHEMES),
    st.integers(0, 5),
)
def test_shuffles_by_patient_keep_patients_together(
    owners: list[int], scheme: tuple[int, int, int], seed: int
) -> None:
    films = [f"f{n}" for n in range(len(owners))]
    patients = [f"p{n}" for n in owners]
    parts = shuffled_parts(films, patients, scheme, seed, "patient")
    assert len(parts) == len(films)
    assert len({(p, part) for p, part in zip(patients, parts, strict=True)}) == len(set(patients))
    largest = max(patients.count(p) for p in patients)
    share = scheme[0] * len(films) / 100
    assert share <= parts.count("train") < share + largest
    turned = shuffled_parts(films[::-1], patients[::-1], scheme, seed, "patient")
    assert turned[::-1] == parts


@given(st.integers(10, 300), st.sampled_from(SCHEMES), st.integers(0, 5))
def test_shuffles_by_image_have_the_shares(n: int, scheme: tuple[int, int, int], seed: int) -> None:
    films = [f"f{k}" for k in range(n)]
    parts = shuffled_parts(films, ["one"] * n, scheme, seed, "image")
    for part, share in zip(("train", "select", "test"), scheme, strict=True):
        assert abs(parts.count(part) - share * n / 100) < 1  # type: ignore[arg-type]


def test_every_seed_shuffles_otherwise_and_always_alike() -> None:
    films = [f"f{k}" for k in range(60)]
    drawn = [shuffled_parts(films, films, SCHEMES[0], seed, "image") for seed in range(3)]
    assert len(set(drawn)) == 3
    assert [k for k, part in enumerate(drawn[0]) if part == "test"] == [2, 11, 48, 54, 55, 58]


def test_what_is_no_shuffle_is_refused() -> None:
    with pytest.raises(DataError, match="each film once"):
        shuffled_parts(["a", "a"], ["p", "q"], SCHEMES[0], 0, "image")
    with pytest.raises(DataError, match="make 100"):
        shuffled_parts(["a"], ["p"], (80, 10, 20), 0, "image")


BLOCKS = st.dictionaries(
    st.text("0123456789", min_size=1, max_size=3),
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 20), min_size=1),
    max_size=40,
)


@settings(max_examples=30)
@given(BLOCKS, st.randoms(use_true_random=False))
def test_stratified_parts_depend_on_the_groups_alone(
    groups: dict[str, dict[str, int]], random: Random
) -> None:
    parts = stratified_parts(groups)
    assert parts.keys() == groups.keys()
    names = list(groups)
    random.shuffle(names)
    turned = {name: dict(reversed(groups[name].items())) for name in names}
    assert stratified_parts(turned) == parts


def test_every_stratum_gets_its_share() -> None:
    groups = {str(n): {"common": 20} for n in range(150)}
    groups |= {str(n): {"rare": 2, "common": 18} for n in range(150, 200)}
    groups |= {str(n): {"rarest": 1} for n in range(200, 213)}
    parts = stratified_parts(groups)
    for part, share in (("train", 0.76), ("select", 0.08), ("guard", 0.08), ("test", 0.08)):
        for stratum, films, coarse in (("common", 3900, 20), ("rare", 100, 2), ("rarest", 13, 1)):
            held = sum(groups[n].get(stratum, 0) for n, p in parts.items() if p == part)
            assert abs(held - share * films) <= coarse, (part, stratum, held)


def test_few_groups_train_and_none_gets_no_part() -> None:
    assert stratified_parts({}) == {}
    assert stratified_parts({"a": {"x": 3}, "b": {"x": 0}, "c": {}}) == {"a": "train"}
