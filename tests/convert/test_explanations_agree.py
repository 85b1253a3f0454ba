"""Maps from converted files of a real network against the package grad-cam on its torch form."""

import numpy as np
import pytest
from grad_cam_package import UNSIGNED, as_the_package, reference

from clinicedge.convert import Conversion, Source
from clinicedge.runtime import load, phantom
from clinicedge.runtime.classifier import as_classifier
from clinicedge.runtime.explanations import MapRequest, bundle_offers

# Score-CAM would ask the network once a channel; it is compared on a smaller one.
METHODS = ("grad-cam", "grad-cam++", "hirescam", *UNSIGNED)
FILM = phantom.Phantom(seed=5, opacity=0.7, height=160, width=200)


@pytest.mark.parametrize("artifact", ["onnx/fp32", "tflite/fp32", "openvino/fp32"])
def test_every_format_agrees_with_the_package(
    converted: Conversion, source: Source, artifact: str
) -> None:
    film = phantom.draw(FILM)
    predictor = as_classifier(load(converted.folder).predictor(precision=artifact, threads=1))
    tensor = predictor.tensor(film)
    network = source.module.eval()
    for method in METHODS:
        told = predictor.explain(film, MapRequest(method)).map
        ours = as_the_package(told, *tensor.shape[2:])
        theirs = reference(method, network, network.backbone, tensor, lambda out: out[1] - out[0])
        assert min(np.abs(ours - t).max() for t in theirs) < 1e-4, method


def test_a_converted_classifier_offers_every_method_of_scores(converted: Conversion) -> None:
    told = {o.method for o in bundle_offers(load(converted.folder)) if o.available}
    assert told == {
        "eigen-cam", "grad-cam", "grad-cam++", "hirescam", "eigen-grad-cam", "score-cam", "rise",
        "occlusion",
    }  # fmt: skip
