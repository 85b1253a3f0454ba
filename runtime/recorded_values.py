"""What an acceptance film's answer is recorded as, and when two answers decide alike.

Scores: the K raw logits. A mask has too many: the means of its logits over 8 x 8 blocks, and the
share of its pixels that is drawn. Conversion records with the functions that the device compares
with.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .errors import SchemaError
from .manifest import Expected
from .predictor import probabilities
from .score_rules import Temperatures
from .spec import OutputSpec

BLOCKS = 8
# Drawn on one side and not on the other without a word: half a percent of the film.
AREA_FLOOR = 0.005


def acceptance_values(
    output: OutputSpec, raw: NDArray[np.float32], threshold: float
) -> tuple[float, ...]:
    """The record of one film's raw output.

    Args:
        raw: float32 (1, K) scores or (1, C, H, W) logits of a mask.
        threshold: on the probability; only a mask's share depends on it.

    Returns:
        K logits; of a mask C x 64 block means in reading order and then C shares 0..1.
    """
    first = raw[0]
    if output.meaning != "mask":
        return tuple(map(float, first.tolist()))
    blocks = [float(v) for channel in first for v in _block_means(channel)]
    shares = [_share(channel, logit(threshold)) for channel in first]
    return (*blocks, *shares)


def largest_difference(
    output: OutputSpec, recorded: Sequence[float], found: Sequence[float]
) -> float:
    """Of two records: the largest difference of logits, which the tolerance is about.

    NaN where a value is no number.

    Raises:
        SchemaError: the records have different lengths.
    """
    if len(recorded) != len(found):
        raise SchemaError(
            f"acceptance answers of output '{output.name}' have {len(recorded)} values, expected "
            f"{len(found)}. Convert again."
        )
    end = len(recorded) - (len(output.labels) if output.meaning == "mask" else 0)
    before, now = (np.asarray(v[:end], np.float32) for v in (recorded, found))
    return float(np.max(np.abs(now - before)))


def same_decision(
    output: OutputSpec,
    expected: Expected,
    raw: NDArray[np.float32],
    thresholds: Mapping[str, float],
    temperatures: Temperatures = (),
) -> bool:
    """Whether an answer within the tolerance also decides as the recorded one.

    Scores: each label that has a threshold, unless the recorded score is so near to it that the
    tolerance can turn it. Masks: the drawn share may differ by what the tolerance can turn.
    """
    if output.meaning == "mask":
        return all(
            _same_share(raw[0, channel], expected, logit(thresholds[label]), channel - len(raw[0]))
            for channel, label in enumerate(output.labels)
        )
    recorded = probabilities(list(expected.values), output, temperatures)
    here = probabilities(raw[0].tolist(), output, temperatures)
    # Two logits of a softmax that each move by the tolerance move the score's by twice that.
    moved = expected.tolerance * (2.0 if output.activation == "softmax" else 1.0)
    for label, threshold in thresholds.items():
        index = output.labels.index(label)
        band = moved / (temperatures[index] if temperatures else 1.0)
        near = abs(logit(recorded[index]) - logit(threshold)) <= band
        if not near and (here[index] >= threshold) != (recorded[index] >= threshold):
            return False
    return True


def logit(share: float) -> float:
    """ln(p / (1 - p)), of a probability kept off 0 and 1."""
    clipped = min(max(share, 1e-12), 1.0 - 1e-12)
    return math.log(clipped / (1.0 - clipped))


def _block_means(channel: NDArray[np.float32]) -> NDArray[np.float64]:
    """Means of (H, W) over at most 8 x 8 blocks that are as equal as can be, in reading order."""
    values = channel.astype(np.float64)
    for axis in (0, 1):
        length = values.shape[axis]
        count = min(BLOCKS, length)
        starts = np.arange(count) * length // count
        sizes = np.diff(np.append(starts, length))
        summed = np.add.reduceat(values, starts, axis=axis)
        values = summed / (sizes[:, None] if axis == 0 else sizes)
    return values.reshape(-1)


def _share(channel: NDArray[np.float32], level: float) -> float:
    return float(np.mean(channel >= level))


def _same_share(channel: NDArray[np.float32], expected: Expected, level: float, place: int) -> bool:
    band = 2.0 * expected.tolerance
    turns = _share(channel, level - band) - _share(channel, level + band)
    return abs(_share(channel, level) - expected.values[place]) <= turns + AREA_FLOOR
