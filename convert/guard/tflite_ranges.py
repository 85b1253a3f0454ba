"""How the ranges of TFLite activations come from the calibration films.

"moving-average" is ai-edge-quantizer's own way: the extremes of film after film, the old with
weight 0.95. "minmax" takes the extremes of all films. "percentile-99.99" cuts 0.005 % of the values
off at either end, "mse" takes the range with the smallest squared error of 8-bit rounding; both
look at histograms of the values within the extremes.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..films import FilmSet

METHODS = ("moving-average", "minmax", "percentile-99.99", "mse")
WORDS = {
    "moving-average": "moving average of each film's minimum and maximum",
    "minmax": "minimum and maximum",
    "percentile-99.99": "the central 99.99 percent of the values",
    "mse": "the range of least squared rounding error",
}
BINS = 2048
# Of one tensor and film; more values change a histogram little and take long.
MOST_VALUES = 65_536
_CUT = 0.5e-4
_STEPS = 255
# Shares of the extremes that "mse" tries on either side.
_SHARES = np.linspace(0.3, 1.0, 36)

Ranges = dict[str, dict[str, Any]]


def ranges(work: Any, films: FilmSet, method: str, signature: tuple[str, str]) -> Ranges:
    """What `Quantizer.quantize` takes: minimum and maximum by tensor's name.

    Args:
        work: a Quantizer with its recipe.
        signature: (its key, name of the film's argument).
    """
    key, argument = signature
    data = {key: [{argument: tensor} for tensor in films.tensors()]}
    if method == "moving-average":
        found: Ranges = work.calibrate(data, num_threads=2)
        return found
    extremes = _extremes(work, data)
    if method == "minmax":
        return extremes
    wanted = [n for n, r in extremes.items() if _wide(r)]
    counts = _histograms(work, films, {n: _ends(extremes[n]) for n in wanted})
    cut = _percentile if method == "percentile-99.99" else least_error
    return extremes | {n: _cut(extremes[n], counts[n], cut) for n in wanted}


def least_error(edges: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float]:
    """Ends of the range that 8 bits cover with the least squared error.

    Args:
        edges: float64 (n + 1,) ascending, of the histogram's bins.
        counts: int64 (n,) values in each.
    """
    middle = (edges[:-1] + edges[1:]) / 2
    best, found = np.inf, (float(edges[0]), float(edges[-1]))
    for below in _SHARES if edges[0] < 0 else (1.0,):
        for above in _SHARES if edges[-1] > 0 else (1.0,):
            low, high = below * min(edges[0], 0.0), above * max(edges[-1], 0.0)
            step = (high - low) / _STEPS
            inside = np.clip(middle, low, high)
            rounded = low + np.round((inside - low) / step) * step
            error = float(counts @ (middle - rounded) ** 2)
            if error < best:
                best, found = error, (float(low), float(high))
    return found


def _percentile(edges: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[float, float]:
    share = np.concatenate([[0.0], np.cumsum(counts) / counts.sum()])
    low, high = np.interp((_CUT, 1 - _CUT), share, edges)
    return float(low), float(high)


def _cut(
    extreme: Mapping[str, Any],
    counts: NDArray[np.int64],
    way: Callable[[NDArray[np.float64], NDArray[np.int64]], tuple[float, float]],
) -> dict[str, Any]:
    edges = np.linspace(*_ends(extreme), BINS + 1)
    low, high = way(edges, counts)
    return {
        "min": np.full_like(extreme["min"], low),
        "max": np.full_like(extreme["max"], high),
    }


def _extremes(work: Any, data: dict[str, list[dict[str, Any]]]) -> Ranges:
    from ai_edge_quantizer import calibrator  # type: ignore[import-untyped]
    from ai_edge_quantizer.utils import qsv_utils  # type: ignore[import-untyped]

    if not work.need_calibration:
        return {}
    collector = calibrator.Calibrator(
        work._float_model_buffer, num_threads=2, qsv_update_func=qsv_utils.min_max_update
    )
    collector.calibrate(data, work._recipe_manager)
    found: Ranges = collector.get_model_qsvs()
    return found


def _histograms(
    work: Any, films: FilmSet, spans: Mapping[str, tuple[float, float]]
) -> dict[str, NDArray[np.int64]]:
    counts = {name: np.zeros(BINS, np.int64) for name in spans}
    model = bytes(work._float_model_buffer)
    for values in activations(model, films, tuple(spans)):
        for name, found in values.items():
            flat = found.ravel()
            thinned = flat[:: max(1, flat.size // MOST_VALUES)]
            counts[name] += np.histogram(thinned, BINS, spans[name])[0]
    return counts


def activations(
    model: bytes, films: FilmSet, tensors: tuple[str, ...]
) -> Iterator[dict[str, NDArray[np.float32]]]:
    """Film by film the tensors of these names in real units; names it has not are left out."""
    from ai_edge_quantizer.utils import (  # type: ignore[import-untyped]
        tfl_interpreter_utils as interpreting,
    )

    interpreter = interpreting.create_tfl_interpreter(model, num_threads=1)
    details = {d["name"]: d for d in interpreter.get_tensor_details()}
    wanted = {name: details[name] for name in tensors if name in details}
    film = interpreter.get_input_details()[0]["index"]
    for tensor in films.tensors():
        interpreter.set_tensor(film, tensor)
        interpreter.invoke()
        yield {
            name: np.asarray(interpreting.get_tensor_data(interpreter, detail), np.float32)
            for name, detail in wanted.items()
        }


def _ends(extreme: Mapping[str, Any]) -> tuple[float, float]:
    return float(np.min(extreme["min"])), float(np.max(extreme["max"]))


def _wide(extreme: Mapping[str, Any]) -> bool:
    """Whether there is a range to cut, of one scale for the tensor."""
    if "min" not in extreme or np.size(extreme["min"]) != 1:
        return False
    low, high = _ends(extreme)
    return bool(np.isfinite([low, high]).all() and high > low)
