"""Run the source network itself, in torch or, where it came so, in ONNX Runtime as it came.

Every function runs in a child process (`isolated.call`), one thread, so that a rerun gives the
same bits.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..runtime.spec import ModelSpec
from .films import FilmSet
from .source import OnnxFile, Outputs, boxes_output, features_name, scores_output

if TYPE_CHECKING:
    from torch import nn

# Values of one batch's input at most: large films go one by one.
_BATCH_VALUES = 16 * 3 * 224 * 224
_BATCH = 16

# Logits (P, K) and boxes (P, 4) of one film.
Boxes = tuple[NDArray[np.float32], NDArray[np.float32]]
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


def save_boxes(
    network: "nn.Module | OnnxFile", spec: ModelSpec, films: FilmSet, path: Path
) -> None:
    """A detector's logits and boxes of every film into a .npy file float32 (N, P, K + 4)."""
    places, classes = scores_output(spec).shape
    shape = (len(films), places, classes + 4)
    kept = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    run = _onnx_boxes if isinstance(network, OnnxFile) else _torch_boxes
    for i, (logits, boxes) in enumerate(run(network, spec, films)):
        kept[i] = np.concatenate([logits, boxes], axis=1)
    kept.flush()


def _torch_boxes(module: Any, spec: ModelSpec, films: FilmSet) -> Iterator[Boxes]:
    """As it was trained, nothing fused."""
    import torch

    torch.set_num_threads(1)
    if hasattr(module, "decoded"):
        module = module.decoded(spec.input.height, spec.input.width)
    module.eval()
    with torch.inference_mode():
        for tensor in films.tensors():
            logits, boxes = module(torch.from_numpy(tensor))
            yield logits[0].numpy(), boxes[0].numpy()


def _onnx_boxes(file: Any, spec: ModelSpec, films: FilmSet) -> Iterator[Boxes]:
    session = _plain_session(file)
    names = [scores_output(spec).name, boxes_output(spec).name]
    for tensor in films.tensors():
        logits, boxes = session.run(names, {spec.input.name: tensor})
        yield np.asarray(logits)[0], np.asarray(boxes)[0]


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
    session = _plain_session(file)
    features = features_name(spec) if with_features else None
    names = [scores_output(spec).name, *([features] if features else [])]
    for tensor in films.tensors():
        found = [np.asarray(a) for a in session.run(names, {spec.input.name: tensor})]
        yield found[0], found[1] if features else None


def _plain_session(file: OnnxFile) -> Any:
    """One thread, nothing optimized: the network as it came."""
    import onnxruntime as ort

    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.intra_op_num_threads = 1
    return ort.InferenceSession(file.data, settings, providers=["CPUExecutionProvider"])
