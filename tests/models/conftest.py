"""Phantom films to train on, and Keras models as users have them; keras is imported late."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from clinicedge.models.keras_files import KerasModel, read_keras
from clinicedge.runtime import phantom


@pytest.fixture(scope="session")
def users() -> ModuleType:
    """`keras_models.py`: networks in Keras' own layers, and how Keras 2 wrote them."""
    path = Path(__file__).with_name("keras_models.py")
    spec = importlib.util.spec_from_file_location("keras_models", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def reread(users: ModuleType, tmp_path: Path) -> Callable[[Any], KerasModel]:
    """Save a Keras model as .keras and read it."""

    def through(model: Any) -> KerasModel:
        users.save(model, tmp_path / "model.keras")
        return read_keras(tmp_path / "model.keras")

    return through


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """90 phantom films of 45 patients, opacities for the pneumonia ones, and 10 official tests."""
    # The folder's name is the films' origin and decides their parts.
    root = tmp_path_factory.mktemp("data") / "films0"
    root.mkdir()
    lines = ["file,label,patient,split"]
    for n in range(100):
        sick = n % 2 == 0
        drawn = phantom.Phantom(seed=n, height=64, width=72, opacity=0.9 if sick else 0.0)
        (root / f"{n}.png").write_bytes(phantom.encode_png(phantom.draw(drawn)))
        label = "PNEUMONIA" if sick else "NORMAL"
        lines.append(f"{n}.png,{label},p{n // 2},{'test' if n >= 90 else 'train'}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
