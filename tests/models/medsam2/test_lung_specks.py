"""What the lung models keep of a mask: specks beside a lung are no part of it."""

import pytest

from clinicedge.models import zoo


@pytest.mark.parametrize("name", ["medsam2-256-lungs", "medsam2-mini-192-lungs"])
def test_lungs_in_boxes_lose_specks_as_lungs_on_films_do(name: str) -> None:
    asked, whole = zoo.spec(name).mask, zoo.spec("lungs-128").mask
    assert asked is not None
    assert whole is not None
    assert asked.min_area_share == whole.min_area_share == 0.01


def test_small_lesions_are_kept() -> None:
    for name in ("medsam2-512", "medsam2-256"):
        rules = zoo.spec(name).mask
        assert rules is not None
        assert rules.min_area_share == 0.0
