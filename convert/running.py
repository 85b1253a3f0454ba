"""Run an export through the device's own sessions. Every function runs in a child process."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.engines import engine_for, require
from ..runtime.figures import Compute
from ..runtime.files import sha256_bytes
from ..runtime.graphs import TwoGraphs
from ..runtime.manifest import FileEntry, Format, Graph, artifact_sha256
from ..runtime.session import Session, SessionOptions
from ..runtime.spec import ModelSpec
from .films import FilmSet
from .recipes import COMPUTE, Export, Recipe
from .source import Outputs, features_name, tensor_specs

GRAPH = "main"


@dataclass(frozen=True)
class Runnable:
    """An export with the record that the manifest will hold of it.

    `decoder`: the second graph of a promptable model, whose first is the encoder.
    """

    artifact_id: str
    format: Format
    compute: Compute
    graph: Graph
    export: Export
    decoder: "Part | None" = None

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """As the manifest lists them."""
        return (self.graph,) if self.decoder is None else (self.graph, self.decoder.graph)

    @property
    def identity(self) -> Graph | tuple[Graph, ...]:
        """What a step's key holds of it."""
        return self.graph if self.decoder is None else self.graphs

    @property
    def sha256(self) -> str:
        """The artifact's hash."""
        return artifact_sha256([entry for graph in self.graphs for entry in graph.files])

    @property
    def files(self) -> list[tuple[str, bytes]]:
        """Every file's path in the bundle, and its bytes."""
        exports = [self.export, *([self.decoder.export] if self.decoder else [])]
        return [
            (entry.path, data)
            for graph, export in zip(self.graphs, exports, strict=True)
            for entry, (_, data) in zip(graph.files, export.files, strict=True)
        ]

    def open(self, folder: Path, threads: int = 1) -> Session:
        """Write the files into `folder` and open them as a device does."""
        for place, data in self.files:
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        sessions = [self._open(graph, folder, threads) for graph in self.graphs]
        return sessions[0] if self.decoder is None else TwoGraphs(*sessions)

    def _open(self, graph: Graph, folder: Path, threads: int) -> Session:
        paths = tuple(folder / entry.path for entry in graph.files)
        compute = self.compute if graph.precision == self.graph.precision else COMPUTE["fp32"]
        engine = require(engine_for(self.format))
        return engine.open(paths, graph, SessionOptions(compute, threads=threads))


@dataclass(frozen=True)
class Part:
    """A graph beside the first, with its files."""

    graph: Graph
    export: Export


@dataclass(frozen=True, eq=False)
class Measured:
    """Raw scores float32 (N, K) on both film sets, and the mean cosine of the feature maps."""

    select: NDArray[np.float32]
    guard: NDArray[np.float32]
    features_cosine: float | None

    @property
    def finite(self) -> bool:
        """Whether all of it is numbers."""
        maps = self.features_cosine
        known = (self.select, self.guard, np.array([] if maps is None else [maps]))
        return all(bool(np.isfinite(values).all()) for values in known)


def runnable(spec: ModelSpec, recipe: Recipe, export: Export) -> Runnable:
    """The export at its place in the bundle: artifacts/FORMAT/RECIPE/FILE."""
    inputs, outputs = tensor_specs(spec)
    files = tuple(
        FileEntry(f"artifacts/{recipe.artifact_id}/{name}", sha256_bytes(data), len(data))
        for name, data in export.files
    )
    graph = Graph(GRAPH, recipe.precision, files, inputs, outputs, export.binding)
    return Runnable(recipe.artifact_id, recipe.format, recipe.compute, graph, export)


def measure(
    artifact: Runnable, spec: ModelSpec, select: FilmSet, guard: FilmSet, source: Outputs
) -> Measured:
    """Score both film sets, one thread; `source` has the network's outputs on guard."""
    scores = spec.output("logits").name
    maps = features_name(spec)
    with tempfile.TemporaryDirectory() as name:
        session = artifact.open(Path(name))
        on_select = [session.run({spec.input.name: t})[scores] for t in select.tensors()]
        on_guard, cosines = [], []
        for i, tensor in enumerate(guard.tensors()):
            found = session.run({spec.input.name: tensor})
            on_guard.append(found[scores])
            if maps is not None and source.features is not None:
                cosines.append(cosine(found[maps][0], source.features[i]))
    return Measured(
        np.concatenate(on_select),
        np.concatenate(on_guard),
        float(np.mean(cosines)) if cosines else None,
    )


def cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of the flattened arrays, in float64; 1 where both are zero."""
    a, b = one.ravel().astype(np.float64), other.ravel().astype(np.float64)
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else float(np.array_equal(a, b))
