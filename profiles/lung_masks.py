"""Where the lungs of a film are: in a folder of masks, or as a lung network finds them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from ..runtime.bundle import Bundle
from ..runtime.errors import ArtifactError
from ..runtime.film import Film
from ..runtime.predictions import Segmentation
from ..runtime.predictor import Predictor
from .hiding import Bools
from .masks import MaskFilm, read_mask_dataset, read_mask_pixels

# Folder, label and name tell a film in most sets; the set's own folder may be called otherwise.
_TELLING_PARTS = 3


class LungMasks(Protocol):
    """Lungs by film. `source` says in words whose they are."""

    source: str

    def mask(self, path: Path, film: Film) -> Bools | None:
        """bool (H, W) of the film's size, None where there are no lungs."""
        ...


class TrueLungs:
    """A data folder of masks, whose films are matched by path, else by name.

    Its films may have another resolution or aspect; pixels in doubt count as lung.
    """

    def __init__(self, root: Path) -> None:
        """
        Raises:
            DataManifestError: it is no folder with masks.
        """
        data = read_mask_dataset(root)
        self.source = f"the true masks of {data.name}"
        self._by_path = {_tail(f.path): f for f in data.films}
        self._by_name = _unique(data.films)

    def mask(self, path: Path, film: Film) -> Bools | None:
        """As `LungMasks.mask`.

        Raises:
            DamagedFilmError: the mask cannot be read.
        """
        found = self._by_path.get(_tail(path)) or self._by_name.get(path.stem)
        if found is None:
            return None
        lungs = _stretched(read_mask_pixels(found) > 0, film.pixels.shape)
        return lungs if lungs.any() else None


class FoundLungs:
    """What a segmentation bundle draws, cleaned as it is shown."""

    def __init__(self, bundle: Bundle) -> None:
        """
        Raises:
            ArtifactError: the bundle draws no masks.
        """
        predictor = bundle.predictor()
        if predictor.kind != "segmentation":
            raise ArtifactError(
                f"'{bundle.manifest.name}' gives {predictor.kind}; expected a bundle that draws "
                "lungs, such as lungs-128."
            )
        self._predictor: Predictor = predictor
        self.source = f"masks drawn by {bundle.manifest.name}"

    def mask(self, path: Path, film: Film) -> Bools | None:
        """As `LungMasks.mask`."""
        answer = self._predictor.predict(film)
        if isinstance(answer, Segmentation) and answer.mask.any():
            return answer.mask
        return None


def own_lungs(bundle: Bundle) -> FoundLungs:
    """The lungs that a pipeline's own member finds.

    Raises:
        ArtifactError: it has no such member.
    """
    for path, model in bundle.models():
        if path.split("/")[-1] == "lungs":
            return FoundLungs(model)
    raise ArtifactError(
        f"'{bundle.manifest.name}' has no member that finds lungs; give a folder of lung masks or "
        "a bundle that draws them."
    )


def _tail(path: Path) -> tuple[str, ...]:
    return (*path.parent.parts[1 - _TELLING_PARTS :], path.stem)


def _unique(films: Sequence[MaskFilm]) -> dict[str, MaskFilm]:
    """By the film's name without ending, where only one film has it."""
    found: dict[str, list[MaskFilm]] = {}
    for film in films:
        found.setdefault(film.path.stem, []).append(film)
    return {name: same[0] for name, same in found.items() if len(same) == 1}


def _stretched(mask: Bools, shape: tuple[int, ...]) -> Bools:
    """By the nearest pixel to another size."""
    rows = (np.arange(shape[0]) * mask.shape[0] // shape[0]).astype(np.intp)
    columns = (np.arange(shape[1]) * mask.shape[1] // shape[1]).astype(np.intp)
    return mask[np.ix_(rows, columns)]
