"""Bundles of every kind, small enough to make in a test: ONNX graphs written node by node.

A classifier's score grows with how bright the film is. `lungs` finds two fields on any film that
is not black. `lesions` marks what is bright.
"""

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clinicedge.runtime import load, open_session, phantom
from clinicedge.runtime.figures import Parity
from clinicedge.runtime.files import sha256_bytes
from clinicedge.runtime.images import prepare
from clinicedge.runtime.lungs import CropRule
from clinicedge.runtime.manifest import (
    Acceptance,
    AcceptanceFilm,
    Artifact,
    DiscrepancyRule,
    Expected,
    FileEntry,
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

SIDE = 64
BINARY = ("NORMAL", "PNEUMONIA")
TYPES = ("BACTERIA", "VIRUS")
FILE = "artifacts/onnx/fp32/main.onnx"
RULE = DiscrepancyRule(0.05, 0.2, 1, 2)
# Kind, inputs, output, attributes.
Node = tuple[str, list[str], str, dict[str, Any]]
CHEST = IntendedUse("tests", "CHEST", ("CR", "DX"), None, ("patients",))


@dataclass(frozen=True)
class Net:
    """What a bundle says of its network."""

    name: str
    task: Task
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    thresholds: tuple[tuple[str, float], ...]
    head: LinearHead | None = None
    mask: MaskRules | None = None
    use: IntendedUse = CHEST


def _input(channels: int, resize: Resize = "stretch", region: Region = "film") -> InputSpec:
    scaling = Scaling((0.0,) * channels, (1.0,) * channels)
    pad = 0 if resize == "letterbox" else None
    return InputSpec(
        "film", SIDE, SIDE, channels, resize, "bilinear", pad, scaling, DicomRules("file"), region
    )


def classifier(
    folder: Path, name: str, threshold: float = 0.5, region: Region = "film", middle: float = 0.35
) -> Path:
    """NORMAL or PNEUMONIA; the score is .5 where the film's mean grey is `middle`."""
    weight = np.array([[0.0, 0.0], [9.0, 1.0]], np.float32)
    bias = np.array([0.0, -9.0 * middle], np.float32)
    output = OutputSpec("logits", "logits", (2,), "softmax", BINARY, "PNEUMONIA")
    net = Net(
        name, "classification", _input(3, region=region), (output, _features()),
        (("PNEUMONIA", threshold),), _head(weight, bias),
    )  # fmt: skip
    return _write(folder / name, net, _score_graph(weight, bias))


def findings(
    folder: Path, name: str, levels: dict[str, float], thresholds: dict[str, float],
    region: Region = "film",
) -> Path:  # fmt: skip
    """Several findings whose scores are about `levels` on a film of mean grey .35."""
    weight = np.array([[1.0, 0.5]] * len(levels), np.float32)
    bias = np.array([np.log(v / (1 - v)) - 0.35 for v in levels.values()], np.float32)
    output = OutputSpec("logits", "logits", (len(levels),), "sigmoid", tuple(levels), None)
    net = Net(
        name, "findings", _input(3, region=region), (output, _features()),
        tuple(thresholds.items()), _head(weight, bias),
    )  # fmt: skip
    return _write(folder / name, net, _score_graph(weight, bias))


def lungs(folder: Path, name: str = "tiny-lungs") -> Path:
    """Two upright fields, 39 % of the film, wherever the film is not black."""
    fields = np.zeros((1, 1, SIDE, SIDE), np.float32)
    fields[..., 12:52, 8:28] = fields[..., 12:52, 36:56] = 16.0
    output = OutputSpec("mask", "mask", (1, SIDE, SIDE), "sigmoid", ("LUNG",), "LUNG")
    rules = MaskRules(0.01, 2, 0.0)
    net = Net(name, "segmentation", _input(1), (output,), (("LUNG", 0.5),), mask=rules)
    return _write(folder / name, net, _lung_graph(fields))


def lesions(folder: Path, name: str = "tiny-bones") -> Path:
    """Whatever is brighter than .62; specks below 1 % of the film are cleaned away."""
    output = OutputSpec("mask", "mask", (1, SIDE, SIDE), "sigmoid", ("TUMOUR",), "TUMOUR")
    rules = MaskRules(min_area_share=0.01, max_regions=5, smooth=0.01)
    use = IntendedUse("tests", "EXTREMITY", ("CR", "DX"), None, ("patients",))
    net = Net(
        name, "segmentation", _input(1, "letterbox"), (output,), (("TUMOUR", 0.5),),
        mask=rules, use=use,
    )  # fmt: skip
    return _write(folder / name, net, _bright_graph())


def on_lungs(
    folder: Path, name: str, lung_folder: Path, member: Path, margin: float = 0.05
) -> Path:
    """lungs -> crop -> classifier."""
    rules = PipelineRules("on-lungs", CropRule(margin=margin), None, None)
    return _pipeline(folder / name, rules, {"lungs": lung_folder, "classifier": member})


def cascade(folder: Path, name: str, first: Path, second: Path) -> Path:
    """First a label, then findings."""
    rules = PipelineRules("cascade", None, RULE, None)
    return _pipeline(folder / name, rules, {"first": first, "second": second})


def ensemble(folder: Path, name: str, members: tuple[Path, ...], threshold: float) -> Path:
    """The mean of binary members."""
    rule = Threshold("onnx/fp32", "f32", "PNEUMONIA", threshold, "by hand", "noise", "select", 1)
    rules = PipelineRules("ensemble", None, None, rule)
    return _pipeline(folder / name, rules, dict(zip(map(str, range(9)), members, strict=False)))


def _features() -> OutputSpec:
    return OutputSpec("features", "features", (2, 16, 16), "none", (), None)


def _head(weight: NDArray[np.float32], bias: NDArray[np.float32]) -> LinearHead:
    rows = tuple(tuple(float(v) for v in row) for row in weight)
    return LinearHead(rows, tuple(float(v) for v in bias))


def _score_graph(weight: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """logits = linear(mean(relu(conv(film)))); the maps are the mean grey and what is bright."""
    kernel = np.stack([np.full((3, 4, 4), 1 / 48), np.full((3, 4, 4), 2 / 48)])
    constants = {
        "k": kernel.astype(np.float32),
        "kb": np.array([0.0, -1.0], np.float32),
        "w": weight,
        "b": bias,
    }
    nodes: list[Node] = [
        ("Conv", ["film", "k", "kb"], "c", {"strides": [4, 4]}),
        ("Relu", ["c"], "features", {}),
        ("GlobalAveragePool", ["features"], "p", {}),
        ("Flatten", ["p"], "f", {}),
        ("Gemm", ["f", "w", "b"], "logits", {"transB": 1}),
    ]
    shapes = {"film": (1, 3, SIDE, SIDE), "logits": (1, len(bias)), "features": (1, 2, 16, 16)}
    return _graph(nodes, shapes, constants)


def _lung_graph(fields: NDArray[np.float32]) -> bytes:
    constants = {
        "fields": fields,
        "steep": np.array(1000.0, np.float32),
        "dark": np.array(20.0, np.float32),
        "zero": np.array(0.0, np.float32),
        "one": np.array(1.0, np.float32),
        "eight": np.array(8.0, np.float32),
    }
    nodes: list[Node] = [
        ("ReduceMean", ["film"], "mean", {"axes": [1, 2, 3], "keepdims": 1}),
        ("Mul", ["mean", "steep"], "far", {}),
        ("Sub", ["far", "dark"], "over", {}),
        ("Clip", ["over", "zero", "one"], "there", {}),
        ("Mul", ["fields", "there"], "seen", {}),
        ("Sub", ["seen", "eight"], "mask", {}),
    ]
    return _graph(nodes, {"film": (1, 1, SIDE, SIDE), "mask": (1, 1, SIDE, SIDE)}, constants)


def _bright_graph() -> bytes:
    constants = {"gain": np.array(30.0, np.float32), "limit": np.array(18.6, np.float32)}
    nodes: list[Node] = [("Mul", ["film", "gain"], "g", {}), ("Sub", ["g", "limit"], "mask", {})]
    return _graph(nodes, {"film": (1, 1, SIDE, SIDE), "mask": (1, 1, SIDE, SIDE)}, constants)


def _graph(
    nodes: list[Node],
    shapes: dict[str, tuple[int, ...]],
    constants: dict[str, NDArray[np.float32]],
) -> bytes:
    """The ONNX file; the first of `shapes` is the input, the others are outputs."""
    from onnx import TensorProto, helper, numpy_helper

    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()]
    graph = helper.make_graph(
        [helper.make_node(kind, given, [made], **more) for kind, given, made, more in nodes],
        "main",
        infos[:1],
        infos[1:],
        [numpy_helper.from_array(v, n) for n, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    data: bytes = model.SerializeToString()
    return data


def _entry(folder: Path, path: str) -> FileEntry:
    data = (folder / path).read_bytes()
    return FileEntry(path, sha256_bytes(data), len(data))


def _write(folder: Path, net: Net, graph: bytes) -> Path:
    (folder / FILE).parent.mkdir(parents=True)
    (folder / FILE).write_bytes(graph)
    explained = any(o.meaning == "features" for o in net.outputs)
    manifest = Manifest(
        schema=1,
        kind="model",
        name=net.name,
        version="1.0.0",
        task=net.task,
        licence="Apache-2.0",
        intended_use=net.use,
        provenance=None,
        input=net.input,
        outputs=net.outputs,
        explanation=ExplanationSpec("features", "relu", True) if explained else None,
        head=net.head,
        thresholds=tuple(
            Threshold("onnx/fp32", "f32", label, value, "by hand", "noise", "select", 1)
            for label, value in net.thresholds
        ),
        defaults={"fp32": "fp32"},
        artifacts=(_artifact(folder, net),),
        acceptance=None,
        data=(),
        mask=net.mask,
    )
    manifest = replace(manifest, acceptance=_acceptance(folder, manifest))
    (folder / "bundle.json").write_bytes(dump_bytes(manifest))
    return folder


def _artifact(folder: Path, net: Net) -> Artifact:
    file = _entry(folder, FILE)
    shapes = {"film": (1, *net.input.shape), **{o.name: (1, *o.shape) for o in net.outputs}}
    graph = Graph(
        name="main",
        precision="fp32",
        files=(file,),
        inputs=(TensorSpec("film", shapes["film"]),),
        outputs=tuple(TensorSpec(o.name, shapes[o.name]) for o in net.outputs),
        binding=tuple(
            TensorBinding(n, n, tuple(range(len(s))), "float32", None, None)
            for n, s in shapes.items()
        ),
    )
    return Artifact(
        id="onnx/fp32",
        format="onnx",
        recipe="fp32",
        precision="fp32",
        computes=("f32",),
        graphs=(graph,),
        sha256=artifact_sha256([file]),
        float_layers=(),
        calibration=None,
        parity=Parity("noise", 1, 0.0, 0.0, 1.0, None, 1.0, 0),
        accuracy=(),
    )


def _acceptance(folder: Path, manifest: Manifest) -> Acceptance:
    """The answers of the artifact itself on a phantom."""
    assert manifest.input is not None
    film = phantom.draw(replace(phantom.Phantom(seed=3), height=SIDE, width=SIDE))
    (folder / "acceptance").mkdir()
    (folder / "acceptance/00.png").write_bytes(phantom.encode_png(film))
    session = open_session(ArtifactFiles(folder, manifest.artifacts[0]))
    tensor = prepare(film, manifest.input)
    output = manifest.outputs[0]
    values = acceptance_values(output, session.run({"film": tensor})[output.name], 0.5)
    expected = Expected("onnx/fp32", "f32", output.name, values, 1e-3)
    digest = hashlib.sha256(tensor.tobytes()).hexdigest()
    entry = _entry(folder, "acceptance/00.png")
    return Acceptance((AcceptanceFilm(entry, digest, (expected,)),), ("this machine",))


def _pipeline(folder: Path, rules: PipelineRules, folders: dict[str, Path]) -> Path:
    members = []
    for key, source in folders.items():
        inner = load(source)
        name = inner.manifest.name
        shutil.copytree(source, folder / "members" / name)
        members.append(Member("member" if key.isdigit() else key, name, inner.id))
    # Whose answer it gives: the last member's, or a cascade's first's.
    deciding = list(folders.values())[0 if rules.kind == "cascade" else -1]
    manifest = Manifest(
        schema=1,
        kind="pipeline",
        name=folder.name,
        version="1.0.0",
        task=load(deciding).manifest.task,
        licence="Apache-2.0",
        intended_use=CHEST,
        provenance=None,
        input=None,
        outputs=(),
        explanation=None,
        head=None,
        thresholds=(),
        defaults={},
        artifacts=(),
        acceptance=None,
        data=(),
        members=tuple(members),
        pipeline=rules,
    )
    (folder / "bundle.json").write_bytes(dump_bytes(manifest))
    return folder
