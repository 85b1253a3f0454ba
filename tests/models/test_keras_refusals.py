"""Keras files that are damaged, of another Keras, of another network, or want to run code."""

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from clinicedge.models.attention_unet import AttentionUNet
from clinicedge.models.keras_config import Config, major_version, prepare
from clinicedge.models.keras_files import read_keras
from clinicedge.models.keras_twins import load_keras, put_into
from clinicedge.models.mobilenet import MobileNetV1
from clinicedge.models.separable_cnn import SeparableCNN
from clinicedge.runtime.errors import CheckpointError

KNOWN = frozenset({"InputLayer", "Dense", "Conv2D", "Activation", "TimeDistributed"})


@pytest.fixture(scope="module")
def small(users: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small model in each form."""
    folder = tmp_path_factory.mktemp("small")
    layers, keras = users.layers, users.keras
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(1)]
    )
    for name in ("model.keras", "model.h5", "model.json", "model.weights.h5"):
        users.save(model, folder / name)
    return folder


def changed(small: Path, tmp_path: Path, change: Callable[[Config, Config], None]) -> Path:
    """The .keras file with another configuration or metadata."""
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(small / "model.keras") as old, zipfile.ZipFile(path, "w") as new:
        config, about = (json.loads(old.read(n)) for n in ("config.json", "metadata.json"))
        change(config, about)
        new.writestr("config.json", json.dumps(config))
        new.writestr("metadata.json", json.dumps(about))
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    return path


def as_layer(layer: Config) -> Callable[[Config, Config], None]:
    return lambda config, _: config["config"]["layers"].append(layer)


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.weights.h5"])
@pytest.mark.parametrize("share", [0.0, 0.4, 0.95])
def test_a_file_cut_short(small: Path, tmp_path: Path, name: str, share: float) -> None:
    whole = (small / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: int(len(whole) * share)])
    pair = (small / "model.json", path) if name == "model.weights.h5" else (path,)
    with pytest.raises(CheckpointError, match=r"cut short|do not fit"):
        read_keras(*pair)


@pytest.mark.parametrize("name", ["x.keras", "x.h5", "x.json", "x.pth"])
def test_a_file_of_another_kind(small: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x89PNG no model at all")
    weights = small / "model.weights.h5" if name == "x.json" else None
    with pytest.raises(CheckpointError, match=r"no whole|no JSON|expected a file"):
        read_keras(path, weights)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no file"):
        read_keras(tmp_path / "none.keras")


def test_weights_alone_and_architecture_alone(small: Path) -> None:
    with pytest.raises(CheckpointError, match=r"weights alone.*\.json"):
        read_keras(small / "model.weights.h5")
    with pytest.raises(CheckpointError, match=r"without weights"):
        read_keras(small / "model.json")
    with pytest.raises(CheckpointError, match=r"its own weights"):
        read_keras(small / "model.keras", small / "model.weights.h5")


@pytest.mark.parametrize("version", ["1.2.2", "4.0.0", "0.3", "banana", None, 3])
def test_another_keras(version: object) -> None:
    with pytest.raises(CheckpointError, match=r"Keras 2 or 3|2\.x or 3\.x"):
        major_version(version, "model.h5")


@pytest.mark.parametrize("version", ["2.8.0", "2.2.4-tf", b"2.3.1", "3.15.1"])
def test_a_keras_that_is_read(version: object) -> None:
    assert major_version(version, "model.h5") in (2, 3)


def test_versions_in_files(users: ModuleType, small: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes((small / "model.h5").read_bytes())
    users.as_keras_2(path, "1.2.2")
    with pytest.raises(CheckpointError, match=r"written by Keras 1\.2\.2"):
        read_keras(path)
    old = changed(small, tmp_path, lambda _, about: about.update(keras_version="2.13.1"))
    with pytest.raises(CheckpointError, match=r"\.keras file of Keras 2\.13\.1.*model\.h5"):
        read_keras(old)
    bare = tmp_path / "model.json"
    bare.write_text('{"class_name": "Sequential", "config": []}', encoding="utf-8")
    with pytest.raises(CheckpointError, match="does not say which Keras"):
        read_keras(bare, small / "model.weights.h5")


@pytest.mark.parametrize(
    "layer",
    [
        {"class_name": "Lambda", "config": {"name": "evil", "function": ["4wEAAA==", None, None]}},
        {
            "module": "keras.layers",
            "class_name": "Lambda",
            "config": {
                "name": "evil",
                "function": {"class_name": "__lambda__", "config": {"code": "4wEAAA=="}},
            },
        },
        {
            "module": "keras.layers",
            "class_name": "TimeDistributed",
            "config": {"name": "t", "layer": {"class_name": "Lambda", "config": {"name": "evil"}}},
        },
        {
            "module": "keras.layers",
            "class_name": "Activation",
            "config": {"name": "evil", "activation": {"class_name": "__lambda__", "config": {}}},
        },
        {"class_name": "TorchModuleWrapper", "config": {"name": "evil", "module": "gA=="}},
    ],
    ids=["Keras 2", "Keras 3", "wrapped", "activation", "pickled torch"],
)
def test_code_in_a_file_is_named_and_not_run(small: Path, tmp_path: Path, layer: Config) -> None:
    path = changed(small, tmp_path, as_layer(layer))
    with pytest.raises(CheckpointError, match=r"hold code or read files: .*evil.*not run"):
        read_keras(path)


@pytest.mark.parametrize(
    "layer",
    [
        {"module": "os", "class_name": "Dense", "config": {"name": "mine", "units": 1}},
        {"module": "clinic", "class_name": "Mine", "config": {"name": "mine"}},
        {
            "module": "keras.layers",
            "class_name": "Dense",
            "registered_name": "Clinic>Dense",
            "config": {"name": "mine", "units": 1},
        },
        {
            "module": "keras.layers",
            "class_name": "Dense",
            "config": {
                "name": "x",
                "units": 1,
                "activation": {
                    "module": "builtins",
                    "class_name": "function",
                    "config": "mine",
                    "registered_name": "function",
                },
            },
        },
        {
            "module": "keras.utils",
            "class_name": "get_file",
            "config": {"name": "mine", "origin": "http://localhost"},
        },
    ],
    ids=["module", "class", "registered", "function", "gadget"],
)
def test_what_is_not_keras_own_is_named(small: Path, tmp_path: Path, layer: Config) -> None:
    path = changed(small, tmp_path, as_layer(layer))
    with pytest.raises(CheckpointError, match=r"custom layers or functions: .*mine"):
        read_keras(path)


def test_operations_of_tensorflow_are_named() -> None:
    layer = {"class_name": "TFOpLambda", "config": {"name": "tf.nn.relu"}}
    config = {"class_name": "Sequential", "config": {"layers": [layer]}}
    with pytest.raises(CheckpointError, match=r"TensorFlow outside of layers: tf\.nn\.relu"):
        prepare(config, KNOWN, "model.h5")


@pytest.mark.parametrize(
    "config",
    [
        None,
        [],
        {},
        {"class_name": "Sequential"},
        {"class_name": "MyModel", "config": {}},
        {"class_name": "Sequential", "config": None},
        {"class_name": "Functional", "config": {"layers": [None, 7, {"class_name": 3}]}},
    ],
)
def test_a_configuration_that_is_none(config: object, small: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    text = json.dumps({**config, "module": "keras"} if isinstance(config, dict) else config)
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError):
        read_keras(path, small / "model.weights.h5")


def test_several_outputs(users: ModuleType, tmp_path: Path) -> None:
    entry = users.keras.Input((8, 8, 1))
    both = [users.layers.Conv2D(1, 3)(entry) for _ in range(2)]
    users.save(users.keras.Model(entry, both), tmp_path / "model.keras")
    with pytest.raises(CheckpointError, match=r"2 outputs; expected one"):
        read_keras(tmp_path / "model.keras")


def test_no_film_goes_in(users: ModuleType, tmp_path: Path) -> None:
    model = users.keras.Sequential([users.keras.Input((9,)), users.layers.Dense(1)])
    users.save(model, tmp_path / "model.keras")
    with pytest.raises(CheckpointError, match=r"takes \(9,\); expected films"):
        read_keras(tmp_path / "model.keras")


def test_another_network_says_where_it_differs(users: ModuleType, reread: Any) -> None:
    found = reread(users.attention_unet((4, 8), 16))
    with pytest.raises(CheckpointError, match=r"layer 2 is .*BatchNormalization.*expected Conv2D"):
        put_into(SeparableCNN(32), found)
    with pytest.raises(CheckpointError, match=r"another network than the attention U-Net"):
        put_into(AttentionUNet((4, 8, 16)), found)
    with pytest.raises(CheckpointError, match=r"MobileNetV1 takes \.pth"):
        put_into(MobileNetV1(0.25), found)


def test_another_input_size_lists_the_shapes(users: ModuleType, tmp_path: Path) -> None:
    users.save(users.separable(32), tmp_path / "model.keras")
    with pytest.raises(CheckpointError, match=r"\(32, 32, 3\).*takes \(180, 180, 3\)"):
        load_keras("separable-cnn-180", tmp_path / "model.keras")
    found = read_keras(tmp_path / "model.keras")
    with pytest.raises(CheckpointError, match=r"dense\.0\.linear\.weight is \(512, 256\), expec"):
        put_into(SeparableCNN(64), found)


def test_the_same_layers_that_answer_otherwise(users: ModuleType, reread: Any) -> None:
    """Shapes fit and kinds fit, but one activation is another: only the comparison can tell."""
    model = users.separable(32, nested=False)
    model.layers[0].activation = users.keras.activations.tanh
    with pytest.raises(CheckpointError, match="answers otherwise"):
        put_into(SeparableCNN(32), reread(model))


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("import os; os.environ['KERAS_BACKEND'] = 'numpy'; import keras", "'numpy' before"),
        ("import sys; sys.modules['h5py'] = None", "h5py is not installed"),
    ],
    ids=["backend", "extra"],
)
def test_keras_is_not_there_as_needed(small: Path, before: str, words: str) -> None:
    code = (
        f"{before}\n"
        "from pathlib import Path\n"
        "from clinicedge.models.keras_files import read_keras\n"
        "from clinicedge.runtime.errors import ModelError\n"
        f"try: read_keras(Path({str(small / 'model.keras')!r}))\n"
        "except ModelError as err: print(err)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert words in done.stdout
