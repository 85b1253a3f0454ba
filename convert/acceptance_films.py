"""Which phantoms a bundle carries as acceptance films: those whose answers spread.

`choose` runs in a child process (`isolated.call`).
"""

import io
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..runtime.boxes import to_input
from ..runtime.errors import ConversionError
from ..runtime.images import resize, scale
from ..runtime.manifest import Temperature, Threshold
from ..runtime.nms import probability
from ..runtime.phantom import Phantom, sample
from ..runtime.spec import InputSpec, ModelSpec
from .asking import asked
from .label_judge import decided_scores
from .phantom_films import phantom_pixels
from .prompt_films import usual_boxes
from .recipes import Export
from .running import Runnable
from .source import draws

if TYPE_CHECKING:
    from ..models.training.cropping import Crop

N_FILMS = 8
MAX_PNG_BYTES = 100_000
SPREAD = (0.07, 0.2, 0.35, 0.65, 0.8, 0.93)
NEAR = 0.1
# Aimed at, so that other artifacts, whose scores differ a little, are still near.
_AIM = 0.04
_CLOSE_ENOUGH = 0.01
_POOL = 64
# As ill and as well as a phantom can be, drawn after the first phantoms of the pool.
_EXTREMES = 16
_POOL_SEED = 8_000_000
_STEPS = 14
_PAIRS = 6

Pixels = NDArray[np.uint8]
# One figure a decided label: a probability, or of a mask the share of the film that is drawn.
Score = Callable[[Pixels], NDArray[np.float64]]


@dataclass(frozen=True)
class Target:
    """A wanted figure of the k-th decided label."""

    k: int
    value: float


def phantom_pool(spec: InputSpec, cropped: "Crop | None") -> tuple[Pixels, ...]:
    """Phantoms of one size, all that acceptance films are chosen and blended from."""
    return tuple(phantom_pixels(p, spec, cropped) for p in _phantoms())


def choose(
    reference: Runnable,
    spec: ModelSpec,
    thresholds: tuple[Threshold, ...],
    pool: tuple[Pixels, ...],
    fitted: tuple[Temperature, ...] = (),
) -> Export:
    """The films as PNG, by rising figures: phantoms, blended until these are the wanted.

    Args:
        thresholds: of the reference, one a decided label.
        pool: of `phantom_pool`.
        fitted: the reference's temperatures.
    """
    with tempfile.TemporaryDirectory() as name:
        session = reference.open(Path(name))

        def score(pixels: Pixels) -> NDArray[np.float64]:
            tensor = scale(resize(pixels, spec.input), spec.input)
            boxes = None
            if spec.task == "promptable-segmentation":
                boxes = to_input(np.array(usual_boxes(pixels.shape)), pixels.shape, spec.input)
            raw = asked(session, spec, tensor, boxes)
            if spec.task == "detection":
                return probability(raw[0].max(axis=0))
            if draws(spec):
                return _drawn(np.concatenate(raw, axis=1), thresholds[0].value)
            scores: NDArray[np.float64] = decided_scores(spec, raw, fitted)[0]
            return scores

        scored = [(score(pixels), pixels) for pixels in pool]
        wanted = _targets(spec, thresholds, scored)
        found = [_reach(t, scored, score) for t in wanted]
    found.sort(key=lambda item: float(np.mean(item[0])))
    return Export(tuple((f"{i:02}.png", _png(p)) for i, (_, p) in enumerate(found)), ())


def _drawn(raw: NDArray[np.float32], threshold: float) -> NDArray[np.float64]:
    """The share of the film on each channel of raw masks (C, H, W)."""
    hit = raw >= np.log(threshold / (1 - threshold))
    shares: NDArray[np.float64] = hit.reshape(len(raw), -1).mean(axis=1)
    return shares


def _phantoms() -> list[Phantom]:
    pool = [sample(_POOL_SEED + i) for i in range(_POOL)]
    few = pool[:_EXTREMES]
    ill = [replace(p, opacity=1.0, haze=1.0, extent=0.24, contrast=0.7, exposure=0.6) for p in few]
    well = [replace(p, opacity=0.0, haze=0.0, heart_size=0.8, contrast=1.2, ribs=1.5) for p in few]
    wide = [replace(p, lung_size=1.1) for p in well]
    return [*pool, *ill, *well, *wide]


def _targets(
    spec: ModelSpec,
    thresholds: tuple[Threshold, ...],
    scored: list[tuple[NDArray[np.float64], Pixels]],
) -> tuple[Target, ...]:
    """Scores: six over [.05, .95], label by label in turn, and two beside a threshold. Masks:
    from the least to the most that is drawn."""
    if draws(spec):
        shares = [float(s[0]) for s, _ in scored]
        values = np.linspace(min(shares), max(shares), N_FILMS)
        return tuple(Target(0, float(v)) for v in values)
    k = len(thresholds)
    spread = [Target(i % k, value) for i, value in enumerate(SPREAD)]
    low, high = thresholds[0].value - _AIM, thresholds[-1].value + _AIM
    return (*spread, Target(0, max(0.01, low)), Target(k - 1, min(0.99, high)))


def _reach(
    target: Target, pool: list[tuple[NDArray[np.float64], Pixels]], score: Score
) -> tuple[NDArray[np.float64], Pixels]:
    """The phantom nearest to the target, or a blend of two that is nearer."""
    k, value = target.k, target.value

    def distance(item: tuple[NDArray[np.float64], Pixels]) -> float:
        return abs(float(item[0][k]) - value)

    best = min(pool, key=distance)
    below = sorted((p for p in pool if p[0][k] < value), key=lambda p: -p[0][k])
    above = sorted((p for p in pool if p[0][k] > value), key=lambda p: p[0][k])
    for low, high in list(zip(below, above, strict=False))[:_PAIRS]:
        if distance(best) <= _CLOSE_ENOUGH:
            break
        best = min(best, _bisect(target, low[1], high[1], score), key=distance)
    return best


def _bisect(
    target: Target, low: Pixels, high: Pixels, score: Score
) -> tuple[NDArray[np.float64], Pixels]:
    """Blend a low-scoring into a high-scoring phantom until the score is the target's."""
    start, end = 0.0, 1.0
    tried: list[tuple[float, NDArray[np.float64], Pixels]] = []
    for _ in range(_STEPS):
        share = (start + end) / 2
        mixed = np.rint(low * (1 - share) + high * share).astype(np.uint8)
        found = score(mixed)
        off = float(found[target.k]) - target.value
        tried.append((abs(off), found, mixed))
        if abs(off) <= _CLOSE_ENOUGH:
            break
        start, end = (share, end) if off < 0 else (start, share)
    _, figures, pixels = min(tried, key=lambda t: t[0])
    return figures, pixels


def _png(pixels: Pixels) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="PNG", optimize=True)
    data = stream.getvalue()
    if len(data) > MAX_PNG_BYTES:
        raise ConversionError(
            f"an acceptance film has {len(data)} bytes as PNG, at most {MAX_PNG_BYTES} expected; "
            "draw smaller phantoms."
        )
    return data
