"""Acceptance films: phantoms whose scores spread, and what each artifact answered.

`choose` and `answers` run in a child process (`isolated.call`).
"""

import hashlib
import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.choices import processor
from ..runtime.engines import engine_for, require
from ..runtime.errors import ConversionError
from ..runtime.images import decode_film, prepare, resize, scale
from ..runtime.manifest import Acceptance, Precision
from ..runtime.phantom import Phantom, sample
from ..runtime.spec import ModelSpec
from .compare import positive_scores
from .films import phantom_pixels
from .recipes import Export
from .running import Runnable
from .variants import Run, variant_runs

N_FILMS = 8
MAX_PNG_BYTES = 100_000
# Reached or a note says so.
WANTED = (0.1, 0.9)
SPREAD = (0.07, 0.2, 0.35, 0.65, 0.8, 0.93)
NEAR = 0.1
# What OpenVINO is made to believe of the processor, so that older ones are among those tried.
OLDER_INSTRUCTIONS = ("AVX2", "SSE41")
# Aimed at, so that other artifacts, whose scores differ a little, are still near.
_AIM = 0.04
_CLOSE_ENOUGH = 0.01
_POOL = 64
# As ill and as well as a phantom can be, drawn after the first phantoms of the pool.
_EXTREMES = 16
_POOL_SEED = 8_000_000
_STEPS = 14
_PAIRS = 6
# Below these no difference is worth a refusal. Float engines order their sums as they like:
# 1e-3 is the tolerance of the conversion itself. In int8 one step of an activation, rounded the
# other way by another kernel, moves a logit by some hundredths: OpenVINO's answers, recorded on
# a processor with AMX, moved by 0.014 on an emulated Haswell and by 0.032 on a Cortex-A72, those
# of ONNX Runtime and LiteRT by less than 1e-6. The floor is twice the largest.
FLOOR: dict[Precision, float] = {"fp32": 1e-3, "fp16": 1e-3, "int8": 0.065}

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Answers:
    """Raw scores (one tuple a film), the band around them, and what was tried."""

    values: tuple[tuple[float, ...], ...]
    tolerance: float
    tried: tuple[str, ...]


def tensor_sha256(png: bytes, spec: ModelSpec) -> str:
    """Of the bytes of the float32 tensor that a device must prepare from the file."""
    tensor = prepare(decode_film(png, "acceptance.png"), spec.input)
    return hashlib.sha256(tensor.tobytes()).hexdigest()


def spread(spec: ModelSpec, record: Acceptance, artifact_id: str) -> tuple[float, float]:
    """Smallest and largest score that the artifact gave."""
    values = [e.values for f in record.films for e in f.expected if e.artifact == artifact_id]
    scores = positive_scores(spec, np.array(values, np.float32))
    return float(scores.min()), float(scores.max())


def choose(reference: Runnable, spec: ModelSpec, threshold: float) -> Export:
    """The films as PNG, by rising score: phantoms, blended until their scores are the wanted.

    Raises:
        ConversionError: fewer than two films come within 0.1 of the threshold.
    """
    with tempfile.TemporaryDirectory() as name:
        session = reference.open(Path(name))

        def score(pixels: Pixels) -> float:
            tensor = scale(resize(pixels, spec.input), spec.input)
            logits = session.run({spec.input.name: tensor})[spec.output("logits").name]
            return float(positive_scores(spec, logits)[0])

        drawn = [phantom_pixels(p, spec.input) for p in _phantoms()]
        pool = [(score(pixels), pixels) for pixels in drawn]
        found = [_reach(t, pool, score) for t in targets(threshold)]
    found.sort(key=lambda item: item[0])
    scores = tuple(s for s, _ in found)
    near = sum(abs(s - threshold) <= NEAR for s in scores)
    if near < 2:
        raise ConversionError(
            f"{near} of {N_FILMS} phantom films score within {NEAR} of the threshold "
            f"{threshold:.3f}, at least 2 expected; the network scored {len(pool)} phantoms from "
            f"{min(s for s, _ in pool):.3f} to {max(s for s, _ in pool):.3f}. It cannot be "
            "accepted on a device without films; train it further."
        )
    return Export(tuple((f"{i:02}.png", _png(p)) for i, (_, p) in enumerate(found)), ())


def _phantoms() -> list[Phantom]:
    pool = [sample(_POOL_SEED + i) for i in range(_POOL)]
    few = pool[:_EXTREMES]
    ill = [replace(p, opacity=1.0, haze=1.0, extent=0.24, contrast=0.7, exposure=0.6) for p in few]
    well = [replace(p, opacity=0.0, haze=0.0, heart_size=0.8, contrast=1.2, ribs=1.5) for p in few]
    wide = [replace(p, lung_size=1.1) for p in well]
    return [*pool, *ill, *well, *wide]


def targets(threshold: float) -> tuple[float, ...]:
    """The scores wanted: six over [.05, .95], two beside the threshold."""
    low, high = max(0.01, threshold - _AIM), min(0.99, threshold + _AIM)
    return (*SPREAD, low, high)


def answers(
    artifact: Runnable, spec: ModelSpec, png: tuple[bytes, ...], others: tuple[Run, ...]
) -> Answers:
    """One thread in the device's own session, then every variant of engine that can be tried.

    Args:
        others: runs that needed a process of their own.
    """
    tensors = [prepare(decode_film(p, "acceptance.png"), spec.input) for p in png]
    name = spec.output("logits").name
    with tempfile.TemporaryDirectory() as folder:
        session = artifact.open(Path(folder))
        here = np.stack([session.run({spec.input.name: t})[name][0] for t in tensors])
        seen, tried = 0.0, []
        for words, logits in (*variant_runs(artifact, Path(folder), tensors, name), *others):
            seen = max(seen, float(np.abs(logits - here).max()))
            tried.append(words)
    version = require(engine_for(artifact.format)).version() or artifact.format
    tolerance = max(2.0 * seen, FLOOR[artifact.graph.precision])
    return Answers(
        tuple(tuple(row) for row in here.tolist()),
        float(np.format_float_positional(tolerance, precision=3, fractional=False)),
        tuple(f"{version}, {_processor()}: {words}" for words in ("1 thread", *tried)),
    )


def answers_of_older(
    artifact: Runnable, spec: ModelSpec, png: tuple[bytes, ...], instructions: str
) -> Run:
    """As an older processor answers: OpenVINO's kernels for fewer instructions.

    Args:
        instructions: oneDNN's word, e.g. "AVX2". The engine must not be loaded before.
    """
    os.environ["ONEDNN_MAX_CPU_ISA"] = instructions
    tensors = [prepare(decode_film(p, "acceptance.png"), spec.input) for p in png]
    name = spec.output("logits").name
    with tempfile.TemporaryDirectory() as folder:
        session = artifact.open(Path(folder))
        rows = [session.run({spec.input.name: t})[name][0] for t in tensors]
    return f"kernels for {instructions}", np.stack(rows)


def _reach(
    target: float, pool: list[tuple[float, Pixels]], score: Callable[[Pixels], float]
) -> tuple[float, Pixels]:
    """The phantom nearest to the target, or a blend of two that is nearer."""
    best = min(pool, key=lambda item: abs(item[0] - target))
    below = sorted((p for p in pool if p[0] < target), key=lambda p: -p[0])
    above = sorted((p for p in pool if p[0] > target), key=lambda p: p[0])
    for low, high in list(zip(below, above, strict=False))[:_PAIRS]:
        if abs(best[0] - target) <= _CLOSE_ENOUGH:
            break
        best = min(best, _bisect(target, low[1], high[1], score), key=lambda i: abs(i[0] - target))
    return best


def _bisect(
    target: float, low: Pixels, high: Pixels, score: Callable[[Pixels], float]
) -> tuple[float, Pixels]:
    """Blend a low-scoring into a high-scoring phantom until the score is the target's."""
    start, end = 0.0, 1.0
    best: tuple[float, Pixels] | None = None
    for _ in range(_STEPS):
        share = (start + end) / 2
        mixed = np.rint(low * (1 - share) + high * share).astype(np.uint8)
        found = score(mixed)
        if best is None or abs(found - target) < abs(best[0] - target):
            best = (found, mixed)
        if abs(found - target) <= _CLOSE_ENOUGH:
            break
        start, end = (share, end) if found < target else (start, share)
    if best is None:
        raise ConversionError("no step was taken; expected at least one.")
    return best


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


def _processor() -> str:
    cpu = processor()
    wide = [f for f in ("avx2", "avx512f", "avx512_vnni", "amx_int8", "asimddp") if f in cpu.flags]
    return " ".join((cpu.architecture, *wide))
