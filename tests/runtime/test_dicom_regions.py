"""The body part that a DICOM film declares, in one attribute or the other."""

from pathlib import Path

import pytest
import tiny_bundles as tiny
from dicom_twins import RAMP, dataset, written
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from clinicedge.runtime.decoders import decode
from clinicedge.runtime.errors import OutsideUseError
from clinicedge.runtime.intended_use import refuse_outside


def declared(body_part: str | None, *regions: tuple[str, str, str]) -> str | None:
    ds = dataset(RAMP)
    del ds.BodyPartExamined
    if body_part is not None:
        ds.BodyPartExamined = body_part
    ds.AnatomicRegionSequence = Sequence(_region(*region) for region in regions)
    return decode(written(ds), "film.dcm").source.body_part


def _region(scheme: str, code: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodingSchemeDesignator, item.CodeValue, item.CodeMeaning = scheme, code, meaning
    return item


@pytest.mark.parametrize(
    ("region", "found"),
    [
        (("SCT", "72696002", "Knee"), "Knee"),
        (("SCT", "72696002", "Genou"), "Knee"),
        (("SRT", "T-D9200", "Knie"), "Knee"),
        (("SNM3", "T-D3000", ""), "Chest"),
        (("SCT", "51185008", "Brustkorb"), "Chest"),
        (("SCT", "816094009", "Chest"), "Chest"),
        (("SCT", "416550000", "Torax y abdomen"), "Chest and Abdomen"),
        (("99ACME", "K1", "Knee, standing"), "Knee, standing"),
        (("99ACME", "72696002", "Chest"), "Chest"),
        (("SCT", "1", ""), None),
        (("", "", ""), None),
    ],
)
def test_the_region_where_no_body_part_is(region: tuple[str, str, str], found: str | None) -> None:
    assert declared(None, region) == found
    assert declared("", region) == found
    assert declared("HAND", region) == "HAND"


def test_neither() -> None:
    assert declared(None) is None
    assert declared(" ") is None
    ds = dataset(RAMP)
    del ds.BodyPartExamined
    ds.AnatomicRegionSequence = Sequence([Dataset()])
    assert decode(written(ds), "film.dcm").source.body_part is None


def test_a_knee_that_only_the_region_declares_is_no_chest(tmp_path: Path) -> None:
    bundle = tiny.binary(tmp_path / "tiny")
    use = bundle.manifest.intended_use
    for region, refused in ((("SCT", "72696002", "Knee"), True), (("SCT", "816094009", ""), False)):
        ds = dataset(RAMP)
        del ds.BodyPartExamined
        ds.AnatomicRegionSequence = Sequence([_region(*region)])
        film = decode(written(ds), "film.dcm")
        if not refused:
            refuse_outside(film, use, "tiny")
            continue
        with pytest.raises(OutsideUseError, match=r"'film\.dcm' declares body part Knee"):
            bundle.predictor().predict(film)
