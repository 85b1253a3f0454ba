"""Our YOLO-NAS is the original's: names, shapes, cost, answers, and the fused form of it."""

import csv
import hashlib
from pathlib import Path

import numpy as np
import plain_yolo_nas
import pytest
import torch

from clinicedge.models.yolo_nas import sizes
from clinicedge.models.yolo_nas.decoding import boxes_of, places
from clinicedge.models.yolo_nas.fusion import fuse
from clinicedge.models.yolo_nas.network import Detector, YoloNas

SIZES = {"s": sizes.S, "m": sizes.M, "l": sizes.L}
# Number and SHA-256 of the sorted lines "key shape" of the original at 80 classes, and what it
# costs as it is deployed: parameters, and multiply-adds at 640 x 640.
ORIGINAL = {
    "s": (
        921,
        "b86fe1638027490f9deb9d50f0d6faaeb48c8642de8b9cd31be8445e4454098e",
        12_167_600,
        15_898_624_000,
    ),
    "m": (
        965,
        "9bd68ef029c0fa1a5e538ad6c0fd2ec445aae7f5abe1ebd8205b07fcf64cb47c",
        31_894_002,
        43_879_833_600,
    ),
    "l": (
        1097,
        "a57111b3519ac1f14353ebf47d054407cc6a7566b568eb4ca875fb0087fe5cf7",
        41_984_984,
        59_917_107_200,
    ),
}


def layout(size: sizes.Size, classes: int = 80) -> dict[str, str]:
    """Key to shape, as the reference writes it: 48x3x3x3."""
    with torch.device("meta"):
        network = YoloNas(size, classes)
    return {
        key: "x".join(map(str, value.shape)) or "scalar"
        for key, value in network.state_dict().items()
    }


def wild(size: sizes.Size, classes: int, seed: int = 7) -> YoloNas:
    """A network in evaluation mode in which no value is at its beginning."""
    torch.manual_seed(seed)
    network = YoloNas(size, classes).eval()
    with torch.no_grad():
        for key, value in network.state_dict().items():
            if key.endswith("running_var"):
                value.copy_(0.5 + torch.rand_like(value))
            elif value.ndim <= 1 and value.is_floating_point():
                value.copy_(value + 0.5 * (torch.rand_like(value) - 0.5))
            elif "_pred" in key:
                value.copy_(0.2 * torch.randn_like(value))
            if "rbr_reparam" in key:
                value.fill_(1.0)
    return network


@pytest.mark.parametrize("name", SIZES)
def test_names_and_shapes_are_the_original_s(name: str) -> None:
    found = layout(SIZES[name])
    lines = "\n".join(sorted(f"{key} {shape}" for key, shape in found.items()))
    count, digest, _, _ = ORIGINAL[name]
    assert len(found) == count
    assert hashlib.sha256(lines.encode()).hexdigest() == digest


@pytest.mark.reference_data
@pytest.mark.parametrize("name", SIZES)
def test_and_are_those_of_the_reference_lists(name: str, reference_vectors: Path) -> None:
    with (reference_vectors / f"yolo_nas_{name}_state_dict.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["in_checkpoint"] == "1"]
    for classes, column in ((80, "shape"), (1, "shape_nc1")):
        assert layout(SIZES[name], classes) == {row["key"]: row[column] for row in rows}


@pytest.mark.reference_data
def test_the_reference_vectors_are_met(reference_vectors: Path) -> None:
    stored = np.load(reference_vectors / "yolo_nas_s_ref_weights_fp16.npz")
    known = np.load(reference_vectors / "yolo_nas_s_ref_io_320.npz")
    values = {key: torch.from_numpy(stored[key]) for key in stored}
    network = YoloNas(sizes.S, 80).eval()
    network.load_state_dict(
        {k: v.float() if v.is_floating_point() else v for k, v in values.items()}
    )
    film = torch.from_numpy(known["in_320_uint8_chw_rgb"]).float()[None] / 255
    with torch.inference_mode():
        for form in (network, fuse(network)):
            logits, boxes = Detector(form, 320, 320)(film)
            assert np.abs(boxes.numpy() - known["out_320_boxes_xyxy_px"]).max() < 0.05
            shares = torch.sigmoid(logits).numpy()
            assert np.abs(shares - known["out_320_scores"]).max() < 2e-4
            assert np.abs(logits.numpy() - known["raw_320_cls_logits"]).max() < 1e-3


def test_plain_functions_answer_alike() -> None:
    """The twin of the reference vectors: the architecture's description, written down twice."""
    network = wild(sizes.TINY, 3).double()
    film = torch.rand(2, 3, 64, 96, dtype=torch.float64)
    boxes, logits = plain_yolo_nas.predict(network.state_dict(), film)
    with torch.inference_mode():
        scores, found = Detector(network, 64, 96)(film)
    assert found.shape == (2, 8 * 12 + 4 * 6 + 2 * 3, 4)
    torch.testing.assert_close(found, boxes, rtol=0, atol=1e-6)
    torch.testing.assert_close(scores, logits, rtol=0, atol=1e-9)
    assert float(logits.std()) > 0.1


def test_the_fused_form_computes_the_same_with_one_convolution_a_block() -> None:
    network = wild(sizes.TINY, 2).double()
    film = torch.rand(1, 3, 64, 64, dtype=torch.float64)
    fused = fuse(network)
    with torch.inference_mode():
        torch.testing.assert_close(fused(film), network(film), rtol=0, atol=1e-9)
    kinds = {type(module).__name__ for module in fused.modules()}
    assert not kinds & {"BatchNorm2d", "QARepVGG", "ConvBN"}
    assert any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())


def test_what_a_network_costs_is_counted_right() -> None:
    fused, counted = fuse(YoloNas(sizes.TINY, 2)), 0

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor], out: torch.Tensor) -> None:
        nonlocal counted
        kernel = module.weight
        assert isinstance(kernel, torch.Tensor)
        at = inputs[0] if isinstance(module, torch.nn.ConvTranspose2d) else out
        counted += kernel.numel() * at.shape[2:].numel()

    for module in fused.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
            module.register_forward_hook(count)  # type: ignore[arg-type]
    fused(torch.zeros(1, 3, 64, 64))
    found = sizes.cost(sizes.TINY, 64, 2)
    assert found.params_total == sum(p.numel() for p in fused.parameters())
    assert found.mult_adds == counted


@pytest.mark.parametrize("name", SIZES)
def test_the_three_cost_what_the_original_costs(name: str) -> None:
    found = sizes.cost(SIZES[name], 640, 80)
    assert (found.params_total, found.mult_adds) == ORIGINAL[name][2:]
    assert sizes.positions(640) == 8400


def test_a_box_is_its_centre_and_four_mean_distances() -> None:
    centres, strides = places(64, 96)
    assert centres[0].tolist() == [4.0, 4.0]
    assert centres[1].tolist() == [12.0, 4.0]
    assert centres[12].tolist() == [4.0, 12.0]
    assert centres[-1].tolist() == [80.0, 48.0]
    assert strides[-1].tolist() == [32.0]
    bins = torch.full((1, 1, 4, 17), -30.0)
    for side, (one, other) in enumerate(((1, 1), (0, 2), (3, 4), (16, 16))):
        bins[0, 0, side, [one, other]] = 30.0
    box = boxes_of(bins.flatten(2), torch.tensor([[100.0, 50.0]]), torch.tensor([[8.0]]))
    assert box[0, 0].tolist() == pytest.approx([92.0, 42.0, 128.0, 178.0], abs=1e-3)
