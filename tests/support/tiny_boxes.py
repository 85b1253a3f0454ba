"""Detectors, promptable segmenters and lesion pipelines whose answers one can work out by hand.

The detector looks at windows of 8 x 8 pixels, 4 apart, over its input of 32 x 32; each window is a
box, and its logit for a label is slope * mean brightness + offset, brightness from -1 (black) to 1
(white). The promptable model marks what is bright inside the box: its logit in a cell of 4 x 4
pixels is the smaller of GAIN * brightness and the distance in pixels of the cell's centre to the
box's nearest edge (negative outside).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tiny_bundles as tiny

from clinicedge.runtime import Bundle
from clinicedge.runtime.boxes import to_input
from clinicedge.runtime.detector import Detector
from clinicedge.runtime.figures import Parity
from clinicedge.runtime.files import sha256_bytes
from clinicedge.runtime.graphs import TwoGraphs, open_artifact
from clinicedge.runtime.images import prepare
from clinicedge.runtime.lesions import Lesions
from clinicedge.runtime.manifest import (
    Acceptance,
    AcceptanceFilm,
    Artifact,
    Expected,
    FileEntry,
    Format,
    Graph,
    Manifest,
    PipelineRules,
    TensorBinding,
    TensorSpec,
    Threshold,
    artifact_sha256,
)
from clinicedge.runtime.predictor import ModelPredictor
from clinicedge.runtime.promptable import PromptableSegmenter
from clinicedge.runtime.recorded_values import acceptance_values, recorded_outputs
from clinicedge.runtime.selection import TASKS
from clinicedge.runtime.session import ArtifactFiles, SessionOptions
from clinicedge.runtime.spec import (
    DetectionRules,
    DicomRules,
    InputSpec,
    MaskRules,
    OutputSpec,
    Resize,
    Scaling,
    Task,
)

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

SIDE = 32
WINDOW, STEP = 8, 4
CELL = 4
GAIN = 12.0
RULES = DetectionRules(nms_iou=0.3, max_candidates=300, max_boxes=20)
LESIONS = PipelineRules("lesions", None, None, None)
# Film pixels, on any film of 40 x 48.
PROMPTS = ((4.0, 4.0, 30.0, 36.0), (20.5, 8.25, 44.0, 20.0))
Shapes = dict[str, tuple[int, ...]]
# Name, inputs, outputs.
Parts = list[tuple[str, Shapes, Shapes]]


@dataclass(frozen=True)
class Finder:
    """A detector: a slope, an offset and a threshold a label."""

    labels: tuple[str, ...] = ("TUMOUR",)
    slopes: tuple[float, ...] = (8.0,)
    offsets: tuple[float, ...] = (-4.0,)
    thresholds: tuple[float, ...] = (0.5,)
    rules: DetectionRules = RULES
    resize: Resize = "letterbox"


@dataclass(frozen=True)
class Prompted:
    """A promptable model: its label, threshold and rules."""

    label: str = "OBJECT"
    threshold: float = 0.5
    rules: MaskRules | None = None


def windows() -> np.ndarray:
    """The boxes of the detector in pixels of its input, float32 (49, 4)."""
    starts = np.arange(0, SIDE - WINDOW + 1, STEP).astype(np.float32)
    y, x = np.meshgrid(starts, starts, indexing="ij")
    return np.stack([x, y, x + WINDOW, y + WINDOW], axis=-1).reshape(-1, 4)


def detector(
    folder: Path, name: str = "tiny-boxes", net: Finder | None = None,
    formats: Sequence[Format] = ("onnx",),
) -> Bundle:  # fmt: skip
    """A detector of what is bright, by default."""
    net = net or Finder()
    count, k = len(windows()), len(net.labels)
    outputs = (
        OutputSpec("scores", "logits", (count, k), "sigmoid", net.labels, None),
        OutputSpec("boxes", "boxes", (count, 4), "none", (), None),
    )
    manifest = replace(
        _manifest(name, "detection", outputs), input=_input(net.resize), detection=net.rules
    )
    _save(_detector_graph(net), folder, "main")
    film = {"film": (1, 3, SIDE, SIDE)}
    graphs: Parts = [("main", {**film}, {"scores": (1, count, k), "boxes": (1, count, 4)})]
    return _finish(
        folder, manifest, dict(zip(net.labels, net.thresholds, strict=True)), graphs, formats
    )


def promptable(
    folder: Path, name: str = "tiny-prompted", net: Prompted | None = None,
    formats: Sequence[Format] = ("onnx",),
) -> Bundle:  # fmt: skip
    """Marks what is bright inside a box."""
    net = net or Prompted()
    cells = SIDE // CELL
    outputs = (
        OutputSpec("mask", "mask", (1, cells, cells), "sigmoid", (net.label,), net.label),
        OutputSpec("quality", "quality", (1,), "none", (), None),
    )
    manifest = replace(
        _manifest(name, "promptable-segmentation", outputs),
        input=_input("stretch"),
        mask=net.rules,
    )
    _save(_encoder_graph(), folder, "encoder")
    _save(_decoder_graph(), folder, "decoder")
    embedding = {"image_embedding": (1, 1, cells, cells)}
    graphs: Parts = [
        ("encoder", {"film": (1, 3, SIDE, SIDE)}, {**embedding, "unused": (1, 1, cells, cells)}),
        (
            "decoder",
            {**embedding, "box": (1, 4)},
            {"mask": (1, 1, cells, cells), "quality": (1, 1)},
        ),
    ]
    return _finish(folder, manifest, {net.label: net.threshold}, graphs, formats)


def lesions(folder: Path, finder: Finder | None = None, prompted: Prompted | None = None) -> Bundle:
    """lesion-segmenter of both."""
    parts = folder.parent / f"{folder.name}-parts"
    members = (
        ("detector", detector(parts / "d", net=finder)),
        ("segmenter", promptable(parts / "s", net=prompted)),
    )
    return tiny.pipeline(folder, "lesion-segmenter", LESIONS, members, "segmentation")


def opened(bundle: Bundle, artifact: str = "onnx/fp32") -> ModelPredictor:
    """A model's predictor without the process that acceptance takes."""
    session = open_artifact(bundle.files(artifact), SessionOptions("f32", 1))
    return TASKS[bundle.manifest.task](bundle, artifact, "f32", session)


def opened_lesions(bundle: Bundle) -> Lesions:
    """Likewise of a pipeline of `lesions`."""
    detector, segmenter = (opened(inner) for _, inner in bundle.members())
    assert isinstance(detector, Detector)
    assert isinstance(segmenter, PromptableSegmenter)
    return Lesions(bundle, detector, segmenter)


def spots(*boxes: tuple[int, int, int, int], size: tuple[int, int] = (64, 64)) -> Any:
    """A black film with white boxes (x0, y0, x1, y1)."""
    pixels = np.zeros(size, np.uint8)
    for x0, y0, x1, y1 in boxes:
        pixels[y0:y1, x0:x1] = 255
    return tiny.film(pixels, (0.5, 0.25))


def _input(resize: Resize) -> InputSpec:
    half = (0.5, 0.5, 0.5)
    pad = 0 if resize == "letterbox" else None
    return InputSpec(
        "film", SIDE, SIDE, 3, resize, "bilinear", pad, Scaling(half, half), DicomRules("file")
    )


def _manifest(name: str, task: Task, outputs: tuple[OutputSpec, ...]) -> Manifest:
    return Manifest(
        schema=1, kind="model", name=name, version="1.0.0", task=task, licence="Apache-2.0",
        intended_use=tiny.USE, provenance=None, input=None, outputs=outputs, explanation=None,
        head=None, thresholds=(), defaults={"fp32": "fp32"}, artifacts=(), acceptance=None, data=(),
    )  # fmt: skip


def _graph(nodes: "list[NodeProto]", name: str, ends: tuple[Shapes, Shapes], **const: Any) -> Any:
    from onnx import TensorProto, helper, numpy_helper

    given, made = (
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(s)) for n, s in end.items()]
        for end in ends
    )
    values = [numpy_helper.from_array(np.asarray(v), n) for n, v in const.items()]
    return helper.make_graph(nodes, name, given, made, values)


def _detector_graph(net: Finder) -> "GraphProto":
    from onnx.helper import make_node

    k, count = len(net.labels), len(windows())
    mean = np.full((1, 3, WINDOW, WINDOW), 1.0 / (3 * WINDOW * WINDOW), np.float32)
    nodes = [
        make_node("Conv", ["film", "kernel"], ["mean"], strides=[STEP, STEP]),
        make_node("Reshape", ["mean", "line"], ["means"]),
        make_node("Mul", ["means", "slopes"], ["sloped"]),
        make_node("Add", ["sloped", "offsets"], ["scores"]),
        make_node("Mul", ["means", "zero"], ["nothing"]),
        make_node("Add", ["nothing", "windows"], ["boxes"]),
    ]
    ends: tuple[Shapes, Shapes] = (
        {"film": (1, 3, SIDE, SIDE)},
        {"scores": (1, count, k), "boxes": (1, count, 4)},
    )
    return _graph(  # type: ignore[no-any-return]
        nodes, "main", ends, kernel=mean, line=np.array([1, count, 1], np.int64),
        slopes=np.array(net.slopes, np.float32), offsets=np.array(net.offsets, np.float32),
        zero=np.float32(0.0), windows=windows()[None],
    )  # fmt: skip


def _encoder_graph() -> "GraphProto":
    from onnx.helper import make_node

    mean = np.full((1, 3, CELL, CELL), 1.0 / (3 * CELL * CELL), np.float32)
    cells = SIDE // CELL
    nodes = [
        make_node("Conv", ["film", "kernel"], ["image_embedding"], strides=[CELL, CELL]),
        make_node("Neg", ["image_embedding"], ["unused"]),
    ]
    small = (1, 1, cells, cells)
    ends: tuple[Shapes, Shapes] = (
        {"film": (1, 3, SIDE, SIDE)},
        {"image_embedding": small, "unused": small},
    )
    return _graph(nodes, "encoder", ends, kernel=mean)  # type: ignore[no-any-return]


def _decoder_graph() -> "GraphProto":
    from onnx.helper import make_node

    cells = SIDE // CELL
    centres = (np.arange(cells, dtype=np.float32) + 0.5) * CELL
    nodes = [
        make_node("Split", ["box", "ones"], ["x0", "y0", "x1", "y1"], axis=1),
        make_node("Sub", ["across", "x0"], ["left"]),
        make_node("Sub", ["x1", "across"], ["right"]),
        make_node("Sub", ["down", "y0"], ["above"]),
        make_node("Sub", ["y1", "down"], ["below"]),
        make_node("Mul", ["image_embedding", "gain"], ["bright"]),
        make_node("Min", ["bright", "left", "right", "above", "below"], ["mask"]),
        make_node("Sigmoid", ["mask"], ["share"]),
        make_node("ReduceMax", ["share"], ["top"], axes=[1, 2, 3], keepdims=0),
        make_node("Reshape", ["top", "one"], ["quality"]),
    ]
    small = (1, 1, cells, cells)
    ends: tuple[Shapes, Shapes] = (
        {"image_embedding": small, "box": (1, 4)},
        {"mask": small, "quality": (1, 1)},
    )
    return _graph(  # type: ignore[no-any-return]
        nodes, "decoder", ends, ones=np.ones(4, np.int64), one=np.ones(2, np.int64),
        across=centres.reshape(1, 1, 1, -1), down=centres.reshape(1, 1, -1, 1),
        gain=np.float32(GAIN),
    )  # fmt: skip


def _save(graph: "GraphProto", folder: Path, name: str) -> None:
    import onnx
    from onnx import helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path = folder / f"artifacts/onnx/fp32/{name}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def _openvino(folder: Path, name: str) -> None:
    import openvino

    target = folder / "artifacts/openvino/fp32"
    target.mkdir(parents=True, exist_ok=True)
    model = openvino.convert_model(folder / f"artifacts/onnx/fp32/{name}.onnx")
    openvino.save_model(model, target / f"{name}.xml", compress_to_fp16=False)


def _finish(
    folder: Path, manifest: Manifest, thresholds: dict[str, float],
    graphs: Parts, formats: Sequence[Format],
) -> Bundle:  # fmt: skip
    if "openvino" in formats:
        for name, _, _ in graphs:
            _openvino(folder, name)
    artifacts = tuple(_artifact(folder, graphs, f) for f in formats)
    manifest = replace(
        manifest,
        artifacts=artifacts,
        thresholds=tuple(
            Threshold(a.id, "f32", label, value, "by hand", "noise", "select", 1)
            for a in artifacts
            for label, value in thresholds.items()
        ),
    )
    return tiny.write(folder, replace(manifest, acceptance=_acceptance(folder, manifest)))


def _entry(folder: Path, path: str) -> FileEntry:
    data = (folder / path).read_bytes()
    return FileEntry(path, sha256_bytes(data), len(data))


def _artifact(folder: Path, graphs: Parts, format_: Format) -> Artifact:
    made = []
    for name, given, out in graphs:
        ends = (".onnx",) if format_ == "onnx" else (".xml", ".bin")
        tensors = [[TensorSpec(n, s) for n, s in end.items()] for end in (given, out)]
        made.append(
            Graph(
                name=name,
                precision="fp32",
                files=tuple(_entry(folder, f"artifacts/{format_}/fp32/{name}{e}") for e in ends),
                inputs=tuple(tensors[0]),
                outputs=tuple(tensors[1]),
                binding=tuple(
                    TensorBinding(t.name, t.name, tuple(range(len(t.shape))), "float32", None, None)
                    for end in tensors
                    for t in end
                ),
            )
        )
    return Artifact(
        id=f"{format_}/fp32", format=format_, recipe="fp32", precision="fp32", computes=("f32",),
        graphs=tuple(made), sha256=artifact_sha256(f for g in made for f in g.files),
        float_layers=(), calibration=None, parity=Parity("noise", 1, 0.0, 0.0, 1.0, None, 1.0, 0),
        accuracy=(),
    )  # fmt: skip


def _acceptance(folder: Path, manifest: Manifest) -> Acceptance:
    """The answers of the artifacts themselves on two films."""
    from PIL import Image

    assert manifest.input is not None
    prompts = PROMPTS if manifest.task == "promptable-segmentation" else ()
    (folder / "acceptance").mkdir(exist_ok=True)
    films = []
    for number in range(2):
        path = f"acceptance/{number:02}.png"
        seen = tiny.noise(number)
        Image.fromarray(seen.pixels).save(folder / path)
        tensor = prepare(seen, manifest.input)
        expected = []
        for artifact in manifest.artifacts:
            session = open_artifact(ArtifactFiles(folder, artifact))
            if isinstance(session, TwoGraphs):
                boxes = to_input(np.array(prompts), seen.pixels.shape, manifest.input)
                raw = session.run_boxes(tensor, boxes)
            else:
                raw = session.run({"film": tensor})
            levels = {t.label: t.value for t in manifest.thresholds if t.artifact == artifact.id}
            expected += [
                Expected(
                    artifact.id, "f32", o.name, acceptance_values(o, raw[o.name], levels), 1e-3
                )
                for o in recorded_outputs(manifest.task, manifest.outputs)
            ]
        digest = hashlib.sha256(tensor.tobytes()).hexdigest()
        films.append(AcceptanceFilm(_entry(folder, path), digest, tuple(expected), prompts))
    return Acceptance(tuple(films), ("this machine",))
