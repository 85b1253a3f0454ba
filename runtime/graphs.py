"""An artifact opened whole: its one graph, or an encoder and a decoder that are asked as one.

A promptable model encodes a film once and decodes that for each box.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .engines import open_session
from .engines.border import check_input
from .manifest import Graph, TensorSpec
from .predictions import SessionReport
from .session import ArtifactFiles, Session, SessionOptions, Tensors
from .spec import BOX, DECODER, ENCODER

Answers = dict[str, NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Embedding:
    """A film as the encoder gives it to the decoder: float32 tensors by name."""

    tensors: Mapping[str, NDArray[np.float32]]


class TwoGraphs:
    """Encoder and decoder of one artifact behind the session seam: film and box in, mask out."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    report: SessionReport

    def __init__(self, encoder: Session, decoder: Session) -> None:
        self._encoder, self._decoder = encoder, decoder
        self._film = encoder.inputs[0].name
        box = tuple(t for t in decoder.inputs if t.name == BOX)
        self._shared = tuple(t.name for t in decoder.inputs if t.name != BOX)
        self.inputs = (*encoder.inputs, *box)
        self.outputs = decoder.outputs
        notes = dict.fromkeys((*encoder.report.notes, *decoder.report.notes))
        self.report = replace(encoder.report, notes=tuple(notes))

    def run(self, tensors: Tensors) -> Answers:
        """Encode a film and decode one box; see `Session.run`."""
        check_input(tensors, self.inputs)
        return self.decode(self.encode(tensors[self._film]), tensors[BOX])

    def encode(self, tensor: NDArray[np.float32]) -> Embedding:
        """What the decoder needs of a film float32 (1, C, H, W)."""
        found = self._encoder.run({self._film: tensor})
        return Embedding({name: found[name] for name in self._shared})

    def decode(self, film: Embedding, box: NDArray[np.float32]) -> Answers:
        """The decoder's outputs for one box float32 (1, 4) in pixels of the network's input."""
        return self._decoder.run({**film.tensors, BOX: box})

    def run_boxes(self, tensor: NDArray[np.float32], boxes: NDArray[np.float32]) -> Answers:
        """Encode once, decode each of boxes float32 (B, 4): outputs with B in front, (B, ...)."""
        film = self.encode(tensor)
        rows = [self.decode(film, box[None]) for box in boxes]
        return {t.name: np.concatenate([row[t.name] for row in rows]) for t in self.outputs}


def open_artifact(
    handle: ArtifactFiles, options: SessionOptions | None = None, engine: str | None = None
) -> Session:
    """Open every graph of an artifact; raises as `open_session`."""
    options = options or SessionOptions(compute=handle.artifact.computes[0])
    names = {graph.name for graph in handle.artifact.graphs}
    if names != {ENCODER, DECODER}:
        return open_session(handle, options=options, engine=engine)
    encoder, decoder = (
        open_session(handle, name, _of_graph(options, handle.artifact.graph(name)), engine)
        for name in (ENCODER, DECODER)
    )
    return TwoGraphs(encoder, decoder)


def _of_graph(options: SessionOptions, graph: Graph) -> SessionOptions:
    """A graph that stayed in float in an INT8 artifact computes in f32."""
    if options.compute == "int8" and graph.precision != "int8":
        return replace(options, compute="f32")
    return options
