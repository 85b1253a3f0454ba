"""ResNet50 and DenseNet121: torchvision's names and shapes, published sizes, exact heads."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from clinicedge.models import densenet_sizes, resnet_sizes
from clinicedge.models.densenet import DenseNet121
from clinicedge.models.resnet import ResNet50
from clinicedge.models.zoo import build, cost, spec

State = dict[str, Tensor]
NAMES = ("resnet50-224", "densenet121-224", "pneumonia-type-224")


def shaken(network: nn.Module) -> nn.Module:
    """Values that no layer leaves as they are: gammas of 0 would hide a wrong block."""
    torch.manual_seed(5)
    for key, value in network.state_dict().items():
        if value.is_floating_point() and value.ndim == 1:
            value.copy_(torch.rand_like(value) * 0.5 + 0.5)
            if key.endswith(("bias", "mean")):
                value.sub_(0.7)
    return network.eval()


def norm(x: Tensor, state: State, at: str) -> Tensor:
    """Batch normalization as its formula says."""
    mean, var, gamma, beta = (
        state[f"{at}.{part}"].view(1, -1, 1, 1)
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (x - mean) / torch.sqrt(var + 1e-5) * gamma + beta


def resnet_by_hand(x: Tensor, state: State) -> Tensor:
    """He et al. 2015, table 1, the column of 50 layers; from the state_dict alone."""
    x = functional.conv2d(x, state["conv1.weight"], stride=2, padding=3)
    x = functional.max_pool2d(norm(x, state, "bn1").clamp(min=0), 3, 2, 1)
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            at = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = functional.conv2d(x, state[f"{at}.conv1.weight"])
            y = norm(y, state, f"{at}.bn1").clamp(min=0)
            y = functional.conv2d(y, state[f"{at}.conv2.weight"], stride=stride, padding=1)
            y = norm(y, state, f"{at}.bn2").clamp(min=0)
            y = norm(functional.conv2d(y, state[f"{at}.conv3.weight"]), state, f"{at}.bn3")
            if block == 0:
                x = functional.conv2d(x, state[f"{at}.downsample.0.weight"], stride=stride)
                x = norm(x, state, f"{at}.downsample.1")
            x = (x + y).clamp(min=0)
    return x.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


def densenet_by_hand(x: Tensor, state: State) -> Tensor:
    """Huang et al. 2017, table 1, DenseNet-121; from the state_dict alone."""
    x = functional.conv2d(x, state["features.conv0.weight"], stride=2, padding=3)
    x = functional.max_pool2d(norm(x, state, "features.norm0").clamp(min=0), 3, 2, 1)
    for block, layers in enumerate((6, 12, 24, 16), start=1):
        for layer in range(1, layers + 1):
            at = f"features.denseblock{block}.denselayer{layer}"
            y = norm(x, state, f"{at}.norm1").clamp(min=0)
            y = functional.conv2d(y, state[f"{at}.conv1.weight"])
            y = norm(y, state, f"{at}.norm2").clamp(min=0)
            y = functional.conv2d(y, state[f"{at}.conv2.weight"], padding=1)
            x = torch.cat([x, y], 1)
        if block < 4:
            at = f"features.transition{block}"
            x = functional.conv2d(
                norm(x, state, f"{at}.norm").clamp(min=0), state[f"{at}.conv.weight"]
            )
            x = functional.avg_pool2d(x, 2)
    x = norm(x, state, "features.norm5").clamp(min=0)
    return x.mean((2, 3)) @ state["classifier.weight"].T + state["classifier.bias"]


@pytest.mark.parametrize(
    ("network", "by_hand"),
    [(ResNet50(3), resnet_by_hand), (DenseNet121(3), densenet_by_hand)],
    ids=["resnet50", "densenet121"],
)
def test_the_network_is_the_published_one(network: nn.Module, by_hand: object) -> None:
    assert callable(by_hand)
    shaken(network)
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        found, expected = network(x), by_hand(x, network.state_dict())
    scale = float(expected.abs().max())
    assert float((found - expected).abs().max()) < 1e-4 * scale


def test_published_sizes_with_1000_classes() -> None:
    assert resnet_sizes.cost(1000).params_trainable == 25_557_032
    assert densenet_sizes.cost(1000).params_trainable == 7_978_856
    # The tables' 4.09 and 2.83 thousand million.
    assert resnet_sizes.cost(1000).mult_adds == 4_089_184_256
    assert densenet_sizes.cost(1000).mult_adds == 2_834_161_664


def counted_mult_adds(network: nn.Module, side: int) -> int:
    """Of convolutions and linear layers, from the maps that run through."""
    total = 0

    def hook(module: nn.Module, _: object, out: Tensor) -> None:
        nonlocal total
        kernel = module.weight
        assert isinstance(kernel, Tensor)
        places = out.shape[2] * out.shape[3] if out.ndim == 4 else 1
        total += kernel.numel() * places

    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            module.register_forward_hook(hook)
    with torch.inference_mode():
        network.eval()(torch.zeros(1, 3, side, side))
    return total


@pytest.mark.parametrize("name", NAMES)
def test_cost_is_what_the_network_has(name: str) -> None:
    network, figures = build(name), cost(name)
    trainable = sum(p.numel() for p in network.parameters())
    total = sum(v.numel() for v in network.state_dict().values() if v.is_floating_point())
    assert (trainable, total) == (figures.params_trainable, figures.params_total)
    assert counted_mult_adds(network, 224) == figures.mult_adds


def test_state_dicts_are_laid_out_as_torchvision_s() -> None:
    """Their number of entries, and names and shapes where a layout could differ."""
    resnet = ResNet50(1000).state_dict()
    assert len(resnet) == 320
    assert list(resnet)[:7] == [
        "conv1.weight",
        *(f"bn1.{p}" for p in ("weight", "bias", "running_mean", "running_var")),
        "bn1.num_batches_tracked",
        "layer1.0.conv1.weight",
    ]
    assert resnet["layer2.0.downsample.0.weight"].shape == (512, 256, 1, 1)
    assert resnet["layer4.2.bn3.running_var"].shape == (2048,)
    assert resnet["fc.weight"].shape == (1000, 2048)
    dense = DenseNet121(1000).state_dict()
    assert len(dense) == 727
    assert dense["features.denseblock1.denselayer1.norm1.weight"].shape == (64,)
    assert dense["features.denseblock4.denselayer16.conv1.weight"].shape == (128, 992, 1, 1)
    assert dense["features.transition3.conv.weight"].shape == (512, 1024, 1, 1)
    assert dense["features.norm5.running_mean"].shape == (1024,)
    assert dense["classifier.weight"].shape == (1000, 1024)


@pytest.mark.parametrize("name", NAMES)
def test_scores_are_pooling_and_one_linear_layer(name: str) -> None:
    network, model = shaken(build(name)), spec(name)
    x = torch.rand(1, *model.input.shape)
    with torch.inference_mode():
        logits, features = network.forward_with_features(x)  # type: ignore[operator]
        assert torch.equal(network(x), logits)
    linear = [m for m in network.modules() if isinstance(m, nn.Linear)][-1]
    again = functional.linear(features.mean(dim=(2, 3)), linear.weight, linear.bias)
    torch.testing.assert_close(again, logits)
    assert features.shape[1:] == model.output("features").shape
    assert float(features.min()) >= 0
    assert logits.shape[1:] == model.output("logits").shape


def test_specs_of_findings() -> None:
    five, types = spec("densenet121-224"), spec("pneumonia-type-224")
    for model in (five, types, spec("resnet50-224")):
        assert model.input.scaling.mean == (0.485, 0.456, 0.406)
        assert model.input.scaling.std == (0.229, 0.224, 0.225)
    for model in (five, types):
        assert model.task == "findings"
        assert model.output("logits").activation == "sigmoid"
        assert model.output("logits").positive_label is None
    assert five.output("logits").labels[2:4] == ("Other disease", "Bronchiolitis")
    assert types.output("logits").labels == ("BACTERIA", "VIRUS")
    assert "films without pneumonia: it was trained on none" in types.intended_use.not_for
    assert spec("pneumonia-type-224-lung-crop").input.region == "lungs"
