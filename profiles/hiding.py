"""Films with the lungs, or all but the lungs, hidden behind the film's own median grey."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Bools = NDArray[np.bool_]
View = Literal[
    "plain",
    "lungs-hidden-silhouette",
    "lungs-hidden-box",
    "lungs-hidden-fixed-box",
    "lungs-only",
    "borders-hidden",
    "corners-hidden",
]
VIEWS: tuple[View, ...] = get_args(View)
# Holds the lungs of nine films in ten; the same for every film, so that it tells nothing itself.
FIXED_ROWS, FIXED_COLUMNS = (0.05, 0.95), (0.06, 0.94)
BORDER, CORNER = 0.10, 0.20


def hidden_part(view: View, lungs: Bools) -> Bools:
    """What a view hides: bool (H, W), for lungs bool (H, W).

    "lungs-hidden-silhouette" hides the lungs, "-box" their bounding box, "-fixed-box" rows 5-95 %
    and columns 6-94 % of any film; "borders-hidden" the outer 10 % of each side,
    "corners-hidden" four corners of 20 % of the sides.
    """
    height, width = lungs.shape
    hidden = np.zeros_like(lungs)
    if view == "lungs-hidden-silhouette":
        return lungs.copy()
    if view == "lungs-only":
        return ~lungs
    if view == "lungs-hidden-box" and lungs.any():
        rows, columns = np.flatnonzero(lungs.any(axis=1)), np.flatnonzero(lungs.any(axis=0))
        hidden[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    elif view == "lungs-hidden-fixed-box":
        (top, bottom), (left, right) = FIXED_ROWS, FIXED_COLUMNS
        hidden[
            round(top * height) : round(bottom * height), round(left * width) : round(right * width)
        ] = True
    elif view == "borders-hidden":
        hidden[:] = True
        deep, wide = round(BORDER * height), round(BORDER * width)
        hidden[deep : height - deep, wide : width - wide] = False
    elif view == "corners-hidden":
        deep, wide = round(CORNER * height), round(CORNER * width)
        for rows_ in (slice(0, deep), slice(height - deep, height)):
            for columns_ in (slice(0, wide), slice(width - wide, width)):
                hidden[rows_, columns_] = True
    return hidden


def hide(pixels: Pixels, lungs: Bools, view: View) -> Pixels:
    """The film as a view shows it: uint8 (H, W), what is hidden at the film's median grey."""
    grey = np.uint8(np.median(pixels))
    shown: Pixels = np.where(hidden_part(view, lungs), grey, pixels).astype(np.uint8)
    return shown
