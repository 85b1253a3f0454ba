"""The one narrow seam to the engines: named float32 tensors in, named float32 tensors out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .figures import Compute
from .manifest import Artifact, Format, Graph, TensorSpec
from .predictions import SessionReport

Tensors = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class SessionOptions:
    """How to open a graph.

    Attributes:
        compute: compute precision to pin; the engine refuses what it cannot pin.
        threads: 0 lets `open_session` take the processors that this process may use.
        device: the engine's word for it; "cpu" everywhere.
        allow_fallback: accept another device than asked for; the report then says so.
    """

    compute: Compute
    threads: int = 0
    device: str = "cpu"
    allow_fallback: bool = False


class Session(Protocol):
    """One graph open in one engine. Arrays are float32, channels first, batch axis included."""

    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...

    @property
    def report(self) -> SessionReport: ...

    def run(self, tensors: Tensors) -> dict[str, NDArray[np.float32]]:
        """Run once.

        Raises:
            TensorError: a name or shape is not the graph's.
        """
        ...


class Engine(Protocol):
    """What the entry-point group `clinicedge.engines` gives."""

    @property
    def name(self) -> str: ...

    @property
    def formats(self) -> tuple[Format, ...]: ...

    def version(self) -> str | None:
        """The installed engine and version, e.g. "onnxruntime 1.31.1"; None if not installed."""
        ...

    def open(self, files: tuple[Path, ...], graph: Graph, options: SessionOptions) -> Session:
        """Open the graph whose first file is `files[0]`."""
        ...


@dataclass(frozen=True)
class ArtifactFiles:
    """An artifact and the bundle folder that its file paths are relative to."""

    folder: Path
    artifact: Artifact
