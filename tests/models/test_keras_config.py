"""The configuration in a Keras file, as data: whatever it holds, it is cleaned or refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.models.keras_config import Config, major_version, prepare, strip_activation
from clinicedge.runtime.errors import CheckpointError

KNOWN = frozenset({"InputLayer", "Dense", "Conv2D", "Softmax", "LeakyReLU", "BatchNormalization"})
SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
KEYS = st.sampled_from(
    ["class_name", "config", "layers", "name", "module", "activation", "inbound_nodes", "layer"]
)
NAMES = st.sampled_from(["Sequential", "Functional", "Dense", "Softmax", "Lambda", "Model"])
TREES = st.recursive(
    SCALARS | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def sequential(*layers: Config) -> Config:
    return {"class_name": "Sequential", "config": {"name": "s", "layers": list(layers)}}


def layer(kind: str, **config: Any) -> Config:
    return {"class_name": kind, "config": {"name": kind.lower(), **config}}


@given(TREES)
def test_whatever_it_holds_it_is_refused_in_words_or_cleaned(tree: Any) -> None:
    for config in (tree, sequential(layer("Dense"), tree), {"class_name": "Model", "config": tree}):
        with suppress(CheckpointError):
            strip_activation(prepare(config, KNOWN, "file"))


@given(st.text() | st.binary() | st.none() | st.integers())
def test_any_version_is_read_or_refused(version: object) -> None:
    with suppress(CheckpointError):
        assert major_version(version, "file") in (2, 3)


def test_no_nesting_is_too_deep_for_words() -> None:
    config: Any = []
    for _ in range(3000):
        config = {"class_name": "Sequential", "config": {"layers": [config]}}
    with pytest.raises(CheckpointError, match="too deeply"):
        prepare(config, KNOWN, "file")


def test_the_words_of_keras_2_become_those_of_keras_3() -> None:
    old = sequential(
        layer(
            "Conv2D",
            batch_input_shape=[None, 8, 8, 1],
            kernel_regularizer={"class_name": "L2", "config": {"l2": 0.1}},
            dtype={"class_name": "Policy", "config": {"name": "mixed_float16"}},
        ),
        layer("BatchNormalization", axis=[3], renorm=False, fused=True),
        layer("LeakyReLU", alpha=0.1),
    )
    first, conv, norm, leaky = prepare(old, KNOWN, "file")["config"]["layers"]
    assert first["class_name"] == "InputLayer"
    assert first["config"]["batch_shape"] == [None, 8, 8, 1]
    assert conv["config"] == {"name": "conv2d", "dtype": "float32"}
    assert norm["config"] == {"name": "batchnormalization", "axis": 3}
    assert leaky["config"] == {"name": "leakyrelu", "negative_slope": 0.1}


def test_a_sequential_of_keras_2_0_is_a_bare_list() -> None:
    old = {"class_name": "Sequential", "config": [layer("Dense", batch_input_shape=[None, 3])]}
    layers = prepare(old, KNOWN, "file")["config"]["layers"]
    assert [one["class_name"] for one in layers] == ["InputLayer", "Dense"]


def test_custom_losses_are_no_obstacle() -> None:
    config = sequential(layer("Dense"))
    config["compile_config"] = {"loss": {"module": "thesis", "class_name": "DiceLoss"}}
    assert "compile_config" not in prepare(config, KNOWN, "file")


@pytest.mark.parametrize(
    ("last", "taken"),
    [
        (layer("Dense", activation="sigmoid"), "sigmoid"),
        (layer("Dense", activation="softmax"), "softmax"),
        (layer("Softmax"), "softmax"),
        (layer("Dense", activation="relu"), "relu"),
        (layer("Dense"), "linear"),
        (sequential(layer("Dense", activation="sigmoid")), "sigmoid"),
    ],
)
def test_what_is_taken_off_the_end(last: Config, taken: str) -> None:
    config = prepare(sequential(layer("Dense", activation="relu"), last), KNOWN, "file")
    assert strip_activation(config) == taken
    left = strip_activation(config)
    assert left == ("relu" if taken == "relu" else "linear")
