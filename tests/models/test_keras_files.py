"""Keras files in every form, into the torch twins; Keras itself is the oracle."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from clinicedge.models import zoo
from clinicedge.models.attention_unet import AttentionUNet
from clinicedge.models.keras_files import KerasModel, is_keras, read_keras
from clinicedge.models.keras_twins import load_keras, put_into
from clinicedge.models.separable_cnn import SeparableCNN

FORMS = ("keras", "h5", "h5 of Keras 2", "json", "json of Keras 2")
CHANNELS = (4, 8, 16)
SIDE = 32


@pytest.fixture(scope="module")
def notebook(users: ModuleType) -> Any:
    return users.separable(SIDE)


@pytest.fixture(scope="module")
def thesis(users: ModuleType) -> Any:
    return users.attention_unet(CHANNELS, None)


def read(users: ModuleType, model: Any, form: str, folder: Path) -> KerasModel:
    """The model through a file of that form."""
    kind, _, old = form.partition(" of ")
    if kind == "keras":
        users.save(model, folder / "model.keras")
        return read_keras(folder / "model.keras")
    if kind == "json" and not old:
        users.save(model, folder / "model.json")
        users.save(model, folder / "model.weights.h5")
        return read_keras(folder / "model.json", folder / "model.weights.h5")
    users.save(model, folder / "model.h5")
    if old:
        users.as_keras_2(folder / "model.h5")
    if kind == "json":
        return read_keras(*users.split_keras_2(folder / "model.h5"))
    return read_keras(folder / "model.h5")


def films(channels: int, side: int) -> np.ndarray:
    return np.random.default_rng(3).random((3, side, side, channels)).astype(np.float32)


@pytest.mark.parametrize("form", FORMS)
def test_the_notebooks_network(users: ModuleType, notebook: Any, form: str, tmp_path: Path) -> None:
    twin = SeparableCNN(SIDE)
    done = put_into(twin, read(users, notebook, form, tmp_path))
    assert (done.activation, done.difference < 1e-4) == ("sigmoid", True)
    x = films(3, SIDE)
    with torch.inference_mode():
        scores = torch.softmax(twin(torch.from_numpy(x.transpose(0, 3, 1, 2))), dim=1)[:, 1]
    expected = users.probabilities(notebook, x)[:, 0]
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(scores.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_the_attention_unet(users: ModuleType, thesis: Any, form: str, tmp_path: Path) -> None:
    twin = AttentionUNet(CHANNELS)
    put_into(twin, read(users, thesis, form, tmp_path))
    x = films(1, 48)
    with torch.inference_mode():
        shares = torch.sigmoid(twin(torch.from_numpy(x.transpose(0, 3, 1, 2))))[:, 0]
    expected = users.probabilities(thesis, x)[..., 0]
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(shares.numpy(), expected, atol=1e-5)


def test_blocks_need_not_be_models_of_their_own(users: ModuleType, reread: Any) -> None:
    assert put_into(SeparableCNN(SIDE), reread(users.separable(SIDE, nested=False))).spread > 0.01


def test_the_order_of_joined_maps_is_read_from_the_graph(users: ModuleType, reread: Any) -> None:
    found = reread(users.attention_unet(CHANNELS, 32, raised_first=True))
    assert put_into(AttentionUNet(CHANNELS), found).difference < 1e-4


def test_layers_are_found_by_name_where_the_file_orders_them_otherwise(
    users: ModuleType, thesis: Any, tmp_path: Path
) -> None:
    """The two 1x1 convolutions of a gate have one shape; nothing but their names tells them."""
    import h5py

    path = tmp_path / "model.h5"
    users.save(thesis, path)
    with h5py.File(path, "r+") as file:
        group = file["model_weights"]
        group.attrs["layer_names"] = sorted(group.attrs["layer_names"])
    twin = AttentionUNet(CHANNELS)
    put_into(twin, read_keras(path))
    x = films(1, 32)
    with torch.inference_mode():
        found = torch.sigmoid(twin(torch.from_numpy(x.transpose(0, 3, 1, 2))))[:, 0].numpy()
    np.testing.assert_allclose(found, users.probabilities(thesis, x)[..., 0], atol=1e-5)


def test_another_epsilon_goes_into_the_variance(users: ModuleType, reread: Any) -> None:
    model = users.attention_unet(CHANNELS, 32)
    for layer in model.layers:
        if hasattr(layer, "epsilon"):
            layer.epsilon = 0.05
    assert put_into(AttentionUNet(CHANNELS), reread(model)).difference < 1e-4


def test_the_full_size_by_its_name_in_the_zoo(users: ModuleType, tmp_path: Path) -> None:
    model = users.separable(180)
    assert model.count_params() == zoo.cost("separable-cnn-180").params_total
    users.save(model, tmp_path / "xray_model.h5")
    users.as_keras_2(tmp_path / "xray_model.h5", "2.3.1")
    module, twin = load_keras("separable-cnn-180-lung-crop", tmp_path / "xray_model.h5")
    assert twin.difference < 1e-4
    assert not module.training
    assert module(torch.zeros(1, *zoo.spec("separable-cnn-180").input.shape)).shape == (1, 2)


def test_files_are_known_by_their_ending() -> None:
    assert all(is_keras(Path(f"x{end}")) for end in (".keras", ".h5", ".HDF5", ".json"))
    assert not any(is_keras(Path(f"x{end}")) for end in (".pth", ".onnx", ".safetensors", ""))
