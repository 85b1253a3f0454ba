"""The first principal component of a feature map over its places."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32] | NDArray[np.float64]
# Channels that are brought to float64 at a time: they stay in the cache, and fresh memory for all
# of them at once costs more than the arithmetic.
_BLOCK = 256
# A variance below this share of the energy is rounding of float32 features.
_FLAT = 1e-12


def first_component(features: Rows) -> NDArray[np.float64]:
    """The places' coordinates on the first principal axis, of arbitrary sign; 0 where flat.

    The eigenvector comes from the smaller of the two Gram matrices, centred: of the h * w places
    (49 x 49 for 2048 x 7 x 7), or of the C channels. The SVD of the whole gives the same.

    Args:
        features: (C, h, w).

    Returns:
        float64 (h, w).
    """
    channels, height, width = features.shape
    by_channel = features.reshape(channels, height * width)
    solve = _from_places if height * width <= channels else _from_channels
    return solve(by_channel).reshape(height, width)


def signed(
    component: NDArray[np.float64], evidence: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The component turned so that it rises with the evidence, both (h, w).

    Without evidence, or with none either way, its strongest value is positive.
    """
    agreement = 0.0
    if evidence is not None:
        agreement = float((component * (evidence - evidence.mean())).sum())
    strongest = float(component.flat[int(np.argmax(np.abs(component)))])
    return -component if agreement < 0 or (agreement == 0 and strongest < 0) else component


def _from_places(rows: Rows) -> NDArray[np.float64]:
    gram = np.zeros((rows.shape[1], rows.shape[1]))
    for block in blocks(rows):
        gram += block.T @ block
    energy = float(np.trace(gram))
    gram -= gram.mean(axis=0)
    gram -= gram.mean(axis=1)[:, None]
    values, vectors = np.linalg.eigh(gram)
    if values[-1] <= _FLAT * energy:
        return np.zeros(len(gram))
    return np.asarray(vectors[:, -1] * np.sqrt(values[-1]))


def _from_channels(rows: Rows) -> NDArray[np.float64]:
    places = rows.astype(np.float64)
    energy = float((places * places).sum())
    centred = places - places.mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    if values[-1] <= _FLAT * energy:
        return np.zeros(rows.shape[1])
    return np.asarray(vectors[:, -1] @ centred)


def blocks(rows: Rows) -> Iterator[NDArray[np.float64]]:
    """(C, n) as float64, some rows at a time."""
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK].astype(np.float64)
