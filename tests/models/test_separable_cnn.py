"""The notebook's network: its figures, its outputs, its spec."""

import torch

from clinicedge.models import zoo
from clinicedge.models.separable_cnn import SeparableCNN
from clinicedge.models.separable_cnn_sizes import cost
from clinicedge.models.separable_cnns import NAME, NOTES


def test_parameters_and_mult_adds_are_counted_right() -> None:
    network = SeparableCNN(64).eval()
    counted = 0

    def count(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal counted
        kernel = module.weight
        assert isinstance(kernel, torch.Tensor)
        counted += kernel.numel() * output.shape[2:].numel()

    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.register_forward_hook(count)
    network(torch.zeros(1, 3, 64, 64))
    total = sum(v.numel() for v in network.state_dict().values() if v.is_floating_point())
    trainable = sum(p.numel() for p in network.parameters())
    found = cost(64)
    assert (found.params_total, found.params_trainable, found.mult_adds) == (
        total,
        trainable,
        counted,
    )


def test_the_softmax_of_its_logits_is_the_notebooks_sigmoid() -> None:
    torch.manual_seed(0)
    network = SeparableCNN(64).eval()
    with torch.inference_mode():
        logits, features = network.forward_with_features(torch.rand(3, 3, 64, 64))
    assert not logits[:, 0].any()
    torch.testing.assert_close(torch.softmax(logits, 1)[:, 1], torch.sigmoid(logits[:, 1]))
    assert features.shape == (3, 256, 4, 4)
    assert float(features.min()) >= 0


def test_its_spec_says_what_running_needs() -> None:
    for name in (NAME, f"{NAME}-lung-crop"):
        spec = zoo.spec(name)
        assert spec.input.shape == (3, 180, 180)
        assert (spec.input.scaling.mean, spec.input.scaling.std) == ((0.0,) * 3, (1.0,) * 3)
        assert spec.output("logits").labels == ("NORMAL", "PNEUMONIA")
        assert spec.explanation is not None
        assert not spec.explanation.pooling_linear_head
    _, features = SeparableCNN().eval().forward_with_features(torch.zeros(1, 3, 180, 180))
    assert features.shape[1:] == zoo.spec(NAME).output("features").shape
    assert any("224 x 224" in note and "swapped" in note for note in NOTES.values())
