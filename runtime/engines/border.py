"""The manifest's tensors at the border of a file: axis order and quantization, nothing else."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..errors import ArtifactError, TensorError
from ..manifest import Graph, TensorBinding, TensorSpec


def bindings(graph: Graph) -> dict[str, TensorBinding]:
    """Binding by the manifest's tensor name.

    Raises:
        ArtifactError: a tensor of the graph has none.
    """
    found = {b.name: b for b in graph.binding}
    missing = [t.name for t in (*graph.inputs, *graph.outputs) if t.name not in found]
    if missing:
        raise ArtifactError(
            f"graph '{graph.name}': no binding for {', '.join(missing)}; the manifest binds "
            f"{', '.join(found) or 'nothing'}. Convert again."
        )
    return found


def check_input(tensors: Mapping[str, NDArray[np.float32]], specs: tuple[TensorSpec, ...]) -> None:
    """Refuse another set of names, another shape or another dtype than the graph's.

    Raises:
        TensorError: says what was found and expected.
    """
    for spec in specs:
        value = tensors.get(spec.name)
        if value is None:
            raise TensorError(f"found inputs {sorted(tensors)}, expected '{spec.name}'.")
        if value.shape != spec.shape or value.dtype != np.float32:
            raise TensorError(
                f"input '{spec.name}' is {value.dtype} {value.shape}, expected float32 "
                f"{spec.shape}. Prepare the film with the bundle's input rules first."
            )
    if len(tensors) != len(specs):
        raise TensorError(f"found inputs {sorted(tensors)}, expected {[s.name for s in specs]}.")


def to_native(value: NDArray[np.float32], binding: TensorBinding) -> NDArray[np.generic]:
    """float32 in the manifest's axes to the file's axes and dtype.

    q = clip(round_half_even(x / scale) + zero_point), as the engines' own quantize does.
    """
    if binding.axes != tuple(range(value.ndim)):
        value = np.ascontiguousarray(value.transpose(binding.axes))
    if binding.dtype == "float32":
        return value
    info = np.iinfo(binding.dtype)
    scaled = np.rint(value / np.float32(binding.scale or 1.0)) + (binding.zero_point or 0)
    native: NDArray[np.generic] = np.clip(scaled, info.min, info.max).astype(binding.dtype)
    return native


def from_native(value: NDArray[np.generic], binding: TensorBinding) -> NDArray[np.float32]:
    """The file's array to float32 in the manifest's axes."""
    if binding.dtype != "float32":
        whole = value.astype(np.int32) - (binding.zero_point or 0)
        value = whole.astype(np.float32) * np.float32(binding.scale or 1.0)
    if binding.axes != tuple(range(value.ndim)):
        value = np.ascontiguousarray(value.transpose(np.argsort(binding.axes)))
    return np.asarray(value, np.float32)
