"""The split never moves, and an overlap is named."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.profiles.splits import (
    find_overlap,
    key_hash,
    part_of,
    patient_key,
    refuse_overlap,
)
from clinicedge.runtime.errors import OverlapError


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
