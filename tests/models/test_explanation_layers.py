"""The feature output of a network is the layer that its spec names."""

import re

import pytest
import torch

from clinicedge.models.zoo import build, spec

NAMES = (
    "mobilenet-0.25-128", "resnet50-224", "densenet121-224", "separable-cnn-180", "segunet-256",
)  # fmt: skip
SIDE = {"separable-cnn-180": 180}


@pytest.mark.parametrize("name", NAMES)
def test_the_feature_output_is_the_layer_of_the_spec(name: str) -> None:
    told = spec(name).explanation
    assert told is not None
    rectified = re.fullmatch(r"relu\((.+)\)", told.layer)
    network = build(name).eval()
    seen: list[torch.Tensor] = []
    layer = network.get_submodule(rectified[1] if rectified else told.layer)
    layer.register_forward_hook(lambda _module, _given, out: seen.append(out))
    side = SIDE.get(name, 64)
    film = torch.rand(1, spec(name).input.channels, side, side)
    with torch.inference_mode():
        _, features = network.forward_with_features(film)  # type: ignore[operator]
    wanted = torch.relu(seen[0]) if rectified else seen[0]
    assert torch.equal(features, wanted)
    assert features.shape[1] == spec(name).output("features").shape[0]
