"""What a DICOM data set says of the body: Body Part Examined, or the Anatomic Region."""

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

# What SNOMED RT was called before, and regions of CID 4031 under codes of before 2021.
_SNOMED_RT = ("SRT", "SNM3", "99SDM")
_RETIRED = {
    "51185008": "Chest",
    "113345001": "Abdomen",
    "12921003": "Pelvis",
    "416949008": "Abdomen and Pelvis",
}


def text_of(dataset: Dataset, keyword: str) -> str | None:
    """An element's value as text, None where it is absent or empty."""
    value = dataset.get(keyword)
    return str(value).strip() or None if value is not None else None


def body_part(dataset: Dataset) -> str | None:
    """Body Part Examined (0018,0015), else what the Anatomic Region (0008,2218) means.

    DX films must name the region and may leave the body part out. Of a code of PS3.16 CID 4031 it
    is the standard's own English meaning, of another the file's.
    """
    said = text_of(dataset, "BodyPartExamined")
    regions = dataset.get("AnatomicRegionSequence")
    if said or not isinstance(regions, Sequence) or not regions:
        return said
    scheme, code = (text_of(regions[0], k) or "" for k in ("CodingSchemeDesignator", "CodeValue"))
    return _region(scheme, code) or text_of(regions[0], "CodeMeaning")


def _region(scheme: str, code: str) -> str | None:
    """The English meaning of a code of SNOMED, None of those not in CID 4031."""
    # Late: a quarter of a second, and few films need it.
    from pydicom.sr.codedict import codes
    from pydicom.sr.coding import Code

    asked = Code(code, "SRT" if scheme in _SNOMED_RT else scheme, "")
    known = (*codes.cid4031.concepts.values(), *(Code(c, "SCT", m) for c, m in _RETIRED.items()))
    # Equal where SNOMED RT and CT mean the same.
    return next((str(one.meaning) for one in known if one == asked), None)
