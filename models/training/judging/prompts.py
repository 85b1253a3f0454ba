"""The end of a promptable model's run: masks from true boxes and from moved ones, on test parts."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ....profiles.masks import MaskDataset
from ....runtime.errors import DataManifestError
from ....runtime.spec import ModelSpec
from ..loop import predict_raw
from ..objectives.prompts import PromptArrays, load_prompts, packed, unpacked
from .judgement import NO_MASK, Judgement, MeasuredMasks, unseen_parts
from .masks import RULE, THRESHOLD, drawn_accuracy

_BATCH = 8


def judge_prompts(module: nn.Module, data: MaskDataset, model: ModelSpec) -> Judgement:
    """Read the test parts; on the network's grid, a region each. One without gets no figures.

    Raises:
        OverlapError: a patient of train is in a test part.
    """
    rows, left_out = [], {}
    for what, part, films in unseen_parts(data):
        try:
            arrays = load_prompts(films.films, model.input)
        except DataManifestError:
            left_out[what] = NO_MASK
            continue
        for boxes, told in ((arrays.boxes, "true boxes"), (arrays.moved, "moved boxes")):
            drawn = _drawn(module, arrays, boxes, model)
            where = (data.name, part)
            figures = drawn_accuracy(drawn, arrays.masks, arrays.patients, where)
            rows.append(MeasuredMasks(f"{what}; {told}", figures))
    n_films = len(data.part("select").films)
    return Judgement(THRESHOLD, RULE, n_films, masks=tuple(rows), not_measured=left_out)


def _drawn(
    module: nn.Module, arrays: PromptArrays, boxes: NDArray[np.float32], model: ModelSpec
) -> NDArray[np.bool_]:
    asked = torch.from_numpy(boxes)

    def ask(network: nn.Module, films: Tensor, rows: slice) -> Tensor:
        return packed(network, films, asked[rows].to(films.device))

    pixels = arrays.pixels[arrays.film]
    raw = predict_raw(module, pixels, model.input, _BATCH, ask=ask)
    logits, _ = unpacked(torch.from_numpy(raw), torch.Size(arrays.masks.shape[1:]))
    return np.asarray(logits.numpy() >= 0)
