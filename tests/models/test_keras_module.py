"""Any Keras model as a torch module, against Keras and against TensorFlow's definitions."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from clinicedge.models.keras_graph import Call
from clinicedge.models.keras_module import as_module
from clinicedge.models.keras_steps import Pool, UnknownStepError, same
from clinicedge.runtime.errors import CheckpointError

Port = Callable[[Any], Any]


def many_layers(users: ModuleType, side: int) -> Any:
    """A network with most of the layers that have a torch module here."""
    k = users.layers
    entry = users.keras.Input((side, side, 3))
    x = k.Rescaling(1 / 127.5, offset=-1)(entry)
    x = k.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x)
    x = k.LeakyReLU(0.1)(k.BatchNormalization(scale=False, epsilon=1e-5)(x))
    x = k.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=2, activation="relu6")(x)
    pooled = k.MaxPooling2D(3, strides=2, padding="same")(x)
    x = k.Average()([pooled, k.Add()([pooled, pooled])])
    share = k.Reshape((1, 1, 16))(k.GlobalAveragePooling2D()(x))
    share = k.Conv2D(16, 1, activation="sigmoid")(k.Conv2D(4, 1, activation="swish")(share))
    x = k.ZeroPadding2D(((0, 1), (1, 0)))(k.Multiply()([x, share]))
    x = k.UpSampling2D(2, interpolation="bilinear")(x)
    x = k.Conv2DTranspose(6, 3, strides=2, padding="same", activation="elu")(x)
    x = k.Conv2D(8, 3, dilation_rate=2, padding="same", groups=2, activation="gelu")(x)
    x = k.SeparableConv2D(8, 4, strides=2, padding="same", activation="tanh")(x)
    x = k.GaussianNoise(0.1)(x)
    x = k.ReLU(6.0)(k.Concatenate()([x, k.Subtract()([x, k.Maximum()([x, x])])]))
    x = k.AveragePooling2D(2)(k.Dense(5)(x))
    return users.shaken(users.keras.Model(entry, k.Softmax()(k.Dense(3)(k.Flatten()(x)))))


@pytest.mark.parametrize("side", [32, 33])
def test_common_layers_become_plain_torch(users: ModuleType, reread: Port, side: int) -> None:
    """Odd and even sides: "same" padding differs."""
    model = many_layers(users, side)
    found = reread(model)
    ported = as_module(found, 3)
    assert (ported.native, ported.why, found.activation) == (True, "", "softmax")
    x = np.random.default_rng(0).random((2, side, side, 3)).astype(np.float32)
    with torch.inference_mode():
        logits = ported.module(torch.from_numpy(x.transpose(0, 3, 1, 2)))
    expected = users.probabilities(model, x)
    np.testing.assert_allclose(torch.softmax(logits, 1).numpy(), expected, atol=1e-5)


def test_one_sigmoid_unit_and_two_labels(users: ModuleType, reread: Port) -> None:
    found = reread(users.separable(32))
    x = torch.rand(2, 3, 32, 32)
    one, two = (as_module(found, n).module(x) for n in (1, 2))
    torch.testing.assert_close(torch.softmax(two, 1)[:, 1:], torch.sigmoid(one))


def test_maps_come_out_channels_first(users: ModuleType, reread: Port) -> None:
    ported = as_module(reread(users.attention_unet((4, 8), None)), 1)
    assert ported.native
    assert ported.module(torch.rand(1, 1, 24, 40)).shape == (1, 1, 24, 40)


def test_other_layers_run_as_keras_itself(users: ModuleType, reread: Port) -> None:
    k = users.layers
    entry = users.keras.Input((16, 16, 1))
    twice = k.Conv2D(1, 3, padding="same")
    for maps, why in (
        (k.LayerNormalization()(k.Conv2D(4, 3)(entry)), "LayerNormalization"),
        (twice(twice(entry)), "used 2 times"),
        (entry * 2.0, "outside of layers"),
    ):
        model = users.keras.Model(entry, k.Dense(2)(k.GlobalMaxPooling2D()(maps)))
        ported = as_module(reread(users.shaken(model)))
        assert not ported.native
        assert why in ported.why
        assert ported.module(torch.rand(2, 1, 16, 16)).shape == (2, 2)


def test_labels_and_outputs_differ_in_number(users: ModuleType, reread: Port) -> None:
    with pytest.raises(CheckpointError, match=r"1 outputs and the spec 3 labels"):
        as_module(reread(users.separable(32)), 3)


def test_means_over_a_padded_border_are_refused(users: ModuleType, reread: Port) -> None:
    """Keras on torch computes them otherwise than TensorFlow, where the weights come from."""
    k = users.layers
    entry = users.keras.Input((16, 16, 1))
    maps = k.AveragePooling2D(3, strides=2, padding="same")(entry)
    found = reread(users.keras.Model(entry, k.Dense(2)(k.Flatten()(maps))))
    with pytest.raises(CheckpointError, match=r"otherwise on torch than on TensorFlow"):
        as_module(found)


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize(("size", "kernel", "stride"), [(8, 3, 2), (9, 3, 2), (7, 3, 1), (5, 2, 2)])
def test_pooling_with_same_padding_is_tensorflows(
    average: bool, size: int, kernel: int, stride: int
) -> None:
    """Straight from the definition: windows are cut at the border."""
    x = np.random.default_rng(1).random((size, size)).astype(np.float32)
    before, _ = same(size, kernel, stride)
    starts = [i * stride - before for i in range(-(-size // stride))]
    spans = [slice(max(s, 0), min(s + kernel, size)) for s in starts]
    pick = np.mean if average else np.max
    expected = [[pick(x[rows, columns]) for columns in spans] for rows in spans]
    config = {"pool_size": kernel, "strides": stride, "padding": "same"}
    pool = Pool(Call("Pooling", "pool", config, {}, (0,)), average)
    found = pool(torch.from_numpy(x)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_pooling_that_torch_cannot_pad_is_left_to_keras() -> None:
    config = {"pool_size": 2, "strides": 1, "padding": "same"}
    with pytest.raises(UnknownStepError):
        Pool(Call("MaxPooling2D", "pool", config, {}, (0,)), average=False)
