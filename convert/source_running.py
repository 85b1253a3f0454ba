"""Run the source network itself, in torch or, where it came so, in ONNX Runtime as it came.

Every function runs in a child process (`isolated.call`), one thread, so that a rerun gives the
same bits.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..runtime.spec import ModelSpec
from .films import FilmSet
from .source import OnnxFile, Outputs, features_name, scores_output

if TYPE_CHECKING:
    from torch import nn

# Values of one batch's input at most: large films go one by one.
_BATCH_VALUES = 16 * 3 * 224 * 224
_BATCH = 16

Rows = tuple[NDArray[np.float32], NDArray[np.float32] | None]


def run_source(
    network: "nn.Module | OnnxFile", spec: ModelSpec, films: FilmSet, with_features: bool
) -> Outputs:
    """Every film's scores, and feature maps where asked for."""
    scores, maps = [], []
    for found, features in _batches(network, spec, films, with_features):
        scores.append(found)
        if features is not None:
            maps.append(features)
    return Outputs(np.concatenate(scores), np.concatenate(maps) if maps else None)


def save_source(
    network: "nn.Module | OnnxFile", spec: ModelSpec, films: FilmSet, path: Path
) -> float:
    """Raw masks of every film into a .npy file float32 (N, C, H, W); the largest magnitude.

    They may be gigabytes, so neither this process nor the next holds them all.
    """
    shape = (len(films), *scores_output(spec).shape)
    kept = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    start, largest = 0, 0.0
    for masks, _ in _batches(network, spec, films, False):
        kept[start : start + len(masks)] = masks
        start += len(masks)
        largest = max(largest, float(np.abs(masks).max()))
    kept.flush()
    return largest


def _batches(
    network: "nn.Module | OnnxFile", spec: ModelSpec, films: FilmSet, with_features: bool
) -> Iterator[Rows]:
    if isinstance(network, OnnxFile):
        yield from _onnx(network, spec, films, with_features)
    else:
        yield from _torch(network, films, with_features)


def _torch(module: "nn.Module", films: FilmSet, with_features: bool) -> Iterator[Rows]:
    import torch

    torch.set_num_threads(1)
    module.eval()
    size = max(1, min(_BATCH, _BATCH_VALUES // int(np.prod(films.input.shape))))
    with torch.inference_mode():
        for start in range(0, len(films), size):
            batch = torch.from_numpy(films.batch(start, start + size))
            if with_features:
                scores, features = module.forward_with_features(batch)  # type: ignore[operator]
                yield scores.numpy(), features.numpy()
            else:
                yield module(batch).numpy(), None


def _onnx(file: OnnxFile, spec: ModelSpec, films: FilmSet, with_features: bool) -> Iterator[Rows]:
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = 1
    session = ort.InferenceSession(file.data, settings, providers=["CPUExecutionProvider"])
    features = features_name(spec) if with_features else None
    names = [scores_output(spec).name, *([features] if features else [])]
    for tensor in films.tensors():
        found = [np.asarray(a) for a in session.run(names, {spec.input.name: tensor})]
        yield found[0], found[1] if features else None
