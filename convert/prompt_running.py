"""Run a promptable model box by box: the source network, or an artifact through its sessions.

Every function runs in a child process (`isolated.call`), one thread.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..runtime.errors import ConversionError
from ..runtime.graphs import Embedding, TwoGraphs
from ..runtime.spec import ModelSpec
from .asking import with_boxes
from .films import FilmSet
from .running import Runnable, cosine
from .source import scores_output

if TYPE_CHECKING:
    from ..models.medsam2.network import MedSam2

Floats = NDArray[np.float32]
# Films whose maps are kept to compare each graph alone: they are large.
MAP_FILMS = 4


@dataclass(frozen=True, eq=False)
class SourceRun:
    """What the source says of a film set.

    Attributes:
        masks: float32 (M, h, w), the logits of M boxes, film by film.
        maps: of the first MAP_FILMS films the encoder's outputs by name, float32 (n, C, h, w).
    """

    masks: Floats
    maps: dict[str, Floats]


@dataclass(frozen=True, eq=False)
class ArtifactRun:
    """What an artifact says of the same films, whole and each graph alone.

    Attributes:
        masks: float32 (M, h, w).
        encoder_difference: largest of its maps from the source's, of the largest value there.
        encoder_cosine: mean over the films whose maps are kept, of the first map.
        decoder_difference: largest of the masks from the source's where both decode its maps.
    """

    masks: Floats
    encoder_difference: float
    encoder_cosine: float
    decoder_difference: float


def run_source(network: "MedSam2", films: FilmSet) -> SourceRun:
    """Film by film, box by box."""
    import torch

    torch.set_num_threads(1)
    network.eval()
    names = list(network.embedding_shapes)
    masks: list[Floats] = []
    maps: dict[str, list[Floats]] = {name: [] for name in names}
    with torch.inference_mode():
        for i, (tensor, boxes) in enumerate(with_boxes(films)):
            found = network.encode(torch.from_numpy(tensor))
            for name, value in zip(names, found, strict=True):
                if i < MAP_FILMS:
                    maps[name].append(value.numpy())
            for box in boxes if boxes is not None else ():
                mask, _ = network.decode(*found, torch.from_numpy(box[None]))
                masks.append(mask[:, 0].numpy())
    return SourceRun(
        np.concatenate(masks), {name: np.concatenate(rows) for name, rows in maps.items()}
    )


def run_artifact(
    artifact: Runnable, spec: ModelSpec, films: FilmSet, source: SourceRun
) -> ArtifactRun:
    """Film by film, box by box, as a device does."""
    name = scores_output(spec).name
    first = next(iter(source.maps))
    masks: list[Floats] = []
    cosines: list[float] = []
    encoder = decoder = 0.0
    with tempfile.TemporaryDirectory() as folder:
        session = artifact.open(Path(folder))
        if not isinstance(session, TwoGraphs):
            raise ConversionError(f"{artifact.artifact_id} has no encoder and decoder.")
        for i, (tensor, boxes) in enumerate(with_boxes(films)):
            found = session.encode(tensor)
            rows = boxes if boxes is not None else np.zeros((0, 4), np.float32)
            start = sum(map(len, masks))
            masks += [session.decode(found, box[None])[name][:, 0] for box in rows]
            if i < MAP_FILMS:
                exact = {key: values[i : i + 1] for key, values in source.maps.items()}
                encoder = max(encoder, _difference(found.tensors, exact))
                cosines.append(cosine(found.tensors[first][0], exact[first][0]))
                asked = [session.decode(Embedding(exact), box[None])[name][:, 0] for box in rows]
                wanted = source.masks[start : start + len(rows)]
                pairs = zip(asked, wanted, strict=True)
                decoder = max([decoder, *(float(np.abs(a[0] - w).max()) for a, w in pairs)])
    return ArtifactRun(
        np.concatenate(masks), encoder, float(np.mean(cosines)) if cosines else 1.0, decoder
    )


def _difference(found: "dict[str, Floats] | object", exact: dict[str, Floats]) -> float:
    """Largest over the maps, each against its own largest value."""
    shares = []
    for name, wanted in exact.items():
        value = found[name]  # type: ignore[index]
        shares.append(float(np.abs(value - wanted).max() / max(1e-12, np.abs(wanted).max())))
    return max(shares)
