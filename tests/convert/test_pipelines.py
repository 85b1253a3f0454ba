"""Pipelines: written from whole bundles, the same bytes again, refused where they cannot work."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from clinicedge.cli import main
from clinicedge.convert import Conversion
from clinicedge.convert.ensembles import EnsembleWish, write_ensemble
from clinicedge.convert.gathering import Wanted, gather
from clinicedge.convert.pipeline_bundles import (
    DISCREPANCY,
    cascade,
    write_pipeline,
)
from clinicedge.convert.pipeline_bundles import (
    on_lungs as plan_on_lungs,
)
from clinicedge.convert.pipelines import default_names, members_of
from clinicedge.models import zoo
from clinicedge.models.training.cropping import lung_cropper
from clinicedge.profiles.datasets import read_dataset
from clinicedge.profiles.metrics import pick_threshold
from clinicedge.runtime import load, phantom, read_film
from clinicedge.runtime.ensemble import bound_sha256
from clinicedge.runtime.errors import (
    ArtifactError,
    ConversionError,
    IntegrityError,
    NoLungsError,
    SchemaError,
)
from clinicedge.runtime.film import Film, FilmSource
from clinicedge.runtime.predictions import CascadeResult, Classification

from .conftest import NAME

CROP = f"{NAME}-lung-crop"


def test_the_default_form_has_its_members_whole(on_lungs: Conversion) -> None:
    bundle = load(on_lungs.folder)
    bundle.check_all()
    roles = [(m.role, m.name) for m in bundle.manifest.members]
    assert roles == [("lungs", "lungs-128"), ("classifier", CROP)]
    assert [c.manifest.name for c in on_lungs.models] == ["lungs-128", CROP]
    for member, inner in bundle.members():
        assert inner.id == load(on_lungs.folder.parent / member.name).id
        assert (inner.folder / inner.manifest.artifacts[0].graphs[0].files[0].path).is_file()
    deciding = bundle.members()[1][1].manifest
    assert bundle.manifest.intended_use == deciding.intended_use
    assert bundle.manifest.task == "classification"
    keys = {p.part for record in bundle.manifest.data for p in record.parts}
    assert "train" in keys
    assert {record.data for record in bundle.manifest.data} == {"kermany224", "lungmasks"}


def test_it_scores_films_with_lungs_and_no_others(on_lungs: Conversion) -> None:
    predictor = load(on_lungs.folder).predictor(threads=1)
    answer = predictor.predict(phantom.draw(phantom.Phantom(seed=5)))
    assert isinstance(answer, Classification)
    assert answer.crop is not None
    assert [m.role for m in answer.members] == ["lungs", "classifier"]
    noise = np.random.default_rng(0).integers(0, 256, (200, 240)).astype(np.uint8)
    with pytest.raises(NoLungsError):
        predictor.predict(Film(noise, None, FilmSource("array", "noise")))


def test_crops_of_phantoms_are_accepted_here(on_lungs: Conversion) -> None:
    """Acceptance films of a model of crops are crops, drawn so that they spread."""
    model = on_lungs.models[1].manifest
    assert model.input is not None
    assert model.input.region == "lungs"
    record = model.acceptance
    assert record is not None
    sizes = {read_film(on_lungs.models[1].folder / f.file.path).pixels.shape for f in record.films}
    assert sizes == {(128, 141)}


def test_a_second_run_writes_nothing_and_a_changed_member_is_mended(
    on_lungs: Conversion, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    lungs, classifier = (c.folder for c in on_lungs.models)
    first = write_pipeline(plan_on_lungs("again", lungs, classifier), out)
    assert not first.unchanged
    before = (first.folder / "bundle.json").read_bytes()
    again = write_pipeline(plan_on_lungs("again", lungs, classifier), out)
    assert again.unchanged
    # Members may be second names of the same files: replace, do not write into them.
    file = next((first.folder / "members" / CROP).rglob("*.onnx"))
    file.unlink()
    file.write_bytes(b"changed")
    assert not write_pipeline(plan_on_lungs("again", lungs, classifier), out).unchanged
    assert (first.folder / "bundle.json").read_bytes() == before
    load(first.folder).check_all()


def test_a_cascade_asks_the_second_only_where_the_first_is_positive(
    on_lungs: Conversion, findings: Conversion, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    words = ["pipeline", "cascade", str(on_lungs.folder), str(findings.folder)]
    with pytest.raises(SystemExit) as end:
        main([*words, "--name", "two-stages", "--out", str(tmp_path), "--json"])
    assert not end.value.code
    told = json.loads(capsys.readouterr().out)
    bundle = load(told["bundle"])
    rules = bundle.manifest.pipeline
    assert rules is not None
    assert rules.discrepancy == DISCREPANCY
    predictor = bundle.predictor(precision="onnx/fp32", threads=1)
    seen = set()
    for opacity in (0.0, 0.4, 0.8, 1.0):
        film = phantom.draw(phantom.Phantom(seed=5, opacity=opacity, haze=opacity))
        answer = predictor.predict(film)
        assert isinstance(answer, CascadeResult)
        assert (answer.second is not None) == answer.first.positive
        seen.add(answer.first.positive)
    assert seen


def test_an_ensemble_sets_its_threshold_on_the_mean(
    on_lungs: Conversion, converted: Conversion, phantom_folder: Path, tmp_path: Path
) -> None:
    members = (on_lungs.folder, converted.folder)
    written = write_ensemble(EnsembleWish("both", members, phantom_folder), tmp_path)
    rules = written.manifest.pipeline
    assert rules is not None
    assert rules.threshold is not None
    assert (rules.threshold.data, rules.threshold.part) == ("phantoms", "select")
    select = read_dataset(phantom_folder).part("select")
    opened = [load(m).predictor(precision="onnx/fp32", threads=1) for m in members]
    scores = [
        np.mean([p.predict(read_film(f.path)).score for p in opened])  # type: ignore[union-attr]
        for f in select.films
    ]
    expected, rule = pick_threshold(scores, select.positives("PNEUMONIA"))
    assert rules.threshold.value == pytest.approx(expected, abs=1e-9)
    assert rules.threshold.rule == rule
    assert rules.threshold.artifact_sha256 == bound_sha256(load(written.folder), "onnx/fp32")
    assert write_ensemble(EnsembleWish("both", members, phantom_folder), tmp_path).unchanged
    without = write_ensemble(EnsembleWish("unset", members), tmp_path)
    assert without.manifest.pipeline is not None
    assert without.manifest.pipeline.threshold is not None
    assert without.manifest.pipeline.threshold.value == 0.5


def test_what_cannot_work_together_is_refused(
    on_lungs: Conversion, findings: Conversion, tmp_path: Path
) -> None:
    lungs = on_lungs.models[0].folder
    with pytest.raises(SchemaError, match="no bundle at"):
        write_pipeline(cascade("x", on_lungs.folder, tmp_path / "missing"), tmp_path)
    with pytest.raises(ConversionError, match="expected findings as second"):
        write_pipeline(cascade("x", on_lungs.folder, lungs), tmp_path)
    with pytest.raises(ConversionError, match="another --name"):
        write_pipeline(cascade("my-findings", on_lungs.folder, findings.folder), tmp_path)
    with pytest.raises(ConversionError, match="two at least"):
        write_ensemble(EnsembleWish("x", (on_lungs.folder,)), tmp_path)
    with pytest.raises(ArtifactError, match="same labels"):
        write_ensemble(EnsembleWish("x", (on_lungs.folder, findings.folder)), tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(on_lungs.folder, broken)
    next((broken / "members").rglob("*.onnx")).write_bytes(b"changed")
    with pytest.raises(IntegrityError, match="changed"):
        write_pipeline(cascade("x", broken, findings.folder), tmp_path)
    shutil.rmtree(broken / "members" / CROP)
    with pytest.raises(ArtifactError, match=CROP):
        write_pipeline(cascade("x", broken, findings.folder), tmp_path)
    assert not (tmp_path / "x").exists()


def test_films_without_lungs_are_left_out_and_counted(phantom_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "phantoms"
    shutil.copytree(phantom_folder, folder)
    guard = read_dataset(folder).part("guard").films
    guard[0].path.write_bytes(_noise())
    spec = zoo.spec(CROP)
    films = gather(spec, Wanted(folder, 8, None, lung_cropper()))
    assert films.left_out == films.guard.left_out >= 1
    assert len(films.guard) == len(guard) - films.guard.left_out
    assert films.guard.truth is not None
    assert len(films.guard.truth) == len(films.guard.patients) == len(films.guard)


def _noise() -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (64, 64)).astype(np.uint8)
    return phantom.encode_png(Film(pixels, None, FilmSource("array", "noise")))


def test_the_zoo_s_default_forms() -> None:
    names = default_names()
    assert f"{NAME}-on-lungs" in names
    assert NAME not in names
    assert {"lungs-128", "segunet-256", "segunet-512", "pneumonia-cascade"} <= set(names)
    assert members_of("pneumonia-cascade") == (
        "lungs-128",
        "resnet50-224-lung-crop",
        "pneumonia-type-224-lung-crop",
    )
