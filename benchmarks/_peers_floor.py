"""What no network is needed for: the true box, filled. Who is asked with a box must beat it."""

from functools import partial

import numpy as np
from _peers_common import Mask, Pixels
from _peers_films import Held, figures_of_peer
from _peers_plan import Entry, judged, progress
from _peers_table import Row

from clinicedge.runtime.boxes import Boxes


class FilledBoxes:
    """An `Outliner` that draws the boxes themselves."""

    def predict(self, pixels: Pixels, boxes: Boxes) -> Mask:
        """As `Outliner`."""
        found = np.zeros(pixels.shape, bool)
        for box in boxes:
            x0, y0, x1, y1 = (round(edge) for edge in box)
            found[y0:y1, x0:x1] = True
        return found


def floor(held: Held) -> Entry:
    """Its row; it is not timed."""
    row = Row("the true box, filled", "a box", "none").noted("no network, nothing to time")
    return Entry(judged(row, partial(figures_of_peer, FilledBoxes(), held, progress)))
