"""Predictions as JSON: the one form that the command line prints and the server keeps."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .outlines import Polygon, region_outlines
from .predictions import (
    CascadeResult,
    Classification,
    Detections,
    Findings,
    Prediction,
    Segmentation,
)
from .records import to_json

# A noisy mask has thousands of specks; nobody looks at more outlines than these.
RAW_REGIONS = 50
RAW_OUTLINE = "raw_outline"


def prediction_json(prediction: Prediction) -> dict[str, Any]:
    """The whole prediction as dicts, lists and scalars.

    `kind` says which: "classification" (`probabilities` by label), "findings", "detection",
    "segmentation" or "cascade". Masks are told by outlines, lists of [x, y] in film pixels, closed
    without repeating the first point: `lesions` of the cleaned mask, `raw_outline` of the largest
    regions before cleaning, each its outer polygon and its holes.
    """
    match prediction:
        case Classification():
            return {
                "kind": "classification",
                **to_json(prediction),
                "probabilities": dict(prediction.probabilities),
            }
        case Findings():
            return {"kind": "findings", **to_json(prediction)}
        case Detections():
            return {"kind": "detection", **to_json(prediction)}
        case Segmentation():
            return {**segmentation_json(prediction), RAW_OUTLINE: raw_outline(prediction.raw)}
        case CascadeResult():
            return _cascade(prediction)


def segmentation_json(seen: Segmentation) -> dict[str, Any]:
    """As `prediction_json`, without `raw_outline`: on a large film that takes half of the time."""
    height, width = seen.mask.shape
    area = int(seen.mask.sum())
    return {
        "kind": "segmentation",
        "label": seen.label,
        "positive": seen.positive,
        "score": seen.score,
        "threshold": seen.threshold,
        "height": height,
        "width": width,
        "area_px": area,
        "area_share": area / (height * width),
        "lesions": [
            {**to_json(lesion), "outline": _points(lesion.outline)} for lesion in seen.lesions
        ],
        "report": to_json(seen.report),
        "timing": to_json(seen.timing),
        "caution": seen.caution,
        "members": to_json(seen.members),
        "score_of": seen.score_of,
        "note": seen.note,
    }


def raw_outline(raw: NDArray[np.bool_]) -> list[list[list[list[int]]]]:
    """The outlines of the largest regions of bool (H, W), as in `prediction_json`."""
    return [_points(region) for region in region_outlines(raw, RAW_REGIONS)]


def _points(polygons: tuple[Polygon, ...]) -> list[list[list[int]]]:
    """Points lie on corners of pixels: whole numbers take half the room."""
    return [[[int(x), int(y)] for x, y in polygon] for polygon in polygons]


def _cascade(seen: CascadeResult) -> dict[str, Any]:
    return {
        "kind": "cascade",
        "first": prediction_json(seen.first),
        "second": None if seen.second is None else prediction_json(seen.second),
        "report": to_json(seen.report),
        "timing": to_json(seen.timing),
        "caution": seen.caution,
        "members": to_json(seen.members),
    }
