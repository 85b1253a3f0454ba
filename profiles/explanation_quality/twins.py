"""A twin of an artifact without anything learned: the same graph, its weights shuffled.

Adebayo et al. 2018, Sanity Checks for Saliency Maps, arXiv:1810.03292: a map that stays when all
layers are randomised shows the film and not what the network learned. The publication draws new
weights; here each layer's own are permuted within the layer, which needs no framework, keeps
their distribution (so activations keep a sensible size) and works on every precision.
"""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime.engines import engine_for, require
from ...runtime.errors import EngineMissingError
from ...runtime.manifest import Artifact, Format, LinearHead
from ...runtime.predictor import ModelPredictor
from ...runtime.selection import TASKS
from ...runtime.session import SessionOptions

SEED = 1810
# Fewer values are no layer's weights but sizes and scales of the graph itself.
_LEAST = 16
_XML_CONSTANT = re.compile(rb'<data element_type="(\w+)" shape="[^"]*" offset="(\d+)" size="(\d+)"')
_XML_TYPES = {b"f32": np.float32, b"f16": np.float16, b"i8": np.int8, b"u8": np.uint8}
_TFLITE_TYPES = {0: np.float32, 1: np.float16, 3: np.uint8, 9: np.int8}


@dataclass(frozen=True, eq=False)
class Twin:
    """An opened network of shuffled weights; `values` were shuffled in `tensors` tensors."""

    network: ModelPredictor
    tensors: int
    values: int


class _Shuffle:
    """Permutes arrays and counts them."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.tensors = 0
        self.values = 0

    def __call__(self, values: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
        if values.size < _LEAST or values.dtype.kind not in "fiu" or values.dtype.itemsize > 4:
            return values
        self.tensors += 1
        self.values += values.size
        return self._random.permutation(values.ravel()).reshape(values.shape)


def twin(network: ModelPredictor, seed: int = SEED) -> Twin:
    """Open a twin of an opened network: same artifact, engine, compute precision.

    The row of a pooled linear head in the manifest is shuffled too.

    Raises:
        EngineMissingError: the library that rewrites the file is not installed.
    """
    bundle, report = network.bundle, network.report
    artifact = bundle.artifact(report.artifact)
    shuffle = _Shuffle(seed)
    with tempfile.TemporaryDirectory(prefix="clinicedge-twin-") as name:
        folder = Path(name)
        paths = _write(bundle.folder, artifact, folder, shuffle)
        compute = artifact.computes[0]
        engine = require(engine_for(artifact.format))
        options = SessionOptions(compute, threads=max(1, report.session.threads))
        session = engine.open(paths, artifact.graphs[0], options)
    manifest = bundle.manifest
    head = None if manifest.head is None else _shuffled_head(manifest.head, seed)
    other = replace(bundle, manifest=replace(manifest, head=head))
    opened = TASKS[manifest.task](other, artifact.id, compute, session)
    return Twin(opened, shuffle.tensors, shuffle.values)


def _write(source: Path, artifact: Artifact, folder: Path, shuffle: _Shuffle) -> tuple[Path, ...]:
    files = [(f.path, (source / f.path).read_bytes()) for f in artifact.graphs[0].files]
    changed = _REWRITERS[artifact.format]([data for _, data in files], shuffle)
    paths = []
    for (path, _), data in zip(files, changed, strict=True):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        paths.append(target)
    return tuple(paths)


def _onnx(files: list[bytes], shuffle: _Shuffle) -> list[bytes]:
    try:
        import onnx
        from onnx import numpy_helper
    except ImportError as err:
        raise _missing("onnx", "convert") from err
    model = onnx.load_model_from_string(files[0])
    constants = [a.t for n in model.graph.node if n.op_type == "Constant" for a in n.attribute]
    for tensor in (*model.graph.initializer, *constants):
        if tensor.data_type == onnx.TensorProto.INT64:
            continue
        shuffled = shuffle(numpy_helper.to_array(tensor))
        tensor.CopyFrom(numpy_helper.from_array(shuffled, tensor.name))
    return [model.SerializeToString(), *files[1:]]


def _openvino(files: list[bytes], shuffle: _Shuffle) -> list[bytes]:
    """The second file holds the values where the first says."""
    weights = bytearray(files[1])
    for kind, offset, size in _XML_CONSTANT.findall(files[0]):
        if kind in _XML_TYPES:
            part = slice(int(offset), int(offset) + int(size))
            weights[part] = shuffle(np.frombuffer(weights[part], _XML_TYPES[kind])).tobytes()
    return [files[0], bytes(weights), *files[2:]]


def _tflite(files: list[bytes], shuffle: _Shuffle) -> list[bytes]:
    """In place: large and quantized files keep values behind the flatbuffer, at fixed offsets."""
    try:
        from ai_edge_litert import schema_py_generated as schema
    except ImportError as err:
        raise _missing("ai-edge-litert", "tflite") from err
    changed = bytearray(files[0])
    model = schema.Model.GetRootAs(changed, 0)
    graphs = [model.Subgraphs(g) for g in range(model.SubgraphsLength())]
    tensors = [graph.Tensors(t) for graph in graphs for t in range(graph.TensorsLength())]
    for number, kind in {t.Buffer(): t.Type() for t in tensors}.items():
        buffer = model.Buffers(number)
        if kind not in _TFLITE_TYPES:
            continue
        if buffer.DataLength():
            stored = buffer.DataAsNumpy()
        elif buffer.Size():
            stored = np.frombuffer(changed, np.uint8, buffer.Size(), buffer.Offset())
        else:
            continue
        stored[:] = shuffle(stored.view(_TFLITE_TYPES[kind])).view(np.uint8)
    return [bytes(changed), *files[1:]]


_REWRITERS: dict[Format, Callable[[list[bytes], _Shuffle], list[bytes]]] = {
    "onnx": _onnx,
    "openvino": _openvino,
    "tflite": _tflite,
}


def _shuffled_head(head: LinearHead, seed: int) -> LinearHead:
    weight = np.asarray(head.weight, np.float64)
    mixed = np.random.default_rng(seed).permutation(weight.ravel()).reshape(weight.shape)
    return replace(head, weight=tuple(map(tuple, mixed.tolist())))


def _missing(package: str, extra: str) -> EngineMissingError:
    return EngineMissingError(
        f"{package} is not installed; it writes the twin with shuffled weights. To use it: "
        f"pip install 'clinicedge[{extra}]'."
    )
