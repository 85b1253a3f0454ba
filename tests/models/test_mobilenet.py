"""The network computes what Keras' MobileNet computes."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from clinicedge.models.layers import BN_EPS, feature_shape
from clinicedge.models.mobilenet import MobileNetV1


def small() -> MobileNetV1:
    torch.manual_seed(3)
    network = MobileNetV1(0.25).eval()
    for value in network.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.rand_like(value) * 0.5 + 0.1 * torch.randn_like(value).abs())
    return network


def keras_convolution(x: np.ndarray, weight: np.ndarray, stride: int, groups: int) -> np.ndarray:
    """A 3x3 convolution (C, H, W) as Keras pads it: "same" at stride 1, else bottom and right."""
    before = 1 if stride == 1 else 0
    padded = np.pad(x, ((0, 0), (before, 1), (before, 1)))
    side = x.shape[1] // stride
    out = np.zeros((weight.shape[0], side, side))
    per_group = weight.shape[0] // groups
    for o in range(weight.shape[0]):
        first = (o // per_group) * weight.shape[1]
        for i, j in np.ndindex(side, side):
            y, z = i * stride, j * stride
            patch = padded[first : first + weight.shape[1], y : y + 3, z : z + 3]
            out[o, i, j] = (patch * weight[o]).sum()
    return out


@pytest.mark.parametrize("name", ["conv1", "dw1", "dw2"])
def test_padding_and_normalization_are_keras_own(name: str) -> None:
    unit = small().backbone.get_submodule(name)
    state = {k: v.numpy().astype(np.float64) for k, v in unit.state_dict().items()}
    weight = state["conv.weight"]
    groups = 1 if name == "conv1" else weight.shape[0]
    x = np.random.default_rng(1).normal(size=(weight.shape[1] * groups, 8, 8))
    raw = keras_convolution(x, weight, 1 if name == "dw1" else 2, groups)
    mean, var = state["bn.running_mean"][:, None, None], state["bn.running_var"][:, None, None]
    gamma, beta = state["bn.weight"][:, None, None], state["bn.bias"][:, None, None]
    expected = np.clip((raw - mean) / np.sqrt(var + BN_EPS) * gamma + beta, 0, 6)
    found = unit(torch.from_numpy(x[None].astype(np.float32))).detach().numpy()[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_scores_are_pooling_and_one_linear_layer() -> None:
    network = small()
    x = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        logits, features = network.forward_with_features(x)
        pooled = features.mean(dim=(2, 3))
        again = functional.linear(pooled, network.classifier.weight, network.classifier.bias)
        assert torch.equal(network(x), logits)
    torch.testing.assert_close(again, logits)
    assert features.shape[1:] == feature_shape(0.25, 64)
    assert 0 <= float(features.min()) <= float(features.max()) <= 6
