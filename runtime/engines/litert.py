"""LiteRT (TFLite): `ai_edge_litert`, else `tflite_runtime`, which differs by 1-2 LSB in INT8."""

from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArtifactError, EngineFallbackError
from ..manifest import Format, Graph, TensorBinding, TensorSpec
from ..predictions import SessionReport
from ..session import Session, SessionOptions, Tensors
from .border import bindings, check_input, from_native, to_native

# module -> package; the first that is there is used.
RUNTIMES = {"ai_edge_litert": "ai-edge-litert", "tflite_runtime": "tflite-runtime"}


def _interpreter_class() -> Any:
    if find_spec("ai_edge_litert") is not None:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter
    from tflite_runtime.interpreter import Interpreter as Old  # type: ignore[import-not-found]

    return Old


class LiteRtSession:
    """A TFLite interpreter behind the session seam; one thread at a time."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    report: SessionReport

    def __init__(self, path: Path, graph: Graph, options: SessionOptions) -> None:
        try:
            interpreter = _interpreter_class()(model_path=str(path), num_threads=options.threads)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as err:
            raise ArtifactError(f"LiteRT cannot open {path.name}: {err}") from err
        self._interpreter = interpreter
        self.inputs = graph.inputs
        self.outputs = graph.outputs
        bound = bindings(graph)
        self._in = _slots(graph.inputs, bound, interpreter.get_input_details(), path)
        self._out = _slots(graph.outputs, bound, interpreter.get_output_details(), path)
        self.report = SessionReport(
            engine="litert",
            engine_version=ENGINE.version() or "",
            device="cpu",
            compute=options.compute,
            threads=options.threads,
        )

    def run(self, tensors: Tensors) -> dict[str, NDArray[np.float32]]:
        """Run once; see `Session.run`."""
        check_input(tensors, self.inputs)
        for name, index, binding in self._in:
            self._interpreter.set_tensor(index, to_native(tensors[name], binding))
        self._interpreter.invoke()
        return {
            name: from_native(self._interpreter.get_tensor(index), binding)
            for name, index, binding in self._out
        }


def _slots(
    specs: tuple[TensorSpec, ...],
    bound: dict[str, TensorBinding],
    details: list[dict[str, Any]],
    path: Path,
) -> list[tuple[str, int, TensorBinding]]:
    index = {d["name"]: int(d["index"]) for d in details}
    missing = [bound[s.name].native for s in specs if bound[s.name].native not in index]
    if missing:
        raise ArtifactError(
            f"{path.name}: no tensor {', '.join(missing)}; it has {', '.join(index)}. "
            "The file is not the one that the manifest describes; convert again."
        )
    return [(s.name, index[bound[s.name].native], bound[s.name]) for s in specs]


class LiteRtEngine:
    """Opens TFLite files."""

    name = "litert"
    formats: tuple[Format, ...] = ("tflite",)

    def version(self) -> str | None:
        """Which runtime and version, e.g. "ai-edge-litert 2.3.0"."""
        for module, package in RUNTIMES.items():
            if find_spec(module) is not None:
                try:
                    return f"{package} {metadata.version(package)}"
                except metadata.PackageNotFoundError:
                    continue
        return None

    def open(self, files: tuple[Path, ...], graph: Graph, options: SessionOptions) -> Session:
        """Open on the CPU; XNNPACK computes float graphs in f32."""
        expected = "int8" if graph.precision == "int8" else "f32"
        if options.compute != expected or options.device != "cpu":
            raise EngineFallbackError(
                f"LiteRT computes this graph in {expected} on the cpu, asked for "
                f"{options.compute} on {options.device}. Ask for what it has."
            )
        return LiteRtSession(files[0], graph, options)


ENGINE = LiteRtEngine()
