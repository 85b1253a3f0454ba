"""The 2D path against PyPI's `sam2` on random weights: golden arrays always, itself where it is."""

import numpy as np
import pypi_sam2 as reference
import pytest
import torch
from torch import Tensor

from clinicedge.models.fit import values
from clinicedge.models.medsam2.network import MedSam2
from clinicedge.models.medsam2.sizes import TINY, Sam2Size

LOGITS, QUALITY = 1e-3, 1e-5


def ours(size: Sam2Size) -> MedSam2:
    """With the reference's values, under the names that both have."""
    network = MedSam2(size).eval()
    shapes = {name: tuple(value.shape) for name, value in values(network).items()}
    network.load_state_dict(reference.random_values(shapes))
    return network


def answers(network: MedSam2) -> dict[str, Tensor]:
    side = network.size.side
    film, boxes = reference.film(side), reference.boxes(side)
    with torch.inference_mode():
        embedding, fine, middle = network.encode(film)
        asked = [t.expand(len(boxes), -1, -1, -1) for t in (embedding, fine, middle)]
        mask, quality = network.decode(asked[0], asked[1], asked[2], boxes)
    return {
        "high_res_0": fine,
        "high_res_1": middle,
        "image_embedding": embedding,
        "mask": mask,
        "quality": quality,
    }


def assert_equal(found: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        assert value.shape == wanted[name].shape
        tolerance = QUALITY if name == "quality" else LOGITS
        assert float((value - wanted[name]).abs().max()) <= tolerance, name


def test_a_tiny_network_answers_as_the_original() -> None:
    with np.load(reference.GOLDEN) as golden:
        wanted = {name: torch.from_numpy(golden[name]) for name in golden.files}
    # Something to be wrong about.
    assert float(wanted["mask"].std()) > 0.1
    assert_equal(answers(ours(TINY)), wanted)


def test_a_box_is_asked_alone_as_among_others() -> None:
    network = ours(TINY)
    film, boxes = reference.film(TINY.side), reference.boxes(TINY.side)
    with torch.inference_mode():
        mask, quality = network(film, boxes[1:])
    both = answers(network)
    assert torch.allclose(mask, both["mask"][1:], atol=1e-5)
    assert torch.allclose(quality, both["quality"][1:], atol=1e-6)


def calm(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Queries and keys of the decoder quartered.

    Random values as they are make its attention choose one place of a thousand: rounding of 1e-6
    in what goes in comes out as 1e-2, in float32 of either implementation against its own float64.
    """
    ends = ("q_proj.weight", "k_proj.weight")
    return {k: v / 4 if k.endswith(ends) else v for k, v in given.items()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("side", [512, 256])
def test_the_whole_network_answers_as_the_original(side: int) -> None:
    pytest.importorskip("sam2")
    size = Sam2Size(side)
    theirs = reference.build(size)
    given = calm(reference.values_of(theirs))
    theirs.load_state_dict(given)
    network = MedSam2(size).eval()
    network.load_state_dict({k: v for k, v in given.items() if k in values(network)})
    film, boxes = reference.film(side), reference.boxes(side)
    wanted = reference.answer(theirs, film, boxes)
    # Something to be wrong about, and a box that matters.
    assert float(wanted["mask"].std()) > 1
    assert float((wanted["mask"][0] - wanted["mask"][1]).abs().max()) > 1
    assert_equal(answers(network), wanted)
