"""A published notebook's three mistakes, and that a bundle leaves no place for them.

It trained at 180 x 180 on [0, 1] pixels, predicted at 224 x 224 after VGG's subtraction of
channel means, and printed the two labels swapped.
"""

import inspect
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from clinicedge.models import zoo
from clinicedge.models.separable_cnns import NAME
from clinicedge.models.training.augment import to_input
from clinicedge.runtime import Bundle, Film, SessionOptions, load, open_session
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.errors import AcceptanceError, TensorError
from clinicedge.runtime.film import FilmSource
from clinicedge.runtime.images import prepare, resize

SPEC = zoo.spec(NAME).input
VGG_MEANS = (103.939, 116.779, 123.68)


def film(height: int, width: int) -> Film:
    pixels = np.random.default_rng(height).integers(0, 256, (height, width), np.uint8)
    return Film(pixels, None, FilmSource("png", "film"))


def edited(bundle: Path, folder: Path, change: Any) -> Bundle:
    copy = folder / "bundle"
    shutil.copytree(bundle, copy)
    raw = json.loads((copy / "bundle.json").read_bytes())
    change(raw)
    (copy / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")
    return load(copy)


@pytest.mark.parametrize("size", [(180, 180), (224, 224), (97, 311)])
def test_a_film_of_any_size_goes_the_way_of_training(size: tuple[int, int]) -> None:
    """The first mistake: the size is the spec's, whatever comes in."""
    shown = film(*size)
    found = prepare(shown, SPEC)
    trained = to_input(torch.from_numpy(resize(shown.pixels, SPEC)[None].copy()), SPEC).numpy()
    assert found.shape == (1, 3, 180, 180)
    assert found.tobytes() == np.ascontiguousarray(trained).tobytes()


def test_pixels_are_scaled_as_in_training() -> None:
    """The second mistake: [0, 1], the same in all channels, no means taken off."""
    found = prepare(film(224, 224), SPEC)
    assert 0.0 <= float(found.min()) < 0.1
    assert 0.9 < float(found.max()) <= 1.0
    assert np.array_equal(found[0, 0], found[0, 2])
    mistaken = found * 255 - np.array(VGG_MEANS, np.float32)[None, :, None, None]
    assert float(np.abs(mistaken - found).max()) > 50


def test_a_caller_can_state_neither_size_nor_scaling_nor_labels(tiny_bundle: Path) -> None:
    predictor = load(tiny_bundle).predictor(threads=1)
    asked = {
        name
        for call in (predictor.predict, predictor.explain)
        for name in inspect.signature(call).parameters
    }
    # `request` names the method and the class of a map.
    assert asked <= {"film", "boxes", "request"}
    assert predictor.labels == ("NORMAL", "PNEUMONIA")


def test_a_tensor_of_another_size_is_refused(plain_bundle: Path) -> None:
    bundle = load(plain_bundle)
    artifact = bundle.manifest.artifacts[0]
    options = SessionOptions(compute=artifact.computes[0], threads=1)
    session = open_session(bundle.files(artifact.id), options=options)
    with pytest.raises(TensorError, match="224"):
        session.run({"film": np.zeros((1, 3, 224, 224), np.float32)})


def test_another_size_or_scaling_in_the_manifest_fails_its_acceptance(
    plain_bundle: Path, tmp_path: Path
) -> None:
    def scaled(raw: dict[str, Any]) -> None:
        raw["input"]["scaling"] = {"mean": [m / 255 for m in VGG_MEANS], "std": [1 / 255] * 3}

    bundle = edited(plain_bundle, tmp_path, scaled)
    assert bundle.id != load(plain_bundle).id
    result = check_acceptance(bundle, bundle.manifest.artifacts[0].id, cache=False)
    assert not result.passed
    assert "preprocessed pixels differ" in result.explain()


def swap(raw: dict[str, Any]) -> None:
    raw["outputs"][0]["labels"].reverse()


def test_swapped_labels_fail_the_acceptance(plain_bundle: Path, tmp_path: Path) -> None:
    """The third mistake: the scores are no longer read as what convert recorded them for."""
    artifact = load(plain_bundle).manifest.artifacts[0].id
    assert check_acceptance(load(plain_bundle), artifact, cache=False).passed
    swapped = edited(plain_bundle, tmp_path / "swapped", swap)
    result = check_acceptance(swapped, artifact, cache=False)
    assert not result.passed
    assert "the labels are PNEUMONIA, NORMAL, recorded were NORMAL, PNEUMONIA" in result.explain()
    with pytest.raises(AcceptanceError):
        swapped.predictor(threads=1)


def test_swapped_labels_are_another_bundle(plain_bundle: Path, tmp_path: Path) -> None:
    """Bundles from before acceptance knew labels open still; answers tell them apart by id."""

    def forget(raw: dict[str, Any]) -> None:
        for shown in raw["acceptance"]["films"]:
            for expected in shown["expected"]:
                del expected["labels"], expected["scores"]

    kept = edited(plain_bundle, tmp_path / "kept", forget)
    swapped = edited(kept.folder, tmp_path / "swapped", swap)
    ids = []
    for one in (swapped, kept):
        ids.append(one.predictor(threads=1).predict(film(160, 160)).report.bundle_id)
    assert ids[0] == swapped.id != ids[1] == kept.id
