"""The measurement of whole bundles: twins, films, regions, going on, keeping, the page."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_bundles import Scores, binary, chest, findings, masks, noise, on_lungs

from clinicedge.profiles.datasets import read_dataset
from clinicedge.profiles.explanation_quality.choosing_films import choose_films
from clinicedge.profiles.explanation_quality.keeping import read, started
from clinicedge.profiles.explanation_quality.looking import look, network_of
from clinicedge.profiles.explanation_quality.page import write_report
from clinicedge.profiles.explanation_quality.pictures import film_rows
from clinicedge.profiles.explanation_quality.records import Bounds, FilmFigures
from clinicedge.profiles.explanation_quality.reporting import Asked, explain_report
from clinicedge.profiles.explanation_quality.twins import twin
from clinicedge.runtime.bundle import Bundle, load
from clinicedge.runtime.errors import DataError, ExplanationError

FEW = Bounds(films=4, steps=3)


def silent(_done: int, _total: int, _what: str) -> None:
    """No bar."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Six films of five patients, three positive; lungs and boxes of all but one."""
    root = tmp_path / "chests"
    root.mkdir()
    with (
        (root / "manifest.csv").open("w", newline="") as stream,
        (root / "boxes.csv").open("w", newline="") as boxed,
    ):
        rows, boxes = csv.writer(stream), csv.writer(boxed)
        rows.writerow(("file", "mask", "label", "patient", "split"))
        boxes.writerow(("file", "label", "x1", "y1", "x2", "y2", "width", "height"))
        for number in range(6):
            film = chest(lungs=200 + number)
            pixels = film.pixels.copy()
            pixels[80:100, 24:54] = 255
            Image.fromarray(pixels).save(root / f"{number}.png")
            lungs = np.where(film.pixels > 100, 255, 0).astype(np.uint8)
            Image.fromarray(lungs).save(root / f"m{number}.png")
            label = "PNEUMONIA" if number % 2 else "NORMAL"
            rows.writerow((f"{number}.png", f"m{number}.png", label, min(number, 4), "train"))
            if number != 5:
                boxes.writerow((f"{number}.png", "pneumonia", 24, 80, 54, 100, 160, 120))
    return root


@pytest.fixture
def pipeline(tmp_path: Path) -> Bundle:
    """A classifier of bright lungs, on crops."""
    crops = binary(tmp_path / "c", "tiny-lung-crop", Scores(region="lungs"))
    return on_lungs(tmp_path / "p", crops, masks(tmp_path / "l"))


def test_a_pipelines_maps_lie_where_the_lungs_were_cut_out(pipeline: Bundle, data: Path) -> None:
    asked = Asked(data, bounds=FEW, boxes=data)
    done: list[tuple[int, int]] = []
    measured = explain_report(pipeline, asked, lambda d, n, _: done.append((d, n)))
    (found,) = measured.report.artifacts
    assert (found.films, found.patients, found.label) == (3, 3, "PNEUMONIA")
    assert found.lungs == "masks drawn by tiny-lungs"
    assert found.boxes == "the boxes of chests"
    assert found.lung_area is not None
    assert 0.4 < found.lung_area < 0.9
    told = {m.method: m for m in found.methods}
    assert {"eigen-cam", "grad-cam", "grad-cam++", "eigen-grad-cam"} == set(told)
    cam = told["grad-cam"]
    assert cam.lung_mass is not None
    assert cam.lung_mass.value > found.lung_area
    assert cam.box_mass is not None
    assert (cam.box_mass.n, cam.lung_mass.n) == (2, 3)
    assert cam.random_rank is not None
    assert cam.float_rank is None
    assert {n.what for n in found.not_measured} >= {"hirescam", "score-cam", "rise"}
    assert done[-1] == (12, 12)
    seen = look(measured.predictor, chest())
    assert seen.box is not None
    assert seen.shown.pixels.shape == (seen.box.y1 - seen.box.y0, seen.box.x1 - seen.box.x0)
    assert seen.region.sum() == seen.shown.pixels.size


def test_figures_are_kept_by_data_and_never_touch_the_manifest(
    pipeline: Bundle, data: Path
) -> None:
    before = (pipeline.folder / "bundle.json").read_bytes()
    asked = Asked(data, bounds=FEW, methods=("grad-cam",))
    found = explain_report(pipeline, asked, silent).report.artifacts[0]
    again = data.rename(data.with_name("others"))
    explain_report(pipeline, replace(asked, data=again), silent)
    folder = pipeline.folder / "measurements"
    (path,) = folder.iterdir()
    assert path.name == f"{found.ran.artifact_sha256}-explanations.json"
    entries = read(path)
    assert [e.data for e in entries] == ["chests", "others"]
    assert entries[0] == found
    assert (pipeline.folder / "bundle.json").read_bytes() == before
    path.write_text("{}")
    assert read(path) == ()


def test_a_run_that_was_broken_off_goes_on(
    pipeline: Bundle, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clinicedge.profiles.explanation_quality import measuring

    asked = Asked(data, bounds=FEW, methods=("grad-cam",))
    whole = explain_report(pipeline, replace(asked, keep=False), silent).report.artifacts[0]
    real, seen = measuring._film, []

    def broken(*args: object) -> FilmFigures:
        seen.append(args[2])
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(measuring, "_film", broken)
    with pytest.raises(KeyboardInterrupt):
        explain_report(pipeline, asked, silent)
    (left,) = (pipeline.folder / "measurements").iterdir()
    assert len(left.read_text().splitlines()) == 3
    found = explain_report(pipeline, asked, silent).report.artifacts[0]
    assert len(seen) == 4
    assert seen[3] == seen[2]
    assert found.methods == whole.methods
    assert [p.suffix for p in (pipeline.folder / "measurements").iterdir()] == [".json"]


def test_lines_of_another_question_count_as_none(tmp_path: Path) -> None:
    film = FilmFigures("a/0.png", "p", ())
    lines = started(tmp_path, "ab", ("one",))
    lines.add(film, first=True)
    assert lines.read() == {"a/0.png": film}
    other = started(tmp_path, "ab", ("two",))
    lines.path.rename(other.path)
    assert other.read() == {}
    other.path.write_text('{"key": "' + other.key + '"}\nnot json\n')
    assert other.read() == {}


@pytest.mark.parametrize("format_", ["onnx", "openvino"])
def test_a_twin_has_the_same_weights_in_another_order(tmp_path: Path, format_: str) -> None:
    bundle = binary(tmp_path / "b", formats=("onnx", "openvino"))
    network = network_of(bundle.predictor(precision=f"{format_}/fp32", threads=1))
    made = twin(network)
    assert (made.tensors, made.values) == (1, 96)
    tensor = network.tensor(noise(3))
    name = "features"
    one, other = (n.run_tensor(tensor)[name] for n in (network, made.network))
    assert one.shape == other.shape
    assert float(np.abs(one - other).max()) > 0.05
    again = twin(network).network.run_tensor(tensor)[name]
    assert (again == other).all()
    assert network.run_tensor(tensor)[name].tobytes() == one.tobytes()


def test_a_twin_of_quantized_tflite_is_another_network(tiny_bundle: Path) -> None:
    """Its weights stand behind the flatbuffer, where they were once left as they are."""
    (member,) = (tiny_bundle / "members").glob("*-lung-crop")
    network = network_of(load(member).predictor(precision="tflite/int8-guarded", threads=1))
    made = twin(network)
    assert made.tensors == 28
    assert made.values > 100_000
    tensor = network.tensor(noise(3))
    one, other = (n.run_tensor(tensor)["logits"] for n in (network, made.network))
    assert np.isfinite(other).all()
    assert float(np.abs(one - other).max()) > 0.1


def test_a_network_that_draws_masks_is_judged_by_the_true_ones(tmp_path: Path, data: Path) -> None:
    Image.fromarray(np.zeros((120, 160), np.uint8)).save(data / "m0.png")
    bundle = masks(tmp_path / "m")
    asked = Asked(data, bounds=Bounds(films=9, steps=3), methods=("probability", "occlusion"))
    found = explain_report(bundle, replace(asked, keep=False), silent).report.artifacts[0]
    assert (found.films, found.patients, found.label) == (4, 4, "LUNG")
    assert (found.region_kind, found.boxes) == ("masks", "the true masks of chests")
    assert found.choice is None
    probability, occlusion = found.methods
    assert found.box_area is not None
    for method in (probability, occlusion):
        assert method.box_mass is not None
        assert method.box_mass.value > found.box_area
        assert method.box_hits is not None
        assert method.box_hits.value == 1.0
        assert method.lung_mass is None
    assert probability.gain.value > 0


def test_the_page_of_a_mask_network(tmp_path: Path, data: Path) -> None:
    asked = Asked(data, bounds=FEW, masks=data, keep=False)
    measured = explain_report(masks(tmp_path / "m"), asked, silent)
    (found,) = measured.report.artifacts
    assert [m.method for m in found.methods] == ["probability"]
    assert found.lungs == "the true masks of chests"
    assert {"seg-eigen-cam", "rise", "grad-cam"} <= {n.what for n in found.not_measured}
    rows = film_rows(measured.predictor, measured.job, ("probability",), 1)
    text = write_report(measured.report, rows, tmp_path / "out")[0].read_text(encoding="utf-8")
    assert "peak in masks" in text
    assert "in boxes" not in text


def test_masks_that_are_all_empty_or_of_another_size_are_refused(
    tmp_path: Path, data: Path
) -> None:
    bundle = masks(tmp_path / "m")
    for number in range(6):
        Image.fromarray(np.full((60, 80), 255, np.uint8)).save(data / f"m{number}.png")
    with pytest.raises(DataError, match="80 x 60 pixels, its film 160 x 120"):
        explain_report(bundle, Asked(data, bounds=FEW, keep=False), silent)
    for number in range(6):
        Image.fromarray(np.zeros((120, 160), np.uint8)).save(data / f"m{number}.png")
    with pytest.raises(DataError, match="none of 6 films has anything in its mask"):
        explain_report(bundle, Asked(data, bounds=FEW, keep=False), silent)


def test_the_shuffled_twins_map_is_another(tmp_path: Path, data: Path) -> None:
    bundle = binary(tmp_path / "b")
    asked = Asked(data, bounds=FEW, methods=("grad-cam",), masks=data, keep=False)
    found = explain_report(bundle, asked, silent).report.artifacts[0]
    assert found.lungs == "the true masks of chests"
    rank = found.methods[0].random_rank
    assert rank is not None
    assert rank.value < 0.9


def test_films_are_few_positive_and_the_same_every_time(data: Path) -> None:
    films = read_dataset(data).films
    chosen = choose_films(films, "PNEUMONIA", Bounds(films=2))
    assert chosen == choose_films(films[::-1], "PNEUMONIA", Bounds(films=2))
    assert chosen == choose_films(films, "PNEUMONIA", Bounds(films=9))[:2]
    both = choose_films([f for f in films if f.patient == "4"], "NORMAL", Bounds(per_patient=2))
    assert len(both) == 1
    with pytest.raises(DataError, match="no film has the label"):
        choose_films(films, "MASS", Bounds())


def test_the_page_needs_nothing_else(pipeline: Bundle, data: Path, tmp_path: Path) -> None:
    asked = Asked(data, bounds=FEW, boxes=data, methods=("eigen-cam", "grad-cam"), keep=False)
    measured = explain_report(pipeline, asked, silent)
    rows = film_rows(measured.predictor, measured.job, ("eigen-cam", "grad-cam"), 2)
    assert [len(r.maps) for r in rows] == [2, 2]
    page, told = write_report(measured.report, rows, tmp_path / "out")
    text = page.read_text(encoding="utf-8")
    assert text.count("<img") == text.count("data:image/jpeg;base64,") == 10
    assert "http" not in text
    assert "Saporta" in text
    assert "second opinion, not a diagnosis" in text.lower()
    for word in ("eigen-cam", "grad-cam", "shuffled weights", "Shortcut audit", "chests"):
        assert word in text
    assert json.loads(told.read_bytes())["artifacts"][0]["films"] == 3


def test_what_cannot_be_reported_is_refused_before_any_film(
    tmp_path: Path, data: Path, pipeline: Bundle
) -> None:
    with pytest.raises(DataError, match=r"draws masks, .* Leave out --boxes"):
        explain_report(masks(tmp_path / "m"), Asked(data, boxes=data), silent)
    with pytest.raises(ExplanationError, match="no method 'magic'"):
        explain_report(pipeline, Asked(data, methods=("magic",)), silent)
    with pytest.raises(DataError, match="no film has the label"):
        explain_report(pipeline, Asked(data, label="MASS"), silent)
    assert not (pipeline.folder / "measurements").exists()


def test_findings_are_explained_one_by_one(tmp_path: Path, data: Path) -> None:
    rows = (data / "manifest.csv").read_text().replace("label", "findings", 1)
    text = rows.replace("PNEUMONIA", "VIRAL").replace("NORMAL", "BACTERIAL")
    (data / "manifest.csv").write_text(text)
    bundle = findings(tmp_path / "f")
    for label, words in (("", "BACTERIAL"), ("VIRAL", "VIRAL")):
        asked = Asked(data, label=label, bounds=FEW, methods=("grad-cam",), keep=False)
        found = explain_report(bundle, asked, silent).report.artifacts[0]
        assert (found.label, found.films) == (words, 3)
        assert found.lungs == ""
        assert found.methods[0].lung_mass is None
