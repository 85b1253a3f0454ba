"""A map in a sentence, in Vietnamese and English, and the caution that stands beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from .zones import Located, ZoneShare

Language = Literal["vi", "en"]
# A map with less of its weight inside the lungs does not support a finding of the lungs.
SUPPORTS = 0.5
# Zones are named, the heaviest first, until they hold so much of what lies inside the lungs.
_NAMED = 0.6
_MOST_NAMED = 3
CAUTION = {
    "en": "Heat maps place findings less well than radiologists do, above all small ones (Saporta "
    "et al. 2022, Nature Machine Intelligence 4:867-878). A hint where to look, no outline of a "
    "disease.",
    "vi": "Bản đồ nhiệt định vị tổn thương kém hơn bác sĩ chẩn đoán hình ảnh, nhất là tổn thương "
    "nhỏ (Saporta và cộng sự 2022, Nature Machine Intelligence 4:867-878). Chỉ là gợi ý nơi cần "
    "xem, không phải đường viền tổn thương.",
}
_FLAT = {
    "en": "The map is flat: it points to no place on this film.",
    "vi": "Bản đồ phẳng: không chỉ ra vùng nào trên phim này.",
}


@dataclass(frozen=True)
class Words:
    """What a map says.

    Attributes:
        sentence, caution: by language, "vi" and "en".
        supports: whether the map supports the finding; None where it is flat or no lungs are known.
    """

    sentence: dict[Language, str]
    caution: dict[Language, str]
    supports: bool | None


@dataclass(frozen=True)
class Named:
    """What the finding is called in each language, and whether the answer says it is there."""

    en: str
    vi: str
    positive: bool = True


def in_words(located: Located | None, named: Named) -> Words:
    """The sentence for a map.

    Args:
        located: None for a flat map.
    """
    caution: dict[Language, str] = {"vi": CAUTION["vi"], "en": CAUTION["en"]}
    if located is None:
        return Words({"vi": _FLAT["vi"], "en": _FLAT["en"]}, caution, None)
    supports = None if located.inside is None else located.inside >= SUPPORTS
    sentences: dict[Language, str] = {
        "vi": _vietnamese(located, named, supports),
        "en": _english(located, named, supports),
    }
    return Words(sentences, caution, supports)


def _english(located: Located, named: Named, supports: bool | None) -> str:
    what = "The map for" if named.positive else "Below the threshold: what speaks most for"
    if supports is None:
        return (
            f"{what} {named.en} is strongest at the {_PEAK_EN[located.peak]} of the picture (the "
            "patient's right is at its left); the lungs are not known, so no zone is named."
        )
    inside = _percent(located.inside)
    if not supports:
        begin = (
            f"The map does not support the finding {named.en}"
            if named.positive
            else f"{what} {named.en} lies outside the lungs"
        )
        return (
            f"{begin}: {inside} of it lies inside the lungs; it is strongest at the "
            f"{_PEAK_EN[located.peak]} of the picture."
        )
    points = "points to" if named.positive else "lies in"
    zones = _zones(located, lambda z: f"the {z.side} {z.level} zone", " and ")
    where = zones or f"several zones of {_lungs_en(located)}"
    return f"{what} {named.en} {points} {where}; {inside} of it lies inside the lungs."


def _vietnamese(located: Located, named: Named, supports: bool | None) -> str:
    what = "Bản đồ cho" if named.positive else "Dưới ngưỡng: dấu hiệu gợi ý nhất của"
    if supports is None:
        return (
            f"{what} {named.vi} mạnh nhất ở {_PEAK_VI[located.peak]} của ảnh (bên phải người bệnh "
            "nằm ở bên trái ảnh); chưa xác định được phổi nên không nêu vùng phổi."
        )
    inside = _percent(located.inside)
    if not supports:
        begin = (
            f"Bản đồ không ủng hộ kết luận {named.vi}"
            if named.positive
            else f"{what} {named.vi} nằm ngoài phổi"
        )
        peak = _PEAK_VI[located.peak]
        return f"{begin}: {inside} bản đồ nằm trong phổi; mạnh nhất ở {peak} của ảnh."
    points = "chỉ vào" if named.positive else "nằm ở"
    zones = _zones(located, _zone_vi, " và ")
    where = zones or f"nhiều vùng của {_lungs_vi(located)}"
    return f"{what} {named.vi} {points} {where}; {inside} bản đồ nằm trong phổi."


def _zones(located: Located, name: Callable[[ZoneShare], str], last: str) -> str:
    """The heaviest zones with their shares; "" where it takes too many to say much."""
    wanted = _NAMED * (located.inside or 0.0)
    taken: list[ZoneShare] = []
    for zone in located.zones:
        if sum(z.share for z in taken) >= wanted:
            break
        taken.append(zone)
    if len(taken) > _MOST_NAMED:
        return ""
    words = [f"{name(zone)} ({_percent(zone.share)})" for zone in taken]
    return last.join(filter(None, (", ".join(words[:-1]), words[-1])))


def _lungs_en(located: Located) -> str:
    sides = {zone.side for zone in located.zones}
    return "both lungs" if len(sides) > 1 else f"the {sides.pop()} lung"


def _lungs_vi(located: Located) -> str:
    sides = {zone.side for zone in located.zones}
    return "cả hai phổi" if len(sides) > 1 else f"phổi {_SIDE_VI[sides.pop()]}"


def _zone_vi(zone: ZoneShare) -> str:
    return f"vùng {_LEVEL_VI[zone.level]} phổi {_SIDE_VI[zone.side]}"


def _percent(share: float | None) -> str:
    return f"{round(100 * (share or 0.0))} %"


_SIDE_VI = {"right": "phải", "left": "trái"}
_LEVEL_VI = {"upper": "trên", "middle": "giữa", "lower": "dưới"}
_PEAK_EN = {
    ("upper", "left"): "upper left",
    ("upper", "centre"): "upper middle",
    ("upper", "right"): "upper right",
    ("middle", "left"): "left",
    ("middle", "centre"): "centre",
    ("middle", "right"): "right",
    ("lower", "left"): "lower left",
    ("lower", "centre"): "lower middle",
    ("lower", "right"): "lower right",
}
_PEAK_VI = {
    ("upper", "left"): "phía trên bên trái",
    ("upper", "centre"): "phía trên chính giữa",
    ("upper", "right"): "phía trên bên phải",
    ("middle", "left"): "bên trái",
    ("middle", "centre"): "chính giữa",
    ("middle", "right"): "bên phải",
    ("lower", "left"): "phía dưới bên trái",
    ("lower", "centre"): "phía dưới chính giữa",
    ("lower", "right"): "phía dưới bên phải",
}
