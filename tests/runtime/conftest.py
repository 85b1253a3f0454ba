"""A bundle made by hand, small enough to read: one convolution, pooling and a linear head."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_bundles
import tiny_pipelines
from numpy.typing import NDArray

from clinicedge.runtime import load, open_session, phantom
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.figures import Parity
from clinicedge.runtime.files import sha256_bytes
from clinicedge.runtime.film import Film, FilmSource
from clinicedge.runtime.images import prepare
from clinicedge.runtime.manifest import (
    Acceptance,
    AcceptanceFilm,
    Artifact,
    Expected,
    FileEntry,
    Graph,
    LinearHead,
    Manifest,
    TensorBinding,
    TensorSpec,
    Threshold,
    artifact_sha256,
)
from clinicedge.runtime.records import dump_bytes
from clinicedge.runtime.session import ArtifactFiles
from clinicedge.runtime.spec import (
    DicomRules,
    ExplanationSpec,
    InputSpec,
    IntendedUse,
    OutputSpec,
    Scaling,
)

SIZE = 32
CHANNELS = 4


def make_onnx(path: Path) -> LinearHead:
    """logits = linear(mean(relu(conv(film)))); the second output is the convolution's map."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(7)
    kernel = rng.normal(size=(CHANNELS, 3, 4, 4)).astype(np.float32) * 0.4
    weight = rng.normal(size=(2, CHANNELS)).astype(np.float32) * 4
    bias = np.array([0.1, -0.2], np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["film", "k"], ["c"], strides=[4, 4]),
            helper.make_node("Relu", ["c"], ["features"]),
            helper.make_node("GlobalAveragePool", ["features"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "w", "b"], ["logits"], transB=1),
        ],
        "main",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, CHANNELS, 8, 8]),
        ],
        [
            numpy_helper.from_array(kernel, "k"),
            numpy_helper.from_array(weight, "w"),
            numpy_helper.from_array(bias, "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return LinearHead(
        tuple(tuple(float(v) for v in row) for row in weight), tuple(float(v) for v in bias)
    )


def entry(folder: Path, path: str) -> FileEntry:
    data = (folder / path).read_bytes()
    return FileEntry(path, sha256_bytes(data), len(data))


def noise_film(seed: int, height: int = 40, width: int = 48) -> Film:
    rng = np.random.default_rng(seed)
    base = rng.integers(0, 256, (5, 6)).astype(np.float32)
    grown = np.kron(base, np.ones((height // 5, width // 6), np.float32))
    return Film(grown.astype(np.uint8), None, FilmSource("array", f"noise-{seed}"))


def _artifact(folder: Path) -> Artifact:
    file = entry(folder, "artifacts/onnx/fp32/main.onnx")
    names = {"film": (1, 3, SIZE, SIZE), "logits": (1, 2), "features": (1, CHANNELS, 8, 8)}
    binding = tuple(
        TensorBinding(n, n, tuple(range(len(s))), "float32", None, None) for n, s in names.items()
    )
    graph = Graph(
        name="main",
        precision="fp32",
        files=(file,),
        inputs=(TensorSpec("film", names["film"]),),
        outputs=tuple(TensorSpec(n, names[n]) for n in ("logits", "features")),
        binding=binding,
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
        parity=Parity("noise", 1, 0.0, 0.0, 1.0, 1.0, 1.0, 0),
        accuracy=(),
    )


def _manifest(folder: Path, head: LinearHead) -> Manifest:
    return Manifest(
        schema=1,
        kind="model",
        name="handmade",
        version="1.0.0",
        task="classification",
        licence="Apache-2.0",
        intended_use=IntendedUse("tests", "CHEST", ("CR", "DX"), (1.0, 5.0), ("patients",)),
        provenance=None,
        input=InputSpec(
            "film", SIZE, SIZE, 3, "stretch", "bilinear", None,
            Scaling((0.5,) * 3, (0.5,) * 3), DicomRules("file"),
        ),
        outputs=(
            OutputSpec("logits", "logits", (2,), "softmax", ("NORMAL", "PNEUMONIA"), "PNEUMONIA"),
            OutputSpec("features", "features", (CHANNELS, 8, 8), "none", (), None),
        ),
        explanation=ExplanationSpec("features", "relu", True),
        head=head,
        thresholds=(
            Threshold("onnx/fp32", "f32", "PNEUMONIA", 0.5, "by hand", "noise", "select", 1),
        ),
        defaults={"fp32": "fp32", "int8": "int8-static"},
        artifacts=(_artifact(folder),),
        acceptance=None,
        data=(),
    )  # fmt: skip


def _acceptance(folder: Path, manifest: Manifest) -> Acceptance:
    """The answers of the artifact itself on two films."""
    from PIL import Image

    session = open_session(ArtifactFiles(folder, manifest.artifacts[0]))
    films = []
    for number in range(2):
        film = noise_film(number)
        path = f"acceptance/{number:02}.png"
        (folder / "acceptance").mkdir(exist_ok=True)
        Image.fromarray(film.pixels).save(folder / path)
        assert manifest.input is not None
        tensor = prepare(film, manifest.input)
        values = session.run({"film": tensor})["logits"][0]
        expected = Expected("onnx/fp32", "f32", "logits", tuple(map(float, values)), 1e-3)
        digest = hashlib.sha256(tensor.tobytes()).hexdigest()
        films.append(AcceptanceFilm(entry(folder, path), digest, (expected,)))
    return Acceptance(tuple(films), ("this machine",))


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acceptance_memory: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "acceptance").symlink_to(acceptance_memory)
    monkeypatch.setenv("CLINICEDGE_STATE", str(state))


@pytest.fixture(scope="session")
def chest() -> NDArray[np.uint8]:
    """The pixels of a small phantom."""
    return phantom.draw(phantom.Phantom(height=96, width=128, opacity=0.5)).pixels


@pytest.fixture
def rewrite() -> Callable[..., Bundle]:
    """Write the bundle anew with some fields of its manifest changed."""

    def change(bundle: Bundle, **fields: object) -> Bundle:
        manifest = replace(bundle.manifest, **fields)  # type: ignore[arg-type]
        (bundle.folder / "bundle.json").write_bytes(dump_bytes(manifest))
        return load(bundle.folder)

    return change


@pytest.fixture
def handmade(tmp_path: Path) -> Bundle:
    folder = tmp_path / "handmade"
    head = make_onnx(folder / "artifacts/onnx/fp32/main.onnx")
    manifest = _manifest(folder, head)
    manifest = replace(manifest, acceptance=_acceptance(folder, manifest))
    (folder / "bundle.json").write_bytes(dump_bytes(manifest))
    return load(folder)


@pytest.fixture
def lungs(tmp_path: Path) -> Bundle:
    """A mask network that finds what is bright."""
    return tiny_bundles.masks(tmp_path / "lungs", "tiny-lungs")


@pytest.fixture
def on_lungs(tmp_path: Path, lungs: Bundle) -> Bundle:
    """lungs -> crop -> classifier."""
    return tiny_pipelines.on_lungs(tmp_path, lungs)


@pytest.fixture
def cascade(tmp_path: Path, on_lungs: Bundle, lungs: Bundle) -> Bundle:
    """Two such pipelines, the second for findings."""
    return tiny_pipelines.cascade(tmp_path, on_lungs, lungs)


@pytest.fixture
def film() -> Film:
    return noise_film(3)
