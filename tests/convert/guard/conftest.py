"""The network that static INT8 brings to chance, exported once."""

import dead_units
import pytest

from clinicedge.convert import onnx_files, tflite_files
from clinicedge.convert.films import FilmSet
from clinicedge.convert.isolated import call
from clinicedge.convert.recipes import Export


@pytest.fixture(scope="session")
def calibration() -> FilmSet:
    return dead_units.films("train", 24, 1)


@pytest.fixture(scope="session")
def judged() -> FilmSet:
    return dead_units.films("guard", 40, 2)


@pytest.fixture(scope="session")
def dead_tflite(calibration: FilmSet) -> Export:
    return call(tflite_files.export, dead_units.network(calibration), dead_units.SPEC)


@pytest.fixture(scope="session")
def dead_onnx(calibration: FilmSet) -> Export:
    return call(onnx_files.export, dead_units.network(calibration), dead_units.SPEC)
