"""Predictions in words, for tables."""

from ..runtime.predictions import (
    CascadeResult,
    Classification,
    Detections,
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
        case Detections():
            return f"probability of {seen.label} in the surest box"
        case Segmentation():
            if seen.score_of == "box":
                return f"probability of {seen.label} in the surest box"
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
        case Detections():
            return _boxes(seen)
        case CascadeResult():
            more = "" if seen.second is None else f"; {_findings(seen.second)}"
            return seen.first.label + more
    return _regions(seen)


def _findings(seen: Findings) -> str:
    positive = sorted((f for f in seen.findings if f.positive), key=lambda f: f.threshold - f.score)
    if not positive:
        return "no finding"
    return ", ".join(f"{f.label} {f.score:.2f}" for f in positive)


def _boxes(seen: Detections) -> str:
    if not seen.boxes:
        return f"no {seen.label}: {seen.note}"
    shown = [
        f"{b.label} {b.score:.2f} at {', '.join(f'{v:.0f}' for v in b.box)}"
        for b in seen.boxes[:SHOWN_REGIONS]
    ]
    return "; ".join(filter(None, (*shown, _more(len(seen.boxes)).strip(), seen.note)))


def _more(count: int) -> str:
    return f" and {count - SHOWN_REGIONS} more" if count > SHOWN_REGIONS else ""


def _regions(seen: Segmentation) -> str:
    if not seen.lesions:
        return f"no {seen.label}" + (f": {seen.note}" if seen.note else "")
    share = seen.mask.mean() * 100
    count = len(seen.lesions)
    told = ", ".join(_region(lesion) for lesion in seen.lesions[:SHOWN_REGIONS])
    return (
        f"{seen.label}: {count} region{'s' if count > 1 else ''}, {share:.1f} % of the film: "
        f"{told}{_more(count)}" + (f"; {seen.note}" if seen.note else "")
    )


def _region(lesion: Lesion) -> str:
    area = f"{lesion.area_px} px"
    if lesion.area_mm2 is not None:
        area += f" ({lesion.area_mm2:.0f} mm²)"
    if lesion.confidence is not None:
        area += f", box {lesion.confidence:.2f}"
    return f"{' '.join(lesion.location)} {area}"
