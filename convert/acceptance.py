"""What each artifact answered on the acceptance films, and the band around it.

`answers` runs in a child process (`isolated.call`).
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from ..runtime.boxes import to_input
from ..runtime.choices import processor
from ..runtime.engines import engine_for, require
from ..runtime.errors import ArtifactError
from ..runtime.images import decode_film, prepare
from ..runtime.manifest import Precision
from ..runtime.recorded_values import acceptance_values, largest_difference
from ..runtime.spec import ModelSpec, OutputSpec
from . import asking
from .prompt_films import usual_boxes
from .running import Runnable
from .source import draws
from .variants import Question, Rows, Run, variant_runs

# What OpenVINO is made to believe of the processor, so that older ones are among those tried.
OLDER_INSTRUCTIONS = ("AVX2", "SSE41")
# Below these no difference is worth a refusal. Float engines order their sums as they like:
# 1e-3 is the tolerance of the conversion itself. In int8 one step of an activation, rounded the
# other way by another kernel, moves a logit by some hundredths: OpenVINO's answers, recorded on
# a processor with AMX, moved by 0.014 on an emulated Haswell and by 0.032 on a Cortex-A72, those
# of ONNX Runtime and LiteRT by less than 1e-6. The floor is twice the largest.
FLOOR: dict[Precision, float] = {"fp32": 1e-3, "fp16": 1e-3, "int8": 0.065}
# The floors were seen on logits of about this size; a step of an activation grows with its range.
_USUAL_LOGIT = 8.0
# What is recorded of each film.
Records = list[tuple[float, ...]]
# Masks have many values a film; more digits than the band tells apart say nothing.
_MASK_DIGITS = 6


@dataclass(frozen=True)
class Answers:
    """Values (one tuple a film), the band around them, and what was tried.

    `unopened`: what the engine has no kernels for, and its own words.
    """

    values: tuple[tuple[float, ...], ...]
    tolerance: float
    tried: tuple[str, ...]
    unopened: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unopened:
    """A variant in which the engine cannot open the artifact, and why."""

    variant: str
    reason: str


@dataclass(frozen=True)
class Questions:
    """The acceptance films as PNG, the threshold of the artifact that answers (masks and boxes;
    one a label where there are several), and which of its outputs are recorded."""

    png: tuple[bytes, ...]
    threshold: float | Mapping[str, float]
    outputs: tuple[OutputSpec, ...]


def tensor_sha256(png: bytes, spec: ModelSpec) -> str:
    """Of the bytes of the float32 tensor that a device must prepare from the file."""
    tensor = prepare(decode_film(png, "acceptance.png"), spec.input)
    return hashlib.sha256(tensor.tobytes()).hexdigest()


def answers(
    artifact: Runnable, spec: ModelSpec, asked: Questions, others: tuple[Run | Unopened, ...]
) -> tuple[Answers, ...]:
    """One thread in the device's own session, then every variant of engine that can be tried.

    Args:
        others: runs that needed a process of their own.

    Returns:
        One an output, all from the same runs.
    """
    questions = _questions(asked.png, spec)
    runs = (run for run in others if not isinstance(run, Unopened))
    with tempfile.TemporaryDirectory() as folder:
        session = artifact.open(Path(folder))
        here = ("1 thread", [asking.asked_all(session, spec, *q) for q in questions])
        tried = variant_runs(artifact, Path(folder), questions, spec, asked.outputs)
        # The records of each run are kept, what a detector or a segmenter answered is large.
        kept = [(words, _records(asked, rows)) for words, rows in chain([here], tried, runs)]
    version = require(engine_for(artifact.format)).version() or artifact.format
    words = tuple(f"{version}, {_processor()}: {words}" for words, _ in kept)
    unopened = (f"{version}, {o.variant}: {o.reason}" for o in others if isinstance(o, Unopened))
    common = words, tuple(unopened)
    found = zip(asked.outputs, *(records for _, records in kept), strict=True)
    return tuple(
        Answers(
            tuple(_shortened(row, spec) for row in mine),
            _tolerance(output, artifact.graph.precision, mine, theirs),
            *common,
        )
        for output, mine, *theirs in found
    )


def _records(asked: Questions, rows: Rows) -> list[Records]:
    return [
        [acceptance_values(output, row[output.name], asked.threshold) for row in rows]
        for output in asked.outputs
    ]


def _tolerance(
    output: OutputSpec, precision: Precision, mine: Records, theirs: list[Records]
) -> float:
    """Twice what any other run moved a value by, at least the floor; three digits."""
    pairs = (pair for records in theirs for pair in zip(mine, records, strict=True))
    seen = max(0.0, *(largest_difference(output, one, other) for one, other in pairs))
    found = max(2.0 * seen, _floor(precision, mine))
    return float(np.format_float_positional(found, precision=3, fractional=False))


def answers_of_older(
    artifact: Runnable, spec: ModelSpec, asked: Questions, name: str
) -> Run | Unopened:
    """As an older processor answers: OpenVINO's kernels for fewer instructions.

    Args:
        name: oneDNN's word for the instructions, e.g. "AVX2". The engine must not be loaded
            before.
    """
    os.environ["ONEDNN_MAX_CPU_ISA"] = name
    words = f"kernels for {name}"
    questions = _questions(asked.png, spec)
    with tempfile.TemporaryDirectory() as folder:
        try:
            session = artifact.open(Path(folder))
        except ArtifactError as err:
            # Of layer norms OpenVINO 2026.4 has none for SSE41.
            return Unopened(words, str(err))
        rows = [asking.asked_all(session, spec, *q) for q in questions]
    return words, rows


def boxes_of(png: bytes, spec: ModelSpec) -> tuple[tuple[float, float, float, float], ...]:
    """What a promptable model is asked with on the film, in its pixels; () for all others."""
    if spec.task != "promptable-segmentation":
        return ()
    return usual_boxes(decode_film(png, "acceptance.png").pixels.shape)


def _questions(png: tuple[bytes, ...], spec: ModelSpec) -> list[Question]:
    return [_question(p, spec) for p in png]


def _question(png: bytes, spec: ModelSpec) -> Question:
    film = decode_film(png, "acceptance.png")
    boxes = boxes_of(png, spec)
    rows = to_input(np.array(boxes), film.pixels.shape, spec.input) if boxes else None
    return prepare(film, spec.input), rows


def _floor(precision: Precision, here: Records) -> float:
    largest = max(abs(v) for row in here for v in row)
    return FLOOR[precision] * max(1.0, largest / _USUAL_LOGIT)


def _shortened(row: tuple[float, ...], spec: ModelSpec) -> tuple[float, ...]:
    if not draws(spec) and spec.task != "detection":
        return row
    return tuple(float(f"{value:.{_MASK_DIGITS}g}") for value in row)


def _processor() -> str:
    cpu = processor()
    wide = [f for f in ("avx2", "avx512f", "avx512_vnni", "amx_int8", "asimddp") if f in cpu.flags]
    return " ".join((cpu.architecture, *wide))
