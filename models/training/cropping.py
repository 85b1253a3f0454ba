"""Films cropped to the lungs by the reference network, as the pipeline crops them on a device."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ...runtime.errors import NoLungsError
from ...runtime.film import Film
from ...runtime.images import prepare
from ...runtime.lungs import CropRule, crop, find_lungs
from .. import lungs, weights, zoo

Crop = Callable[[Film], Film | None]


def lung_cropper(folders: Sequence[Path] = (), rule: CropRule | None = None) -> Crop:
    """A function that crops a film to its lungs, None where it finds none.

    Raises:
        WeightsMissingError: `lungs-128` has no weights in the folders or the clone.
        CheckpointError: they are of another network.
    """
    spec = zoo.spec(lungs.NAME)
    module = zoo.build(lungs.NAME)
    weights.load_into(module, weights.find(spec, folders))
    how = rule or CropRule()

    def cropped(film: Film) -> Film | None:
        with torch.inference_mode():
            logits = module(torch.from_numpy(prepare(film, spec.input)))
        shares = torch.sigmoid(logits)[0, 0].numpy()
        try:
            return crop(film, find_lungs(shares, film.pixels.shape, how).box)
        except NoLungsError:
            return None

    return cropped
