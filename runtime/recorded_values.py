"""What an acceptance film's answer is recorded as, and when two answers decide alike.

Scores: the K raw logits. A mask has too many: the means of its logits over 8 x 8 blocks, and the
share of its pixels that is drawn, for each box in turn where it was asked with boxes. A detector
likewise: means over 64 blocks of its boxes' coordinates and logits, each label's largest logit, and
the share of boxes that reach the threshold. Beside them stand the labels and the score of each: the
same values under other labels are another answer. Conversion records with the functions that the
device compares with.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .errors import SchemaError
from .manifest import Expected
from .predictor import probabilities
from .score_rules import Temperatures
from .spec import Meaning, OutputSpec, Task

BLOCKS = 8
LINE_BLOCKS = BLOCKS * BLOCKS
# One threshold, or one a label.
Level = float | Mapping[str, float]
# Drawn on one side and not on the other without a word: half a percent of the film.
AREA_FLOOR = 0.005
_SCORE_DIGITS = 6


def recorded_outputs(task: Task, outputs: Sequence[OutputSpec]) -> tuple[OutputSpec, ...]:
    """The outputs of which an artifact's answers are recorded.

    Raises:
        SchemaError: the model has none of the meaning that its task answers with.
    """
    if task == "detection":
        return (_first(outputs, "logits"), _first(outputs, "boxes"))
    return (_first(outputs, "mask" if task.endswith("segmentation") else "logits"),)


def _first(outputs: Sequence[OutputSpec], meaning: Meaning) -> OutputSpec:
    for output in outputs:
        if output.meaning == meaning:
            return output
    raise SchemaError(f"found no output that means {meaning!r}. Convert again.")


def acceptance_values(
    output: OutputSpec, raw: NDArray[np.float32], threshold: Level
) -> tuple[float, ...]:
    """The record of one film's raw output.

    Args:
        raw: float32 (1, K) scores; (B, C, H, W) logits of a mask, B of as many boxes; of a detector
            (1, N, K) logits or (1, N, 4) boxes.
        threshold: on the probability; only shares depend on it.

    Returns:
        K logits; of a mask B x C x 64 block means in reading order and then B x C shares 0..1; of
        a detector's logits K x 64 means, the K largest and K shares; of its boxes 4 x 64 means.
    """
    if output.meaning == "mask":
        channels = raw.reshape(-1, *raw.shape[2:])
        blocks = [float(v) for channel in channels for v in _block_means(channel)]
        levels = [_level(threshold, label) for label in output.labels] * len(raw)
        shares = [_share(c, level) for c, level in zip(channels, levels, strict=True)]
        return (*blocks, *shares)
    if len(output.shape) == 2:
        return _line_values(output, raw[0], threshold)
    return tuple(map(float, raw[0].tolist()))


def _line_values(
    output: OutputSpec, rows: NDArray[np.float32], threshold: Level
) -> tuple[float, ...]:
    """Of a detector's (N, K): `acceptance_values`."""
    blocks = _means_along(rows.astype(np.float64), 0, LINE_BLOCKS).T.reshape(-1).tolist()
    if not output.labels:
        return tuple(blocks)
    columns = list(zip(output.labels, rows.T, strict=True))
    shares = [_share(column, _level(threshold, label)) for label, column in columns]
    return (*blocks, *(float(column.max()) for _, column in columns), *shares)


def _level(threshold: Level, label: str) -> float:
    return logit(threshold if isinstance(threshold, float | int) else threshold[label])


def _shares(output: OutputSpec, count: int) -> int:
    """How many of a record's values are shares, the last ones."""
    if output.meaning != "mask":
        return len(output.labels) if len(output.shape) == 2 else 0
    blocks = min(BLOCKS, output.shape[1]) * min(BLOCKS, output.shape[2])
    return count // (blocks + 1)


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
    end = len(recorded) - _shares(output, len(recorded))
    before, now = (np.asarray(v[:end], np.float32) for v in (recorded, found))
    return float(np.max(np.abs(now - before)))


def label_scores(
    output: OutputSpec, values: Sequence[float], temperatures: Temperatures = ()
) -> tuple[float, ...]:
    """The score of each label that a record amounts to, rounded to 6 digits; () of boxes.

    Of a mask the probability at the mean of its logits, over all boxes that it was asked with; of
    a detector that of each label's best box.
    """
    count = len(output.labels)
    if output.meaning == "mask":
        means = np.asarray(values[: -_shares(output, len(values))], np.float64)
        logits = means.reshape(-1, count, means.size // _shares(output, len(values)))
        values = logits.mean(axis=(0, 2)).tolist()
    elif len(output.shape) == 2:
        values = values[-2 * count : -count] if count else ()
    found = probabilities(list(values), output, temperatures) if values else []
    return tuple(round(score, _SCORE_DIGITS) for score in found)


def other_labels(
    output: OutputSpec,
    expected: Expected,
    found: Sequence[float],
    temperatures: Temperatures = (),
) -> str:
    """How the labels differ that an answer within the tolerance has from the recorded ones.

    Args:
        found: the record of the answer.

    Returns:
        "" where they do not, or where none were recorded.
    """
    if not expected.labels:
        return ""
    if expected.labels != output.labels:
        return (
            f"the labels are {', '.join(output.labels)}, recorded were {', '.join(expected.labels)}"
        )
    # No logit moved by more than the tolerance; a sigmoid is nowhere steeper than 1/4.
    steepest = {"softmax": 0.5, "sigmoid": 0.25}.get(output.activation, 1.0)
    band = expected.tolerance * steepest / min((1.0, *temperatures)) + 10.0**-_SCORE_DIGITS
    here = label_scores(output, found, temperatures)
    for label, score, recorded in zip(output.labels, here, expected.scores, strict=True):
        # `not <=` also refuses NaN.
        if not abs(score - recorded) <= band:
            return f"the score of {label} is {score:.3f}, recorded was {recorded:.3f}"
    return ""


def same_decision(
    output: OutputSpec,
    expected: Expected,
    raw: NDArray[np.float32],
    thresholds: Mapping[str, float],
    temperatures: Temperatures = (),
) -> bool:
    """Whether an answer within the tolerance also decides as the recorded one.

    Scores: each label that has a threshold, unless the recorded score is so near to it that the
    tolerance can turn it; of a detector each label's best. Masks and a detector's boxes: the share
    that reaches the threshold may differ by what the tolerance can turn.
    """
    if output.meaning == "boxes":
        return True
    if output.meaning == "mask" or len(output.shape) == 2:
        channels = _channels(output, raw)
        levels = [logit(thresholds[label]) for label in output.labels]
        places = range(-len(channels), 0)
        shared = all(
            _same_share(channel, expected, levels[number % len(levels)], place)
            for number, (channel, place) in enumerate(zip(channels, places, strict=True))
        )
        return shared and (output.meaning == "mask" or _same_best(channels, expected, levels))
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
        values = _means_along(values, axis, BLOCKS)
    return values.reshape(-1)


def _means_along(values: NDArray[np.float64], axis: int, blocks: int) -> NDArray[np.float64]:
    length = values.shape[axis]
    count = min(blocks, length)
    starts = np.arange(count) * length // count
    sizes = np.diff(np.append(starts, length))
    summed = np.add.reduceat(values, starts, axis=axis)
    return np.asarray(summed / (sizes[:, None] if axis == 0 else sizes))


def _channels(output: OutputSpec, raw: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """What each share is of: masks (H, W) box by box, or a detector's logits (N,) a label."""
    if output.meaning == "mask":
        return list(raw.reshape(-1, *raw.shape[2:]))
    return list(raw[0].T)


def _same_best(
    channels: list[NDArray[np.float32]], expected: Expected, levels: list[float]
) -> bool:
    """Whether each label has a box at its threshold as in the record."""
    recorded = expected.values[-2 * len(channels) : -len(channels)]
    return all(
        abs(best - level) <= expected.tolerance
        or (float(channel.max()) >= level) == (best >= level)
        for channel, best, level in zip(channels, recorded, levels, strict=True)
    )


def _share(channel: NDArray[np.float32], level: float) -> float:
    return float(np.mean(channel >= level))


def _same_share(channel: NDArray[np.float32], expected: Expected, level: float, place: int) -> bool:
    band = 2.0 * expected.tolerance
    turns = _share(channel, level - band) - _share(channel, level + band)
    return abs(_share(channel, level) - expected.values[place]) <= turns + AREA_FLOOR
