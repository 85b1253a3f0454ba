"""Run an export through the device's own sessions. Every function runs in a child process."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..runtime.engines import engine_for, require
from ..runtime.figures import Compute
from ..runtime.files import sha256_bytes
from ..runtime.manifest import FileEntry, Format, Graph
from ..runtime.session import Session, SessionOptions
from ..runtime.spec import ModelSpec
from .films import FilmSet
from .recipes import Export, Recipe
from .source import Outputs, features_name, tensor_specs

GRAPH = "main"


@dataclass(frozen=True)
class Runnable:
    """An export with the record that the manifest will hold of it."""

    artifact_id: str
    format: Format
    compute: Compute
    graph: Graph
    export: Export

    def open(self, folder: Path, threads: int = 1) -> Session:
        """Write the files into `folder` and open them as a device does."""
        for entry, (_, data) in zip(self.graph.files, self.export.files, strict=True):
            path = folder / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        paths = tuple(folder / entry.path for entry in self.graph.files)
        engine = require(engine_for(self.format))
        return engine.open(paths, self.graph, SessionOptions(self.compute, threads=threads))


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
