"""How an artifact is asked for its answer, by film alone or by film and boxes."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from ..runtime.graphs import TwoGraphs
from ..runtime.session import Session
from ..runtime.spec import ModelSpec, OutputSpec
from .films import FilmSet
from .source import scores_output

Floats = NDArray[np.float32]


def asked(
    session: Session,
    spec: ModelSpec,
    tensor: Floats,
    boxes: Floats | None,
    output: OutputSpec | None = None,
) -> Floats:
    """An output of one film float32 (1, C, H, W), the deciding one where none is named.

    Args:
        boxes: float32 (B, 4) in the network's pixels, of a promptable model.

    Returns:
        float32 (1, ...), of a promptable model (B, ...), a row a box.
    """
    return asked_all(session, spec, tensor, boxes)[(output or scores_output(spec)).name]


def asked_all(
    session: Session, spec: ModelSpec, tensor: Floats, boxes: Floats | None
) -> Mapping[str, Floats]:
    """Every output by name, of one run; see `asked`."""
    if isinstance(session, TwoGraphs) and boxes is not None:
        return session.run_boxes(tensor, boxes)
    return session.run({spec.input.name: tensor})


def with_boxes(films: FilmSet) -> Iterator[tuple[Floats, Floats | None]]:
    """Each film's tensor, and its boxes where the set has some."""
    boxes = films.boxes or (None,) * len(films)
    yield from zip(films.tensors(), boxes, strict=True)
