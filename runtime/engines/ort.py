"""ONNX Runtime."""

from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ArtifactError, EngineFallbackError
from ..manifest import Format, Graph, TensorSpec
from ..predictions import SessionReport
from ..session import Session, SessionOptions, Tensors
from .border import bindings, check_input, from_native, to_native

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}
PACKAGES = ("onnxruntime", "onnxruntime-gpu")


class OrtSession:
    """An `onnxruntime.InferenceSession` behind the session seam; one thread at a time."""

    def __init__(self, path: Path, graph: Graph, options: SessionOptions) -> None:
        import onnxruntime as ort

        settings = ort.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.inter_op_num_threads = 1
        # Threads that spin on after a run take the cores from a pipeline's next network: with
        # lungs and ResNet50 on two cores an answer took 76 ms, without 33.
        settings.add_session_config_entry("session.force_spinning_stop", "1")
        settings.log_severity_level = 3
        wanted = PROVIDERS.get(options.device)
        if wanted is None:
            raise EngineFallbackError(
                f"onnxruntime has no device '{options.device}'; it knows {', '.join(PROVIDERS)}."
            )
        offered = ort.get_available_providers()
        providers = [p for p in dict.fromkeys((wanted, PROVIDERS["cpu"])) if p in offered]
        try:
            self._session = ort.InferenceSession(str(path), settings, providers=providers)
        except Exception as err:  # its exceptions share no public base class
            if type(err).__module__.startswith("onnxruntime") or isinstance(err, RuntimeError):
                raise ArtifactError(f"onnxruntime cannot open {path.name}: {err}") from err
            raise
        used = self._session.get_providers()[0]
        notes = _fallback_note(wanted, used, options)
        self.inputs = graph.inputs
        self.outputs = graph.outputs
        self.report = SessionReport(
            engine="onnxruntime",
            engine_version=ENGINE.version() or "",
            device=used,
            compute=options.compute,
            threads=self._session.get_session_options().intra_op_num_threads,
            notes=notes,
        )
        bound = bindings(graph)
        self._in = [(t.name, bound[t.name]) for t in graph.inputs]
        self._out = [(t.name, bound[t.name]) for t in graph.outputs]
        self._native_out = [b.native for _, b in self._out]

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    report: SessionReport

    def run(self, tensors: Tensors) -> dict[str, NDArray[np.float32]]:
        """Run once; see `Session.run`."""
        check_input(tensors, self.inputs)
        feed = {b.native: to_native(tensors[name], b) for name, b in self._in}
        values: list[Any] = self._session.run(self._native_out, feed)
        return {
            name: from_native(value, binding)
            for (name, binding), value in zip(self._out, values, strict=True)
        }


def _fallback_note(wanted: str, used: str, options: SessionOptions) -> tuple[str, ...]:
    if used == wanted:
        return ()
    found = f"onnxruntime runs on {used}, asked for {wanted}"
    if not options.allow_fallback:
        raise EngineFallbackError(f"{found}. Install its GPU build, or allow the fall-back.")
    return (found,)


class OrtEngine:
    """Opens ONNX files."""

    name = "onnxruntime"
    formats: tuple[Format, ...] = ("onnx",)

    def version(self) -> str | None:
        """e.g. "onnxruntime 1.31.1"."""
        for package in PACKAGES:
            try:
                return f"onnxruntime {metadata.version(package)}"
            except metadata.PackageNotFoundError:
                continue
        return None

    def open(self, files: tuple[Path, ...], graph: Graph, options: SessionOptions) -> Session:
        """Open; ONNX Runtime's CPU kernels compute f32 graphs in f32, so nothing else is kept."""
        expected = "int8" if graph.precision == "int8" else "f32"
        if options.compute != expected:
            raise EngineFallbackError(
                f"onnxruntime computes this graph in {expected}, asked for {options.compute}. "
                f"Ask for {expected}."
            )
        return OrtSession(files[0], graph, options)


ENGINE = OrtEngine()
