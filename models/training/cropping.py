"""Films cropped to the lungs by the reference network, as the pipeline crops them on a device."""

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ...runtime.errors import NoLungsError
from ...runtime.files import sha256_file
from ...runtime.film import Film
from ...runtime.images import prepare
from ...runtime.lungs import Box, CropRule, Lungs, crop, find_lungs
from .. import lungs, weights, zoo

Crop = Callable[[Film], Film | None]
# Boxes by film, weights and rule: several models of one run look at the same films.
_BOXES: dict[tuple[str, str, CropRule], Box | None] = {}


class LungFinder:
    """The reference network `lungs-128`: where the lungs of a film are.

    Raises:
        WeightsMissingError: it has no weights in the folders or the clone.
        CheckpointError: they are of another network.
    """

    def __init__(self, folders: Sequence[Path] = (), rule: CropRule | None = None) -> None:
        self._spec = zoo.spec(lungs.NAME)
        path = weights.find(self._spec, folders)
        self._module = zoo.build(lungs.NAME)
        weights.load_into(self._module, path)
        self._rule, self._origin = rule or CropRule(), sha256_file(path)

    def find(self, film: Film) -> Lungs | None:
        """The lung fields and the box around them, None where there are none."""
        with torch.inference_mode():
            logits = self._module(torch.from_numpy(prepare(film, self._spec.input)))
        shares = torch.sigmoid(logits)[0, 0].numpy()
        try:
            return find_lungs(shares, film.pixels.shape, self._rule)
        except NoLungsError:
            return None

    def box(self, film: Film) -> Box | None:
        """The box alone; remembered for films that were read from bytes."""
        key = (film.source.sha256 or "", self._origin, self._rule)
        if not key[0] or key not in _BOXES:
            found = self.find(film)
            _BOXES[key] = None if found is None else found.box
        return _BOXES[key]


def lung_cropper(folders: Sequence[Path] = (), rule: CropRule | None = None) -> Crop:
    """A function that crops a film to its lungs, None where it finds none.

    Raises:
        WeightsMissingError, CheckpointError: as `LungFinder`.
    """
    finder = LungFinder(folders, rule)

    def cropped(film: Film) -> Film | None:
        box = finder.box(film)
        return None if box is None else crop(film, box)

    return cropped
