"""The network that static INT8 brings to chance, exported once."""

from collections.abc import Iterator

import dead_units
import pytest

from clinicedge.convert import onnx_files, tflite_files
from clinicedge.convert.films import FilmSet
from clinicedge.convert.guard import speed
from clinicedge.convert.guard.bench import FormatBench
from clinicedge.convert.isolated import call
from clinicedge.convert.recipes import Export


@pytest.fixture(scope="module")
def every_method(no_search: property) -> Iterator[None]:
    """All calibration methods of a format are compared, as users have it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FormatBench, "methods", no_search)
        yield


@pytest.fixture(scope="session", autouse=True)
def one_round() -> Iterator[None]:
    """Of timings: fifteen processes for networks of some microseconds tell nothing more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "ROUNDS", 1)
        yield


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
