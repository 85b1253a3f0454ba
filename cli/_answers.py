"""Predictions in words, for tables."""

from ..runtime.predictions import (
    CascadeResult,
    Classification,
    Findings,
    Lesion,
    Prediction,
    Segmentation,
)

# More regions than these are counted, not listed.
SHOWN_REGIONS = 5


def numbers(seen: Prediction) -> tuple[float, float]:
    """The score that decides and its threshold; of findings the one that stands out most."""
    match seen:
        case Findings():
            top = max(seen.findings, key=lambda f: f.score - f.threshold)
            return top.score, top.threshold
        case CascadeResult():
            return seen.first.score, seen.first.threshold
    return seen.score, seen.threshold


def score_is(seen: Prediction) -> str:
    """What the score of such a prediction stands for."""
    match seen:
        case Findings():
            return "probability of the finding that stands out most"
        case Segmentation():
            return f"largest probability of {seen.label}"
        case CascadeResult():
            return f"probability of {seen.first.positive_label}"
    return f"probability of {seen.positive_label}"


def words(seen: Prediction) -> str:
    """The answer in one cell."""
    match seen:
        case Classification():
            return seen.label
        case Findings():
            return _findings(seen)
        case CascadeResult():
            more = "" if seen.second is None else f"; {_findings(seen.second)}"
            return seen.first.label + more
    return _regions(seen)


def _findings(seen: Findings) -> str:
    positive = sorted((f for f in seen.findings if f.positive), key=lambda f: f.threshold - f.score)
    if not positive:
        return "no finding"
    return ", ".join(f"{f.label} {f.score:.2f}" for f in positive)


def _regions(seen: Segmentation) -> str:
    if not seen.lesions:
        return f"no {seen.label}"
    share = seen.mask.mean() * 100
    count = len(seen.lesions)
    told = ", ".join(_region(lesion) for lesion in seen.lesions[:SHOWN_REGIONS])
    more = f" and {count - SHOWN_REGIONS} more" if count > SHOWN_REGIONS else ""
    return (
        f"{seen.label}: {count} region{'s' if count > 1 else ''}, {share:.1f} % of the film: "
        f"{told}{more}"
    )


def _region(lesion: Lesion) -> str:
    area = f"{lesion.area_px} px"
    if lesion.area_mm2 is not None:
        area += f" ({lesion.area_mm2:.0f} mm²)"
    return f"{' '.join(lesion.location)} {area}"
