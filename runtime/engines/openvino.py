"""OpenVINO, with its compute precision pinned: left alone it takes bf16 or f16 where it can."""

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

DEVICES = {"cpu": "CPU", "gpu": "GPU", "npu": "NPU"}
# int8 graphs keep their float layers in f32.
HINTS = {"f32": "f32", "int8": "f32", "bf16": "bf16", "f16": "f16"}


class OpenVinoSession:
    """An OpenVINO infer request behind the session seam; one thread at a time."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    report: SessionReport

    def __init__(self, path: Path, graph: Graph, options: SessionOptions) -> None:
        import openvino as ov

        device = DEVICES.get(options.device)
        core = ov.Core()
        if device is None or device not in {d.split(".")[0] for d in core.available_devices}:
            raise EngineFallbackError(
                f"OpenVINO has no device '{options.device}' here; it has "
                f"{', '.join(core.available_devices)}."
            )
        settings = {
            "INFERENCE_PRECISION_HINT": HINTS[options.compute],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if device == "CPU":
            settings["INFERENCE_NUM_THREADS"] = options.threads
        try:
            compiled = core.compile_model(core.read_model(path), device, settings)
        except RuntimeError as err:
            raise ArtifactError(f"OpenVINO cannot open {path.name}: {_reason(err)}") from err
        self._compiled = compiled
        self._request = compiled.create_infer_request()
        self.inputs = graph.inputs
        self.outputs = graph.outputs
        bound = bindings(graph)
        self._in = [
            (t.name, compiled.input(bound[t.name].native), bound[t.name]) for t in graph.inputs
        ]
        self._out = [
            (t.name, compiled.output(bound[t.name].native), bound[t.name]) for t in graph.outputs
        ]
        self.report = _report(compiled, device, options)

    def run(self, tensors: Tensors) -> dict[str, NDArray[np.float32]]:
        """Run once; see `Session.run`."""
        check_input(tensors, self.inputs)
        # Into and out of the request's own memory: a dict of arrays costs 40 us a run.
        tensor_of = self._request.get_tensor
        for name, port, b in self._in:
            np.copyto(tensor_of(port).data, to_native(tensors[name], b))
        self._request.infer()
        return {name: from_native(np.array(tensor_of(port).data), b) for name, port, b in self._out}


def _reason(err: RuntimeError) -> str:
    """Without the places in OpenVINO's own source."""
    lines = [line.strip() for line in str(err).splitlines()]
    told = " ".join(line for line in lines if line and not line.startswith("Exception from "))
    return told or str(err)


def _report(compiled: Any, device: str, options: SessionOptions) -> SessionReport:
    hint = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    expected = HINTS[options.compute]
    if hint != expected:
        raise EngineFallbackError(
            f"OpenVINO computes in {hint} on this machine, asked for {expected}. Ask for f32."
        )
    used = [d.split(".")[0] for d in compiled.get_property("EXECUTION_DEVICES")]
    if used != [device]:
        raise EngineFallbackError(f"OpenVINO runs on {used}, asked for {device}.")
    threads = (
        int(compiled.get_property("INFERENCE_NUM_THREADS")) if device == "CPU" else options.threads
    )
    return SessionReport(
        engine="openvino",
        engine_version=ENGINE.version() or "",
        device=",".join(used),
        compute=options.compute,
        threads=threads,
    )


class OpenVinoEngine:
    """Opens OpenVINO IR (.xml with its .bin beside)."""

    name = "openvino"
    formats: tuple[Format, ...] = ("openvino",)

    def version(self) -> str | None:
        """e.g. "openvino 2026.4.1"."""
        try:
            return f"openvino {metadata.version('openvino')}"
        except metadata.PackageNotFoundError:
            return None

    def open(self, files: tuple[Path, ...], graph: Graph, options: SessionOptions) -> Session:
        """Open with the compute precision pinned."""
        if (graph.precision == "int8") != (options.compute == "int8"):
            raise EngineFallbackError(
                f"a graph of precision {graph.precision} cannot be computed in {options.compute}."
            )
        return OpenVinoSession(files[0], graph, options)


ENGINE = OpenVinoEngine()
