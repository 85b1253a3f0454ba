"""A Keras model's layers as the tensors of a torch twin, found by kind and place, never by name."""

from collections.abc import Mapping

import numpy as np

from ..runtime.errors import CheckpointError
from .keras_axes import Array, conv, dense, norm, raised, separable_conv
from .keras_graph import ENTRY, Call

_SEPARABLE_KINDS = (
    "Conv2D",
    "Conv2D",
    "MaxPooling2D",
    *("SeparableConv2D", "SeparableConv2D", "BatchNormalization", "MaxPooling2D") * 4,
    "Flatten",
    *("Dense", "BatchNormalization") * 3,
    "Dense",
)


def read_separable(calls: tuple[Call, ...], what: str) -> Mapping[str, Array]:
    """Tensors of `SeparableCNN`, which is a chain.

    Raises:
        CheckpointError: the layers are others.
    """
    layers = [c for c in calls if c.kind not in (ENTRY, "Activation", "ReLU")]
    for i, expected in enumerate(_SEPARABLE_KINDS):
        if i >= len(layers) or layers[i].kind != expected:
            at = f"'{layers[i].name}' ({layers[i].kind})" if i < len(layers) else "nothing"
            raise CheckpointError(
                f"{what} is of another network: layer {i + 1} is {at}, expected {expected}."
            )
    if len(layers) > len(_SEPARABLE_KINDS):
        raise CheckpointError(
            f"{what} is of another network: '{layers[len(_SEPARABLE_KINDS)].name}' follows where "
            "the network ends."
        )
    tensors: dict[str, Array] = {}
    queue = iter(c for c in layers if c.kind not in ("MaxPooling2D", "Flatten"))
    for i in range(2):
        tensors.update(conv(f"stem.{i}", next(queue)))
    for i in range(4):
        tensors.update(separable_conv(f"blocks.{i}.first", next(queue)))
        tensors.update(separable_conv(f"blocks.{i}.second", next(queue)))
        tensors.update(norm(f"blocks.{i}.bn", next(queue)))
    maps = tensors["blocks.3.bn.weight"].shape[0]
    for i in range(3):
        tensors.update(dense(f"dense.{i}.linear", next(queue)))
        tensors.update(norm(f"dense.{i}.bn", next(queue)))
    tensors.update(dense("head", next(queue)))
    tensors["dense.0.linear.weight"] = _channels_first(tensors["dense.0.linear.weight"], maps)
    return tensors


def _channels_first(weight: Array, channels: int) -> Array:
    """Columns of a dense layer after flattening, from (h, w, c) to (c, h, w); maps are square."""
    side = int(np.sqrt(weight.shape[1] // channels))
    if side * side * channels != weight.shape[1]:
        return weight
    columns = weight.reshape(-1, side, side, channels).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(columns.reshape(weight.shape))


class AttentionReader:
    """Reads an attention U-Net from its end to its beginning.

    Args:
        calls: of the whole model, without idle layers.
        what: the file, for messages.
    """

    def __init__(self, calls: tuple[Call, ...], what: str) -> None:
        self._calls, self._what = calls, what
        self._tensors: dict[str, Array] = {}

    def tensors(self, levels: int) -> Mapping[str, Array]:
        """Tensors of `AttentionUNet` with so many gates.

        Raises:
            CheckpointError: the graph is another.
        """
        head = self._expect(len(self._calls) - 1, "Conv2D")
        self._tensors.update(conv("head", self._calls[head]))
        here, skips = self._before(head), []
        for i in range(levels - 1, -1, -1):
            here, skip = self._level(i, here)
            skips.append(skip)
        for i in range(levels, -1, -1):
            before = self._double(f"down.{i}", here)
            if i == 0:
                self._expect(before, ENTRY)
                break
            here = self._before(self._expect(before, "MaxPooling2D"))
            if here != skips[i - 1]:
                raise self._error(here, "the block whose output is also the skip of that level")
        return self._tensors

    def _level(self, i: int, end: int) -> tuple[int, int]:
        """A decoder level that ends at call `end`: what it raises, and the skip it takes."""
        concat = self._expect(self._double(f"merge.{i}", end), "Concatenate")
        first, second = self._pair(concat)
        swapped = self._calls[first].kind == "Conv2DTranspose"
        up, gated = (first, second) if swapped else (second, first)
        self._tensors.update(raised(f"up.{i}", self._calls[self._expect(up, "Conv2DTranspose")]))
        if swapped:
            self._swap(f"merge.{i}.conv1.weight")
        one, other = self._pair(self._expect(gated, "Multiply"))
        psi, skip = (one, other) if self._is_sigmoid(one) else (other, one)
        if not self._is_sigmoid(psi):
            raise self._error(psi, "a sigmoid that weighs the skip")
        psi = self._expect(self._before(psi), "Conv2D")
        self._tensors.update(conv(f"gates.{i}.psi", self._calls[psi]))
        add = self._expect(self._before(self._relu(self._before(psi))), "Add")
        for branch in self._pair(add):
            call = self._calls[self._expect(branch, "Conv2D")]
            side = {up: "gate", skip: "skip"}.get(call.inputs[0])
            if side is None:
                raise self._error(branch, "a 1x1 convolution of the skip or of the raised map")
            self._tensors.update(conv(f"gates.{i}.{side}", call))
        return self._before(up), skip

    def _double(self, name: str, end: int) -> int:
        """Two times convolution, normalization, ReLU, ending at `end`; returns what they take."""
        for n in (2, 1):
            second = self._expect(self._before(self._relu(end)), "BatchNormalization")
            first = self._expect(self._before(second), "Conv2D")
            self._tensors.update(norm(f"{name}.bn{n}", self._calls[second]))
            self._tensors.update(conv(f"{name}.conv{n}", self._calls[first]))
            end = self._before(first)
        return end

    def _swap(self, key: str) -> None:
        """The file has (raised, gated), the twin (gated, raised)."""
        half = self._tensors[key].shape[1] // 2
        self._tensors[key] = np.roll(self._tensors[key], half, axis=1)

    def _relu(self, at: int) -> int:
        call = self._calls[at]
        if call.kind == "ReLU" or call.config.get("activation") == "relu":
            return at
        raise self._error(at, "ReLU")

    def _is_sigmoid(self, at: int) -> bool:
        return self._calls[at].config.get("activation") == "sigmoid"

    def _before(self, at: int) -> int:
        inputs = self._calls[at].inputs
        if len(inputs) != 1:
            raise self._error(at, "a layer of one input")
        return inputs[0]

    def _pair(self, at: int) -> tuple[int, int]:
        inputs = self._calls[at].inputs
        if len(inputs) != 2:
            raise self._error(at, "a layer of two inputs")
        return inputs[0], inputs[1]

    def _expect(self, at: int, kind: str) -> int:
        if self._calls[at].kind != kind:
            raise self._error(at, kind)
        return at

    def _error(self, at: int, expected: str) -> CheckpointError:
        call = self._calls[at]
        return CheckpointError(
            f"{self._what} is of another network than the attention U-Net: found '{call.name}' "
            f"({call.kind}), expected {expected}."
        )
