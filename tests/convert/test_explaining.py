"""The bundle's own method of explanation, picked on guard films."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_bundles import binary

from clinicedge.convert import Conversion, ConvertOptions, Source, convert_model
from clinicedge.convert.explaining import (
    LUNGS,
    GuardFilm,
    Question,
    guard_films,
    judged_artifact,
    pick_method,
)
from clinicedge.profiles.explanation_quality.keeping import read
from clinicedge.runtime import load
from clinicedge.runtime.explanations import METHODS
from clinicedge.runtime.explanations.registry import usual_method
from clinicedge.runtime.images import read_film


def made(folder: Path, count: int) -> tuple[GuardFilm, ...]:
    """Films with a bright spot in the lower right half, which is their lungs."""
    found = []
    for number in range(count):
        pixels = np.full((60, 60), 20 + number, np.uint8)
        pixels[35:50, 35:50] = 230
        lungs = np.zeros((60, 60), np.uint8)
        lungs[30:, 30:] = 255
        names = (folder / f"{number}.png", folder / f"{number}-lungs.png")
        for path, values in zip(names, (pixels, lungs), strict=True):
            Image.fromarray(values).save(path)
        found.append(GuardFilm(str(names[0]), str(names[1]), f"p{number}"))
    return tuple(found)


def test_the_rule_is_asked_on_the_films_as_the_network_sees_them(tmp_path: Path) -> None:
    bundle = binary(tmp_path / "b")
    artifact = judged_artifact(bundle.manifest)
    assert artifact is not None
    films = made(tmp_path, 9)
    question = Question(str(bundle.folder), artifact.id, films, "made", "PNEUMONIA")
    picked = pick_method(question)
    assert picked.quality is not None
    assert (picked.quality.films, picked.quality.part) == (9, "guard")
    assert picked.quality.lungs == LUNGS
    assert {m.method for m in picked.quality.methods} >= {"eigen-cam", "grad-cam"}
    if picked.method is None:
        assert picked.quality.choice is None
        assert picked.note == ()
    else:
        assert METHODS[picked.method].passes == 0
        assert "on 9 guard films of 9 patients" in picked.note[0]
    picked.keep(bundle.folder)
    (kept,) = (bundle.folder / "measurements").iterdir()
    assert read(kept) == (picked.quality,)


def test_films_are_positive_guard_films(
    source: Source, phantom_folder: Path, tmp_path: Path
) -> None:
    films, label = guard_films(source.spec, phantom_folder, (), tmp_path)
    assert label == "PNEUMONIA"
    assert len({f.patient for f in films}) == len(films) > 0
    for film in films:
        assert Path(film.film).parent == tmp_path
        if film.lungs:
            sizes = {read_film(Path(p)).pixels.shape for p in (film.film, film.lungs)}
            assert len(sizes) == 1


def test_the_manifest_says_what_the_rule_picked(
    converted: Conversion, source: Source, options: ConvertOptions
) -> None:
    manifest = load(converted.folder).manifest
    artifact = judged_artifact(manifest)
    assert artifact is not None
    kept = read(converted.folder / "measurements" / f"{artifact.sha256}-explanations.json")
    if not kept:
        assert manifest.explanation_method is None
        assert usual_method(manifest) == "eigen-cam"
        return
    choice = kept[0].choice
    assert kept[0].part == "guard"
    assert manifest.explanation_method == (None if choice is None else choice.method)
    again = convert_model(source, options)
    assert again.unchanged
    assert "explanation method" in again.reused


def test_without_labelled_films_nothing_is_picked(on_lungs: Conversion) -> None:
    for model in on_lungs.models:
        assert model.manifest.explanation_method is None
        assert not (model.folder / "measurements").exists()


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_masks_explain_themselves(tmp_path: Path, task: str) -> None:
    from dataclasses import replace

    manifest = binary(tmp_path / "b").manifest
    assert judged_artifact(replace(manifest, task=task)) is None  # type: ignore[arg-type]
    assert judged_artifact(replace(manifest, explanation=None)) is None
