"""A bundle of one's own, a folder of phantom films, and no traces on the machine."""

import csv
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from clinicedge.runtime import load, phantom
from clinicedge.runtime.bundle import Bundle


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acceptance_memory: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "acceptance").symlink_to(acceptance_memory)
    monkeypatch.setenv("CLINICEDGE_STATE", str(state))


@pytest.fixture
def bundle(plain_bundle: Path, tmp_path: Path) -> Bundle:
    """A copy of the classifier of whole films that the test may write into."""
    return load(shutil.copytree(plain_bundle, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def phantom_pngs() -> tuple[tuple[str, bytes], ...]:
    """(label, PNG) of 16 small phantoms, half of them with a shadow."""
    drawn = []
    for seed in range(16):
        small = replace(phantom.sample(seed), height=96, width=128, opacity=0.9 * (seed % 2))
        label = "PNEUMONIA" if seed % 2 else "NORMAL"
        drawn.append((label, phantom.encode_png(phantom.draw(small))))
    return tuple(drawn)


@pytest.fixture
def phantom_data(
    phantom_pngs: tuple[tuple[str, bytes], ...], tmp_path: Path
) -> Callable[[str], Path]:
    """A data folder of that name: 12 films of the official train part, 4 of test."""

    def make(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        with (folder / "manifest.csv").open("w", newline="") as stream:
            rows = csv.writer(stream)
            rows.writerow(("file", "label", "patient", "split"))
            for number, (label, data) in enumerate(phantom_pngs):
                (folder / f"{number:02}.png").write_bytes(data)
                # The last two test films have a number that also occurs in train.
                patient = number if number < 14 else number - 14
                rows.writerow(
                    (f"{number:02}.png", label, patient, "train" if number < 12 else "test")
                )
        return folder

    return make
