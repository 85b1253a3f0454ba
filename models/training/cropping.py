"""Films cropped to the lungs by the reference network, as the pipeline crops them on a device."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ...runtime.errors import NoLungsError
from ...runtime.files import sha256_file
from ...runtime.film import Film
from ...runtime.images import prepare
from ...runtime.lungs import Box, CropRule, crop, find_lungs
from .. import lungs, weights, zoo

Crop = Callable[[Film], Film | None]
# Boxes by film, weights and rule: several models of one run look at the same films.
_BOXES: dict[tuple[str, str, CropRule], Box | None] = {}


def lung_cropper(folders: Sequence[Path] = (), rule: CropRule | None = None) -> Crop:
    """A function that crops a film to its lungs, None where it finds none.

    Raises:
        WeightsMissingError: `lungs-128` has no weights in the folders or the clone.
        CheckpointError: they are of another network.
    """
    spec = zoo.spec(lungs.NAME)
    path = weights.find(spec, folders)
    module = zoo.build(lungs.NAME)
    weights.load_into(module, path)
    how, origin = rule or CropRule(), sha256_file(path)

    def box_of(film: Film) -> Box | None:
        with torch.inference_mode():
            logits = module(torch.from_numpy(prepare(film, spec.input)))
        shares = torch.sigmoid(logits)[0, 0].numpy()
        try:
            return find_lungs(shares, film.pixels.shape, how).box
        except NoLungsError:
            return None

    def cropped(film: Film) -> Film | None:
        key = (film.source.sha256 or "", origin, how)
        if not key[0] or key not in _BOXES:
            _BOXES[key] = box_of(film)
        box = _BOXES[key]
        return None if box is None else crop(film, box)

    return cropped
