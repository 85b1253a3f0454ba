"""The 16 MobileNets as bundles, converted once and kept.

Whether a processor reproduces recorded answers does not hang on what was learned: where a clone
has no reference weights yet, those of the first moment of a training do.
"""

import sys
from pathlib import Path

from clinicedge.convert import ConvertOptions, convert_model, phantom_films
from clinicedge.convert.zoo_source import load_source
from clinicedge.models import weights, zoo
from clinicedge.runtime import Bundle, load
from clinicedge.runtime.errors import BundleError, WeightsMissingError

SMALLEST = "mobilenet-0.25-128"
# Few films: their drawing and judging would take longer than the conversion.
_PHANTOMS = 16
_CALIBRATION = 12


def names() -> tuple[str, ...]:
    """Of all 16, the lightest first."""
    plain = [n for n in zoo.chest_names() if n.startswith("mobilenet-") and "lung" not in n]
    return tuple(sorted(plain, key=lambda name: zoo.cost(name).mult_adds))


def kept(name: str, cache: Path) -> Bundle | None:
    """What an earlier run made; None where it made nothing that this clinicedge reads."""
    try:
        return load(cache / "bundles" / name)
    except BundleError:
        return None


def make(name: str, cache: Path) -> Bundle:
    """Convert it, FP32 and INT8 in three formats, unless it is kept."""
    found = kept(name, cache)
    if found is not None:
        return found
    _ensure_weights(name, cache / "weights")
    options = ConvertOptions(
        cache / "bundles",
        precisions=("fp32",),
        recipes=("int8-static",),
        calibration_films=_CALIBRATION,
        # First weights decide nothing; only that answers come again is asked here.
        min_agreement=0.0,
        keep_going=True,
    )
    phantom_films.COUNT = _PHANTOMS
    return load(convert_model(load_source(name, (cache / "weights",)), options).folder)


def _ensure_weights(name: str, folder: Path) -> None:
    import torch

    try:
        weights.find(zoo.spec(name), (folder,))
    except WeightsMissingError:
        torch.manual_seed(0)
        weights.save(zoo.build(name), folder / f"{name}.safetensors", name)


if __name__ == "__main__":
    # In a process of its own each: the converters keep much memory.
    make(sys.argv[1], Path(sys.argv[2]))
