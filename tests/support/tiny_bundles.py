"""Whole bundles of every kind, made in a few milliseconds, whose answers one can work out by hand.

Every classifying network is logit = slope * mean brightness + offset a label, with the brightness
of a pixel from -1 (black) to 1 (white); every mask network says logit = GAIN * brightness.
"""

import hashlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clinicedge.runtime import Bundle, Film, FilmSource, load, open_session
from clinicedge.runtime.figures import Parity
from clinicedge.runtime.files import sha256_bytes
from clinicedge.runtime.images import prepare
from clinicedge.runtime.lungs import CropRule
from clinicedge.runtime.manifest import (
    Acceptance,
    AcceptanceFilm,
    Artifact,
    Expected,
    FileEntry,
    Format,
    Graph,
    LinearHead,
    Manifest,
    Member,
    PipelineRules,
    TensorBinding,
    TensorSpec,
    Threshold,
    artifact_sha256,
)
from clinicedge.runtime.recorded_values import acceptance_values
from clinicedge.runtime.records import dump_bytes
from clinicedge.runtime.session import ArtifactFiles
from clinicedge.runtime.spec import (
    DicomRules,
    ExplanationSpec,
    InputSpec,
    IntendedUse,
    MaskRules,
    OutputSpec,
    Region,
    Resize,
    Scaling,
    Task,
)

if TYPE_CHECKING:
    from onnx import GraphProto

SIDE = 32
GAIN = 12.0
BINARY = ("NORMAL", "PNEUMONIA")
USE = IntendedUse("tests", "CHEST", ("CR", "DX"), (1.0, 5.0), ("patients",))


@dataclass(frozen=True)
class Scores:
    """A classifying network: a slope and an offset a label. `region` as in the input."""

    labels: tuple[str, ...] = BINARY
    slopes: tuple[float, ...] = (-3.0, 3.0)
    offsets: tuple[float, ...] = (0.0, 0.0)
    thresholds: tuple[float, ...] = (0.5,)
    region: Region = "film"
    side: int = SIDE


@dataclass(frozen=True)
class Mask:
    """A mask network."""

    label: str = "LUNG"
    threshold: float = 0.5
    rules: MaskRules | None = None
    resize: Resize = "stretch"
    side: int = SIDE


def binary(
    folder: Path,
    name: str = "tiny",
    net: Scores | None = None,
    formats: Sequence[Format] = ("onnx",),
) -> Bundle:
    """A NORMAL / PNEUMONIA classifier: softmax over both labels."""
    net = net or Scores()
    outputs = (
        OutputSpec("logits", "logits", (2,), "softmax", net.labels, net.labels[1]),
        _features(net),
    )
    return _write_scores(folder, _manifest(name, "classification", outputs), net, formats)


def findings(folder: Path, name: str = "tiny-findings", net: Scores | None = None) -> Bundle:
    """Sigmoid scores; by default BACTERIAL rises with brightness and VIRAL falls."""
    net = net or Scores(("BACTERIAL", "VIRAL"), (4.0, -4.0), (0.0, 0.0), (0.5, 0.5))
    outputs = (
        OutputSpec("logits", "logits", (len(net.labels),), "sigmoid", net.labels, None),
        _features(net),
    )
    return _write_scores(folder, _manifest(name, "findings", outputs), net, ("onnx",))


def masks(
    folder: Path, name: str = "tiny-lungs", net: Mask | None = None,
    formats: Sequence[Format] = ("onnx",),
) -> Bundle:  # fmt: skip
    """A mask of what is bright."""
    net = net or Mask()
    shape = (1, net.side, net.side)
    outputs = (OutputSpec("mask", "mask", shape, "sigmoid", (net.label,), net.label),)
    manifest = replace(
        _manifest(name, "segmentation", outputs),
        input=_input(1, net.side, net.resize, "film"),
        explanation=None,
        mask=net.rules,
    )
    _mask_onnx(folder / "artifacts/onnx/fp32/main.onnx", net.side)
    return _finish(folder, manifest, {net.label: net.threshold}, formats)


def pipeline(
    folder: Path, name: str, rules: PipelineRules, members: Sequence[tuple[str, Bundle]],
    task: Task = "classification",
) -> Bundle:  # fmt: skip
    """A pipeline with copies of its members: (role, bundle)."""
    rows = []
    for role, bundle in members:
        target = bundle.manifest.name
        shutil.copytree(bundle.folder, folder / "members" / target)
        rows.append(Member(role, target, bundle.id))
    manifest = replace(
        _manifest(name, task, ()),
        kind="pipeline",
        explanation=None,
        defaults={},
        members=tuple(rows),
        pipeline=rules,
    )
    return write(folder, manifest)


def on_lungs(
    folder: Path, classifier: Bundle, lungs: Bundle, rule: CropRule | None = None
) -> Bundle:
    """NAME-on-lungs of a classifier made for lung crops."""
    name = classifier.manifest.name.removesuffix("-lung-crop") + "-on-lungs"
    rules = PipelineRules("on-lungs", rule or CropRule(), None, None)
    members = (("lungs", lungs), ("classifier", classifier))
    return pipeline(folder, name, rules, members, classifier.manifest.task)


def write(folder: Path, manifest: Manifest) -> Bundle:
    """Write bundle.json and load it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.json").write_bytes(dump_bytes(manifest))
    return load(folder)


def film(pixels: np.ndarray, spacing_mm: tuple[float, float] | None = None) -> Film:
    """A film of these pixels."""
    return Film(np.ascontiguousarray(pixels, np.uint8), spacing_mm, FilmSource("array", "made"))


def chest(lungs: int = 200, outside: int = 0, height: int = 120, width: int = 160) -> Film:
    """Two bright fields: rows 1/6 to 5/6, columns 1/8 to 3/8 and 5/8 to 7/8."""
    pixels = np.full((height, width), outside, np.uint8)
    rows = slice(height // 6, height * 5 // 6)
    pixels[rows, width // 8 : width * 3 // 8] = lungs
    pixels[rows, width * 5 // 8 : width * 7 // 8] = lungs
    return film(pixels)


def noise(seed: int, height: int = 40, width: int = 48) -> Film:
    """Blocks of random grey."""
    base = np.random.default_rng(seed).integers(0, 256, (5, 6)).astype(np.uint8)
    return film(np.kron(base, np.ones((height // 5, width // 6), np.uint8)))


def _features(net: Scores) -> OutputSpec:
    return OutputSpec("features", "features", (2, net.side // 4, net.side // 4), "none", (), None)


def _input(channels: int, side: int, resize: Resize, region: Region) -> InputSpec:
    half = (0.5,) * channels
    pad = 0 if resize == "letterbox" else None
    return InputSpec(
        "film", side, side, channels, resize, "bilinear", pad, Scaling(half, half),
        DicomRules("file"), region,
    )  # fmt: skip


def _manifest(name: str, task: Task, outputs: tuple[OutputSpec, ...]) -> Manifest:
    return Manifest(
        schema=1, kind="model", name=name, version="1.0.0", task=task, licence="Apache-2.0",
        intended_use=USE, provenance=None, input=None, outputs=outputs,
        explanation=ExplanationSpec("features", "relu", True), head=None, thresholds=(),
        defaults={"fp32": "fp32"}, artifacts=(), acceptance=None, data=(),
    )  # fmt: skip


def _write_scores(
    folder: Path, manifest: Manifest, net: Scores, formats: Sequence[Format]
) -> Bundle:
    weight = tuple((slope, -slope) for slope in net.slopes)
    _scores_onnx(folder / "artifacts/onnx/fp32/main.onnx", net, weight)
    manifest = replace(
        manifest,
        input=_input(3, net.side, "stretch", net.region),
        head=LinearHead(weight, net.offsets),
    )
    decided = net.labels if manifest.task == "findings" else net.labels[1:]
    return _finish(folder, manifest, dict(zip(decided, net.thresholds, strict=True)), formats)


def _scores_onnx(path: Path, net: Scores, weight: tuple[tuple[float, float], ...]) -> None:
    """Mean brightness of 4 x 4 blocks; what is bright and what is dark in a channel each."""
    from onnx import TensorProto, helper, numpy_helper

    mean = np.full((1, 3, 4, 4), 1.0 / 48.0, np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["film", "k"], ["c"], strides=[4, 4]),
            helper.make_node("Relu", ["c"], ["features"]),
            helper.make_node("GlobalAveragePool", ["features"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "w", "b"], ["logits"], transB=1),
        ],
        "main",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, [1, 3, net.side, net.side])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, len(net.labels)]),
            helper.make_tensor_value_info(
                "features", TensorProto.FLOAT, [1, 2, net.side // 4, net.side // 4]
            ),
        ],
        [
            numpy_helper.from_array(np.concatenate([mean, -mean]), "k"),
            numpy_helper.from_array(np.array(weight, np.float32), "w"),
            numpy_helper.from_array(np.array(net.offsets, np.float32), "b"),
        ],
    )
    _save(graph, path)


def _mask_onnx(path: Path, side: int) -> None:
    from onnx import TensorProto, helper, numpy_helper

    shape = [1, 1, side, side]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["film", "k"], ["mask"])],
        "main",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("mask", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.full((1, 1, 1, 1), GAIN, np.float32), "k")],
    )
    _save(graph, path)


def _save(graph: "GraphProto", path: Path) -> None:
    import onnx
    from onnx import helper

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))


def _openvino(folder: Path) -> None:
    import openvino

    target = folder / "artifacts/openvino/fp32"
    target.mkdir(parents=True, exist_ok=True)
    model = openvino.convert_model(folder / "artifacts/onnx/fp32/main.onnx")
    openvino.save_model(model, target / "main.xml", compress_to_fp16=False)


def _finish(
    folder: Path, manifest: Manifest, thresholds: dict[str, float], formats: Sequence[Format]
) -> Bundle:
    if "openvino" in formats:
        _openvino(folder)
    artifacts = tuple(_artifact(folder, manifest, f) for f in formats)
    manifest = replace(
        manifest,
        artifacts=artifacts,
        thresholds=tuple(
            Threshold(a.id, "f32", label, value, "by hand", "noise", "select", 1)
            for a in artifacts
            for label, value in thresholds.items()
        ),
    )
    return write(folder, replace(manifest, acceptance=_acceptance(folder, manifest)))


def _entry(folder: Path, path: str) -> FileEntry:
    data = (folder / path).read_bytes()
    return FileEntry(path, sha256_bytes(data), len(data))


def _artifact(folder: Path, manifest: Manifest, format_: Format) -> Artifact:
    assert manifest.input is not None
    names = ("main.onnx",) if format_ == "onnx" else ("main.xml", "main.bin")
    files = tuple(_entry(folder, f"artifacts/{format_}/fp32/{n}") for n in names)
    shapes = {manifest.input.name: manifest.input.shape}
    shapes |= {o.name: o.shape for o in manifest.outputs}  # type: ignore[misc]
    tensors = [TensorSpec(name, (1, *shape)) for name, shape in shapes.items()]
    graph = Graph(
        name="main",
        precision="fp32",
        files=files,
        inputs=tuple(tensors[:1]),
        outputs=tuple(tensors[1:]),
        binding=tuple(
            TensorBinding(t.name, t.name, tuple(range(len(t.shape))), "float32", None, None)
            for t in tensors
        ),
    )
    return Artifact(
        id=f"{format_}/fp32", format=format_, recipe="fp32", precision="fp32", computes=("f32",),
        graphs=(graph,), sha256=artifact_sha256(files), float_layers=(), calibration=None,
        parity=Parity("noise", 1, 0.0, 0.0, 1.0, 1.0, 1.0, 0), accuracy=(),
    )  # fmt: skip


def _acceptance(folder: Path, manifest: Manifest) -> Acceptance:
    """The answers of the artifacts themselves on two films."""
    from PIL import Image

    assert manifest.input is not None
    output = manifest.outputs[0]
    (folder / "acceptance").mkdir(exist_ok=True)
    films = []
    for number in range(2):
        path = f"acceptance/{number:02}.png"
        seen = noise(number)
        Image.fromarray(seen.pixels).save(folder / path)
        tensor = prepare(seen, manifest.input)
        expected = []
        for artifact in manifest.artifacts:
            session = open_session(ArtifactFiles(folder, artifact))
            raw = session.run({"film": tensor})[output.name]
            threshold = next(t.value for t in manifest.thresholds if t.artifact == artifact.id)
            values = acceptance_values(output, raw, threshold)
            expected.append(Expected(artifact.id, "f32", output.name, values, 1e-3))
        digest = hashlib.sha256(tensor.tobytes()).hexdigest()
        films.append(AcceptanceFilm(_entry(folder, path), digest, tuple(expected)))
    return Acceptance(tuple(films), ("this machine",))
