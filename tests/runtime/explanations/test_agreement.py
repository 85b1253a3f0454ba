"""Our maps from ONNX and OpenVINO files against the package grad-cam on the network in torch.

TFLite, and a real network, are compared in tests/convert/test_explanations_agree.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_bundles as tiny
from grad_cam_package import CLASSES, as_the_package, reference

from clinicedge.runtime import Bundle, Film
from clinicedge.runtime.explanations import MapRequest, explain

Twin = Callable[[Path], tuple[Any, Any]]


def gap(bundle: Bundle, film: Film, method: str, twin: Twin, artifact: str = "onnx/fp32") -> float:
    """The largest difference of a pixel, of the sign that fits where that is open."""
    predictor = bundle.predictor(precision=artifact)
    tensor = predictor.tensor(film)  # type: ignore[attr-defined]
    network, layer = twin(bundle.folder)
    ours = as_the_package(explain(predictor, film, method).map, *tensor.shape[2:])
    theirs = reference(method, network, layer, tensor, lambda out: out[1] - out[0])
    return min(float(np.abs(ours - t).max()) for t in theirs)


@pytest.mark.parametrize("method", CLASSES)
def test_onnx_agrees_with_the_package(handmade: Bundle, method: str, twin: Twin) -> None:
    for seed in range(3):
        assert gap(handmade, tiny.noise(seed), method, twin) < 1e-4


@pytest.mark.parametrize("method", CLASSES)
def test_openvino_agrees_with_the_package(tmp_path: Path, method: str, twin: Twin) -> None:
    bundle = tiny.binary(tmp_path, formats=("onnx", "openvino"))
    assert gap(bundle, tiny.noise(2), method, twin, "openvino/fp32") < 1e-4


def test_the_other_class_agrees_too(handmade: Bundle, twin: Twin) -> None:
    predictor, film = handmade.predictor(), tiny.noise(1)
    tensor = predictor.tensor(film)  # type: ignore[attr-defined]
    network, layer = twin(handmade.folder)
    ours = predictor.explain(film, MapRequest("grad-cam", "NORMAL")).map
    (theirs,) = reference("grad-cam", network, layer, tensor, lambda out: out[0] - out[1])
    assert np.abs(as_the_package(ours, *tensor.shape[2:]) - theirs).max() < 1e-4
