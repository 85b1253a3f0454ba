"""A bundle whose INT8 artifact saturates on x86 processors with AVX2 and without VNNI.

The network of `tiny_bundles` with one convolution of u8 activations and s8 weights of full range:
48 products a sum. AVX2 adds two such products in 16 bits: 255 * 127 * 2 = 64770 becomes 32767.
Elsewhere sums are exact, and the recorded answers are those, worked out with whole numbers.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import tiny_bundles as tiny
from numpy.typing import NDArray

from clinicedge.runtime import Bundle, read_film
from clinicedge.runtime.figures import Parity
from clinicedge.runtime.files import sha256_bytes
from clinicedge.runtime.images import prepare
from clinicedge.runtime.manifest import (
    AcceptanceFilm,
    Artifact,
    Expected,
    FileEntry,
    artifact_sha256,
)

INT8 = "onnx/int8-static"
# What convert gives INT8 at least.
TOLERANCE = 0.065
_ZERO = 128
_FILM = np.float32(1 / 127)
_WEIGHT = np.float32(1 / (48 * 127))
# Of the convolution's output, -1..1 as well.
_OUT = np.float32(1 / 127)
_HEAD = np.array([[-3.0, 3.0], [3.0, -3.0]], np.float32)


def saturating(folder: Path, off: float = 0.0, safe_on: tuple[str, ...] = ()) -> Bundle:
    """The bundle, FP32 beside INT8; `int8` comes first where nobody wishes.

    Args:
        off: added to the recorded answers, so that no processor reproduces them.
        safe_on: what the manifest says.
    """
    bundle = tiny.binary(folder)
    path = "artifacts/onnx/int8-static/main.onnx"
    _write_onnx(folder / path)
    artifact = _artifact(bundle, folder, path)
    manifest, acceptance = bundle.manifest, bundle.manifest.acceptance
    assert acceptance is not None
    films = tuple(_with_int8(bundle, film, off) for film in acceptance.films)
    threshold = replace(manifest.thresholds[0], artifact=INT8, compute="int8")
    return tiny.write(
        folder,
        replace(
            manifest,
            name="saturating",
            artifacts=(*manifest.artifacts, replace(artifact, safe_on=safe_on)),
            thresholds=(*manifest.thresholds, threshold),
            defaults={"fp32": "fp32", "int8": "int8-static"},
            acceptance=replace(acceptance, films=films),
        ),
    )


def exact_logits(tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """(2,) for a film float32 (1, 3, 32, 32), sums without saturation."""
    film = np.clip(np.rint(tensor[0] / _FILM) + _ZERO, 0, 255).astype(np.int64) - _ZERO
    blocks = film.reshape(3, 8, 4, 8, 4).sum(axis=(0, 2, 4)) * 127
    both = np.stack([blocks, -blocks]).astype(np.float32) * (_FILM * _WEIGHT)
    kept = np.clip(np.rint(both / _OUT) + _ZERO, 0, 255).astype(np.float32) - _ZERO
    features = np.maximum(kept * _OUT, 0.0)
    return np.asarray(_HEAD @ features.mean(axis=(1, 2)), np.float32)


def _with_int8(bundle: Bundle, film: AcceptanceFilm, off: float) -> AcceptanceFilm:
    assert bundle.manifest.input is not None
    tensor = prepare(read_film(bundle.folder / film.file.path), bundle.manifest.input)
    values = tuple(float(v) + off for v in exact_logits(tensor))
    expected = Expected(INT8, "int8", "logits", values, TOLERANCE)
    return replace(film, expected=(*film.expected, expected))


def _artifact(bundle: Bundle, folder: Path, path: str) -> Artifact:
    data = (folder / path).read_bytes()
    files = (FileEntry(path, sha256_bytes(data), len(data)),)
    fp32 = bundle.artifact("onnx/fp32")
    graph = replace(fp32.graphs[0], precision="int8", files=files)
    return replace(
        fp32,
        id=INT8,
        recipe="int8-static",
        precision="int8",
        computes=("int8",),
        graphs=(graph,),
        sha256=artifact_sha256(files),
        parity=Parity("noise", 1, 0.0, 0.0, 1.0, 1.0, 1.0, 0),
    )


def _write_onnx(path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = np.full((1, 3, 4, 4), 127, np.int8)
    constants = {
        "film_scale": _FILM,
        "weight_scale": _WEIGHT,
        "out_scale": _OUT,
        "zero": np.uint8(_ZERO),
        "weight_zero": np.int8(0),
        "weight": np.concatenate([weight, -weight]),
        "w": _HEAD,
        "b": np.zeros(2, np.float32),
    }
    film, block = ["film_scale", "zero"], ["out_scale", "zero"]
    graph = helper.make_graph(
        [
            helper.make_node("QuantizeLinear", ["film", *film], ["film_q"]),
            helper.make_node("DequantizeLinear", ["film_q", *film], ["film_d"]),
            helper.make_node(
                "DequantizeLinear", ["weight", "weight_scale", "weight_zero"], ["weight_d"]
            ),
            helper.make_node("Conv", ["film_d", "weight_d"], ["c"], strides=[4, 4]),
            helper.make_node("QuantizeLinear", ["c", *block], ["c_q"]),
            helper.make_node("DequantizeLinear", ["c_q", *block], ["c_d"]),
            helper.make_node("Relu", ["c_d"], ["features"]),
            helper.make_node("GlobalAveragePool", ["features"], ["p"]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "w", "b"], ["logits"], transB=1),
        ],
        "main",
        [helper.make_tensor_value_info("film", TensorProto.FLOAT, [1, 3, 32, 32])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2]),
            helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, 2, 8, 8]),
        ],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 9
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
