"""Other ways to run the same file: what another processor or setting may answer.

Runs in a child process. The session seam has no such switches and needs none: only the
tolerances of a bundle are made from these.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.engines.border import from_native, to_native
from ..runtime.manifest import TensorBinding
from ..runtime.spec import ModelSpec, OutputSpec
from .asking import asked_all
from .running import Runnable

Tensors = list[NDArray[np.float32]]
Bindings = Sequence[TensorBinding]
# A film's tensor, and boxes (B, 4) where it is asked with some.
Question = tuple[NDArray[np.float32], NDArray[np.float32] | None]
# The outputs of each film by name, float32 (1, ...) or (B, ...).
Rows = list[Mapping[str, NDArray[np.float32]]]
Run = tuple[str, Rows]


def variant_runs(
    artifact: Runnable,
    folder: Path,
    questions: list[Question],
    spec: ModelSpec,
    outputs: Sequence[OutputSpec],
) -> Iterator[Run]:
    """(what was changed, answers) for every variant of the artifact's engine, each run once.

    Of two graphs only the number of threads is changed.

    Args:
        folder: where the artifact's files lie, as `Runnable.open` left them.
        outputs: what is answered.
    """
    session = artifact.open(folder, threads=2)
    yield "2 threads", [asked_all(session, spec, *q) for q in questions]
    if artifact.decoder is not None:
        return
    tensors = [tensor for tensor, _ in questions]
    path = folder / artifact.graph.files[0].path
    bound = {b.name: b for b in artifact.graph.binding}
    into, outs = bound[spec.input.name], [bound[output.name] for output in outputs]
    if artifact.format == "onnx":
        yield from _onnx(path, tensors, into, outs)
    elif artifact.format == "tflite":
        yield from _tflite(path, tensors, into, outs)
    else:
        yield from _openvino(path, tensors, into, outs)


def _onnx(path: Path, tensors: Tensors, into: TensorBinding, outs: Bindings) -> Iterator[Run]:
    import onnxruntime as ort

    levels = {
        "basic graph optimization": ort.GraphOptimizationLevel.ORT_ENABLE_BASIC,
        "no graph optimization": ort.GraphOptimizationLevel.ORT_DISABLE_ALL,
    }
    for words, level in levels.items():
        settings = ort.SessionOptions()
        settings.graph_optimization_level = level
        settings.intra_op_num_threads = 1
        session = ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        names = [out.native for out in outs]
        found = [session.run(names, {into.native: to_native(t, into)}) for t in tensors]
        yield words, [_named(outs, map(np.asarray, values)) for values in found]


def _tflite(path: Path, tensors: Tensors, into: TensorBinding, outs: Bindings) -> Iterator[Run]:
    from ai_edge_litert.interpreter import (  # type: ignore[import-untyped]
        Interpreter,
        OpResolverType,
    )

    kinds = {
        "built-in kernels without XNNPACK": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        "reference kernels": OpResolverType.BUILTIN_REF,
    }
    for words, kind in kinds.items():
        interpreter: Any = Interpreter(
            model_path=str(path), num_threads=1, experimental_op_resolver_type=kind
        )
        interpreter.allocate_tensors()
        index = {
            d["name"]: d["index"]
            for d in (*interpreter.get_input_details(), *interpreter.get_output_details())
        }
        rows: Rows = []
        for tensor in tensors:
            interpreter.set_tensor(index[into.native], to_native(tensor, into))
            interpreter.invoke()
            rows.append(_named(outs, (interpreter.get_tensor(index[o.native]) for o in outs)))
        yield words, rows


def _openvino(path: Path, tensors: Tensors, into: TensorBinding, outs: Bindings) -> Iterator[Run]:
    import openvino as ov

    core = ov.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    model = core.read_model(path)
    for words, hint in {"throughput hint": "THROUGHPUT"}.items():
        compiled = core.compile_model(model, "CPU", settings | {"PERFORMANCE_HINT": hint})
        ports = [compiled.output(out.native) for out in outs]
        found = [compiled({into.native: to_native(t, into)}) for t in tensors]
        yield words, [_named(outs, (np.asarray(f[port]) for port in ports)) for f in found]


def _named(outs: Bindings, values: Iterable[Any]) -> dict[str, NDArray[np.float32]]:
    """What an engine gave, as the spec calls and shapes it."""
    return {out.name: from_native(value, out) for out, value in zip(outs, values, strict=True)}
