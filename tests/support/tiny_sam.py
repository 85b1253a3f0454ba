"""A promptable network of a few thousand weights with its papers, for conversions."""

from dataclasses import replace

from pypi_sam2 import random_values

from clinicedge.convert.source import Source
from clinicedge.models.fit import values
from clinicedge.models.medsam2 import family
from clinicedge.models.medsam2.network import MedSam2
from clinicedge.models.medsam2.sizes import TINY, Sam2Size
from clinicedge.runtime.spec import ModelSpec

SIZE = replace(TINY, side=64, windows=(8, 4, 6, 2), mlp=64, quality=32)
NAME = "medsam2-mini-192-lungs"


def tiny_spec(size: Sam2Size = SIZE) -> ModelSpec:
    """The zoo's spec with another size."""
    spec = family.spec(NAME)
    mask, quality = spec.outputs
    return replace(
        spec,
        name="tiny-sam",
        input=replace(spec.input, height=size.side, width=size.side),
        outputs=(replace(mask, shape=size.mask), quality),
    )


def tiny_source(size: Sam2Size = SIZE) -> Source:
    """Random weights that draw something in most boxes."""
    network = MedSam2(size).eval()
    shapes = {name: tuple(value.shape) for name, value in values(network).items()}
    network.load_state_dict(random_values(shapes))
    return Source(
        spec=tiny_spec(size),
        network=network,
        weights_file="tiny-sam.safetensors",
        weights_sha256="0" * 64,
        weights_date="2026-01-01",
        training_data="none",
    )
