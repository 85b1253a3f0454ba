"""The picture is drawn, labelled, and refuses what cannot be written."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from clinicedge.profiles.costs import CostReport, cost
from clinicedge.profiles.devices import device
from clinicedge.profiles.machine import this_machine
from clinicedge.profiles.measure import Cell
from clinicedge.profiles.plots import draw_costs, recorded_accuracy
from clinicedge.profiles.worker import Sample
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.engines import engine_for
from clinicedge.runtime.errors import OutputError
from clinicedge.runtime.figures import Accuracy, Figure


def a_report(bundle: Bundle) -> CostReport:
    costs = []
    for number, artifact in enumerate(bundle.manifest.artifacts):
        ms = 1.0 + 0.01 * number
        taken = Sample("e 1", "cpu", "f32", 1, 1.0, 1.0, 1.0, (ms,), 40.0, 50.0)
        cell = Cell(artifact.id, engine_for(artifact.format), artifact.computes[0], 1)
        costs.append(cost(bundle, cell, [taken], device("laptop").budget))
        if artifact.id == "openvino/int8-guarded":
            other = replace(cell, compute="bf16", validated=False)
            costs.append(cost(bundle, other, [taken], device("laptop").budget))
    return CostReport(
        1, "m", bundle.id, "laptop", this_machine(), "2026-01-01", 0.0, tuple(costs), ()
    )


def accurate(bundle: Bundle) -> Bundle:
    figure = Figure(0.95, 0.93, 0.97, 400, 200)
    record = Accuracy("films", "guard", "f32", 0.5, figure, figure, figure, figure)
    artifacts = tuple(replace(a, accuracy=(record,)) for a in bundle.manifest.artifacts)
    return replace(bundle, manifest=replace(bundle.manifest, artifacts=artifacts))


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def test_the_picture_shows_every_engine(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "new" / "costs.png"
    draw_costs(accurate(bundle), a_report(bundle), path)
    found = pixels(path)
    assert found.shape[0] > 500
    for colour in ((0x00, 0x72, 0xB2), (0x00, 0x9E, 0x73)):
        assert (found == colour).all(axis=2).sum() > 100


def test_without_accuracy_it_says_not_measured(bundle: Bundle, tmp_path: Path) -> None:
    bare = replace(
        bundle,
        manifest=replace(
            bundle.manifest,
            artifacts=tuple(replace(a, accuracy=()) for a in bundle.manifest.artifacts),
        ),
    )
    draw_costs(bare, a_report(bare), tmp_path / "costs.png")
    assert recorded_accuracy(bare.manifest.artifacts[0]) is None
    right = pixels(tmp_path / "costs.png")[:, 760:]
    assert (right == (0x00, 0x72, 0xB2)).all(axis=2).sum() == 0


def test_the_part_nearest_to_a_test_is_shown(bundle: Bundle) -> None:
    artifact = accurate(bundle).manifest.artifacts[0]
    guard = artifact.accuracy[0]
    both = replace(artifact, accuracy=(guard, replace(guard, part="test")))
    shown = recorded_accuracy(both)
    assert shown is not None
    assert shown.part == "test"


def test_an_unwritable_picture_is_an_output_error(bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        draw_costs(bundle, a_report(bundle), tmp_path / "file" / "costs.png")
