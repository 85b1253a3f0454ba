"""What a map says, word for word."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.runtime.explanations.words import CAUTION, Named, in_words
from clinicedge.runtime.explanations.zones import (
    LEVELS,
    SIDES,
    ZONES,
    Located,
    ZoneShare,
    locate,
    lung_zones,
)

FOUND = Named("pneumonia", "viêm phổi")
NOT_FOUND = Named("pneumonia", "viêm phổi", positive=False)
PEAKS = [(v, h) for v in ("upper", "middle", "lower") for h in ("left", "centre", "right")]


def lungs() -> np.ndarray:
    found = np.zeros((60, 80), bool)
    found[6:54, 8:34] = found[6:54, 46:72] = True
    return found


def spot(rows: slice, columns: slice) -> Located:
    values = np.zeros((60, 80), np.float32)
    values[rows, columns] = 1.0
    found = locate(values, lungs())
    assert found is not None
    return found


def test_a_spot_at_the_films_lower_left_is_the_patients_right_lower_zone() -> None:
    told = in_words(spot(slice(40, 50), slice(10, 30)), FOUND)
    assert told.supports is True
    assert told.sentence == {
        "en": "The map for pneumonia points to the right lower zone (100 %); 100 % of it lies "
        "inside the lungs.",
        "vi": "Bản đồ cho viêm phổi chỉ vào vùng dưới phổi phải (100 %); 100 % bản đồ nằm trong "
        "phổi.",
    }
    assert "Saporta" in told.caution["en"]
    assert told.caution == CAUTION


def test_a_map_outside_the_lungs_does_not_support_the_finding() -> None:
    told = in_words(spot(slice(0, 6), slice(0, 20)), FOUND)
    assert told.supports is False
    assert told.sentence["en"] == (
        "The map does not support the finding pneumonia: 0 % of it lies inside the lungs; it is "
        "strongest at the upper left of the picture."
    )
    assert told.sentence["vi"] == (
        "Bản đồ không ủng hộ kết luận viêm phổi: 0 % bản đồ nằm trong phổi; mạnh nhất ở phía trên "
        "bên trái của ảnh."
    )


def test_a_negative_answer_has_no_finding_to_support() -> None:
    for rows in (slice(0, 6), slice(40, 50)):
        told = in_words(spot(rows, slice(10, 30)), NOT_FOUND)
        assert told.sentence["en"].startswith("Below the threshold")
        assert told.sentence["vi"].startswith("Dưới ngưỡng")
        assert "support" not in told.sentence["en"]


def test_flat_maps_and_unknown_lungs_are_said() -> None:
    flat = in_words(None, FOUND)
    assert flat.supports is None
    assert "flat" in flat.sentence["en"]
    assert "phẳng" in flat.sentence["vi"]
    unknown = in_words(Located(None, (), ("lower", "right")), FOUND)
    assert unknown.supports is None
    assert (
        "lower right of the picture (the patient's right is at its left)"
        in (unknown.sentence["en"])
    )
    assert "zone (" not in unknown.sentence["en"]


def test_a_map_all_over_names_no_zone() -> None:
    told = in_words(locate(np.ones((60, 80), np.float32) * lungs(), lungs()), FOUND)
    assert "several zones of both lungs" in told.sentence["en"]
    assert "nhiều vùng của cả hai phổi" in told.sentence["vi"]


@st.composite
def places(draw: st.DrawFn) -> Located:
    weights = [draw(st.floats(0, 1)) for _ in ZONES]
    outside = draw(st.floats(0.01, 1))
    total = sum(weights) + outside
    zones = [
        ZoneShare(side, level, w / total)
        for (side, level), w in zip(ZONES, weights, strict=True)
        if w > 0
    ]
    zones.sort(key=lambda z: -z.share)
    return Located(sum(weights) / total, tuple(zones), draw(st.sampled_from(PEAKS)))


@given(places(), st.booleans())
def test_both_languages_say_the_same(place: Located, positive: bool) -> None:
    told = in_words(place, Named("pneumonia", "viêm phổi", positive))
    en, vi = told.sentence["en"], told.sentence["vi"]
    assert re.findall(r"\d+ %", en) == re.findall(r"\d+ %", vi)
    assert told.supports == (place.inside is not None and place.inside >= 0.5)
    for side, word in zip(SIDES, ("phải", "trái"), strict=True):
        for level, height in zip(LEVELS, ("trên", "giữa", "dưới"), strict=True):
            named = f"the {side} {level} zone (" in en
            assert named == (f"vùng {height} phổi {word} (" in vi)


@given(places())
def test_the_zones_named_hold_most_of_what_is_inside(place: Located) -> None:
    told = in_words(place, FOUND)
    named = [int(n) for n in re.findall(r"zone \((\d+) %\)", told.sentence["en"])]
    assert len(named) <= 3
    if named:
        assert sum(named) >= 100 * 0.6 * (place.inside or 0) - 2


@pytest.mark.parametrize("number", range(6))
def test_every_zone_has_its_own_words(number: int) -> None:
    zones = lung_zones(lungs())
    rows, columns = np.nonzero(zones == number + 1)
    found = spot(slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    side, level = ZONES[number]
    assert f"the {side} {level} zone (100 %)" in in_words(found, FOUND).sentence["en"]
