"""Keras models as users have them; keras is imported by the tests that need it alone."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from clinicedge.models.keras_files import KerasModel, read_keras


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
