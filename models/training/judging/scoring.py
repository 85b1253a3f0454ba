"""Raw scores of single films on the runtime's path, as a device would read them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ....profiles.datasets import Dataset
from ....runtime.film import Film
from ....runtime.images import prepare, read_film
from ....runtime.spec import InputSpec
from ..cropping import Crop


def film_logits(
    module: nn.Module, data: Dataset, spec: InputSpec, classes: int, cropped: Crop | None = None
) -> NDArray[np.float64]:
    """Logits (N, classes), film by film; a row of NaN where `cropped` finds no lungs.

    Raises:
        FilmError: a film cannot be read.
    """
    module.eval()
    device = next(module.parameters()).device
    logits = np.full((len(data.films), classes), np.nan)
    with torch.inference_mode():
        for i, film in enumerate(data.films):
            read: Film | None = read_film(film.path, spec.dicom.voi)
            if cropped is not None and read is not None:
                read = cropped(read)
            if read is not None:
                x = torch.from_numpy(prepare(read, spec)).to(device)
                logits[i] = module(x)[0].double().cpu().numpy()
    return logits
