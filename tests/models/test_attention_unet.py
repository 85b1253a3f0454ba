"""The attention U-Net: its figures, its gates, its specs."""

import numpy as np
import pytest
import torch

from clinicedge.models import zoo
from clinicedge.models.attention_unet import AttentionUNet, Gate
from clinicedge.models.attention_unets import CHANNELS, FULL, OURS, cost
from clinicedge.runtime.errors import OutsideUseError
from clinicedge.runtime.film import Film, FilmSource
from clinicedge.runtime.images import prepare
from clinicedge.runtime.intended_use import refuse_outside


def test_parameters_and_mult_adds_are_counted_right() -> None:
    network = AttentionUNet(CHANNELS).eval()
    counted = 0

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor], out: torch.Tensor) -> None:
        nonlocal counted
        kernel = module.weight
        assert isinstance(kernel, torch.Tensor)
        places = inputs[0] if isinstance(module, torch.nn.ConvTranspose2d) else out
        counted += kernel.numel() * places.shape[2:].numel()

    for module in network.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            module.register_forward_hook(count)  # type: ignore[arg-type]
    assert network(torch.zeros(1, 1, 32, 32)).shape == (1, 1, 32, 32)
    total = sum(v.numel() for v in network.state_dict().values() if v.is_floating_point())
    trainable = sum(p.numel() for p in network.parameters())
    found = cost(32)
    assert (found.params_total, found.params_trainable, found.mult_adds) == (
        total,
        trainable,
        counted,
    )


def test_a_gate_weighs_each_place_of_the_skip() -> None:
    torch.manual_seed(0)
    gate, skip, raised = Gate(4), torch.rand(2, 4, 8, 8) + 0.1, torch.randn(2, 4, 8, 8)
    share = gate(skip, raised) / skip
    assert bool(((share > 0) & (share < 1)).all())
    torch.testing.assert_close(share[:, :1].expand(-1, 4, -1, -1), share)
    both = torch.relu(gate.skip(skip) + gate.gate(raised))
    torch.testing.assert_close(torch.sigmoid(gate.psi(both)), share[:, :1])


def test_the_specs_differ_in_geometry_alone() -> None:
    full, ours = zoo.spec(FULL).input, zoo.spec(OURS).input
    assert (full.shape, full.resize, full.pad_value) == ((1, 512, 512), "letterbox", 0)
    assert (ours.shape, ours.resize, ours.pad_value) == ((1, 256, 256), "stretch", None)
    assert zoo.spec(FULL).output("mask").labels == zoo.spec(OURS).output("mask").labels
    assert zoo.needs_user_weights(FULL)
    assert not zoo.needs_user_weights(OURS)


def test_a_tall_film_is_letterboxed_in_black() -> None:
    white = Film(np.full((200, 100), 255, np.uint8), None, FilmSource("png", "white"))
    tensor = prepare(white, zoo.spec(FULL).input)
    assert tensor.shape == (1, 1, 512, 512)
    assert float(tensor[..., :128].max()) == 0.0
    assert float(tensor[..., 129:383].min()) == 1.0


@pytest.mark.parametrize("part", ["KNEE", "LOW_EXM", "Tibia/Fibula", "HAND", None])
def test_limbs_are_its_use(part: str | None) -> None:
    refuse_outside(declaring(part), zoo.spec(OURS).intended_use, OURS)


@pytest.mark.parametrize("part", ["CHEST", "SKULL", "LSPINE"])
def test_other_body_parts_are_not(part: str) -> None:
    with pytest.raises(OutsideUseError, match="extremity"):
        refuse_outside(declaring(part), zoo.spec(OURS).intended_use, OURS)


def declaring(part: str | None) -> Film:
    source = FilmSource("dicom", "film.dcm", body_part=part, modality="DX")
    return Film(np.zeros((8, 8), np.uint8), None, source)


def test_the_data_s_two_licences_are_told() -> None:
    for name in (FULL, OURS):
        said = zoo.spec(name).weights.attribution
        assert "CC BY 4.0 for the data and CC BY-NC-ND for the paper" in said
