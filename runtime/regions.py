"""Connected regions of a mask, in numpy: labelling by runs and union-find."""

import numpy as np
from numpy.typing import NDArray


def label_regions(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number the 8-connected regions of bool (H, W), largest first.

    Returns:
        int32 (H, W) with 0 outside and 1..n inside, and the n areas in pixels.
        Equal areas: the one whose first pixel comes first in reading order.
    """
    rows, starts, ends = _runs(mask)
    if not len(rows):
        return np.zeros(mask.shape, np.int32), np.zeros(0, np.int64)
    roots = _join(rows, starts, ends)
    _, first, index = np.unique(roots, return_index=True, return_inverse=True)
    areas = np.bincount(index, weights=ends - starts).astype(np.int64)
    order = np.lexsort((first, -areas))
    number = np.empty(len(order), np.int32)
    number[order] = np.arange(1, len(order) + 1)
    labels = np.zeros(mask.shape, np.int32)
    flat = labels.reshape(-1)
    width = mask.shape[1]
    for row, start, end, value in zip(rows, starts, ends, number[index], strict=True):
        flat[row * width + start : row * width + end] = value
    return labels, areas[order]


def region_boxes(labels: NDArray[np.int32], count: int) -> list[tuple[int, int, int, int]]:
    """(x0, y0, x1, y1) of regions 1..count of `label_regions`, x1 and y1 beyond the last pixel."""
    rows, starts, ends = _runs((labels > 0) & (labels <= count))
    # Different regions never touch, so a run has one number.
    number = labels[rows, starts] - 1
    low = np.full((2, count), max(labels.shape), np.int64)
    high = np.zeros((2, count), np.int64)
    for axis, (first, beyond) in enumerate(((starts, ends), (rows, rows + 1))):
        np.minimum.at(low[axis], number, first)
        np.maximum.at(high[axis], number, beyond)
    return [tuple(box) for box in np.concatenate([low, high]).T.tolist()]


def enlarge_nearest(mask: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """bool (h, w) brought to (H, W) by the nearest pixel."""
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * m / n).astype(np.intp), m - 1)
        for n, m in zip(shape, mask.shape, strict=True)
    )
    return mask[np.ix_(rows, columns)]


def _runs(
    mask: NDArray[np.bool_],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """(row, first column, last column + 1) of each run of True, in reading order."""
    padded = np.zeros((mask.shape[0], mask.shape[1] + 2), np.int8)
    padded[:, 1:-1] = mask
    steps = np.diff(padded, axis=1)
    rows, starts = np.nonzero(steps == 1)
    _, ends = np.nonzero(steps == -1)
    return rows, starts, ends


def _join(
    rows: NDArray[np.intp], starts: NDArray[np.intp], ends: NDArray[np.intp]
) -> NDArray[np.intp]:
    """The first run of each run's region; runs touch also at corners."""
    parent = list(range(len(rows)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    first = np.searchsorted(rows, np.arange(int(rows[-1]) + 2)).tolist()
    begin, stop = starts.tolist(), ends.tolist()
    for row in range(1, len(first) - 1):
        above, here = first[row - 1], first[row]
        while above < first[row] and here < first[row + 1]:
            if begin[above] <= stop[here] and begin[here] <= stop[above]:
                one, other = root(above), root(here)
                parent[max(one, other)] = min(one, other)
            if stop[above] < stop[here]:
                above += 1
            else:
                here += 1
    return np.array([root(i) for i in range(len(parent))], np.intp)
