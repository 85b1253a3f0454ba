"""What is hidden, what a scorer tells from it, and the audit of bundles."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from tiny_bundles import Scores, binary, chest, findings, masks, on_lungs

from clinicedge.profiles.audit_bundle import CROPPED, WHOLE, audit_bundle, keep_audit
from clinicedge.profiles.evaluation import Question
from clinicedge.profiles.hiding import VIEWS, View, hidden_part, hide
from clinicedge.profiles.lung_masks import FoundLungs, TrueLungs, own_lungs
from clinicedge.profiles.shortcut_audit import AuditFilm, audit, audit_prepared
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.errors import ArtifactError, DataError

Pixels = NDArray[np.uint8]


@st.composite
def films(draw: st.DrawFn) -> tuple[Pixels, NDArray[np.bool_]]:
    height, width = draw(st.integers(20, 60)), draw(st.integers(20, 60))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    lungs = np.zeros((height, width), bool)
    lungs[3 : draw(st.integers(4, height)), 2 : draw(st.integers(3, width))] = True
    lungs &= rng.random((height, width)) < 0.8
    lungs[3, 2] = True
    return rng.integers(0, 256, (height, width), dtype=np.uint8), lungs


@given(films(), st.sampled_from(VIEWS))
def test_what_is_not_hidden_stays(film: tuple[Pixels, NDArray[np.bool_]], view: View) -> None:
    pixels, lungs = film
    hidden = hidden_part(view, lungs)
    shown = hide(pixels, lungs, view)
    assert (shown[~hidden] == pixels[~hidden]).all()
    assert (shown[hidden] == np.uint8(np.median(pixels))).all()
    assert hidden.any() == (view != "plain")


@given(films())
def test_each_view_hides_what_its_name_says(film: tuple[Pixels, NDArray[np.bool_]]) -> None:
    _, lungs = film
    assert (hidden_part("lungs-only", lungs) == ~lungs).all()
    assert (hidden_part("lungs-hidden-silhouette", lungs) == lungs).all()
    box = hidden_part("lungs-hidden-box", lungs)
    assert box[lungs].all()
    assert box.any(axis=1).sum() * box.any(axis=0).sum() == box.sum()
    middle = tuple(n // 2 for n in lungs.shape)
    for view in ("borders-hidden", "corners-hidden"):
        assert hidden_part(view, lungs)[0, 0]
        assert not hidden_part(view, lungs)[middle]
    assert not hidden_part("corners-hidden", lungs)[0, middle[1]]


def made(n: int = 12) -> list[AuditFilm]:
    """Positive films have bright lungs; a white frame tells the label too."""
    found = []
    for number in range(n):
        positive = number % 2 == 0
        pixels = np.full((40, 40), 60, np.uint8)
        pixels[10:30, 8:32] = 90 + number % 3 + (90 if positive else 0)
        pixels[0] = 250 if positive else 20
        lungs = np.zeros((40, 40), bool)
        lungs[10:30, 8:32] = True
        found.append(AuditFilm(pixels, lungs, positive, f"p{number}"))
    return found


def lungs_alone(view: Pixels) -> float:
    return float(view[15:25, 12:28].mean())


def frame_alone(view: Pixels) -> float:
    return float(view[0].mean())


def test_a_scorer_of_lungs_is_at_chance_without_them() -> None:
    figures = audit(lungs_alone, made())
    for one in figures.views:
        assert one.auc is not None
        assert one.auc.value == (0.5 if one.view.startswith("lungs-hidden") else 1.0)
    assert (figures.n_films, figures.n_positive, figures.n_patients) == (12, 6, 12)
    assert figures.peaks_inside is None


def test_a_scorer_of_frames_is_found_out() -> None:
    figures = audit(frame_alone, made())
    told: dict[View, float] = {
        "lungs-hidden-box": 1.0,
        "lungs-only": 0.5,
        "borders-hidden": 0.5,
    }
    for view, value in told.items():
        area = figures.auc(view)
        assert area is not None
        assert area.value == value
        assert area.low <= area.value <= area.high


def test_peaks_are_counted_on_positive_films_alone() -> None:
    asked: list[int] = []

    def peak(pixels: Pixels) -> tuple[int, int] | None:
        asked.append(int(pixels[0, 0]))
        return ((20, 20), (0, 0), None)[len(asked) % 3]

    figures = audit(lungs_alone, made(), peak)
    assert asked == [250] * 6
    assert figures.peaks_inside is not None
    assert (figures.peaks_inside.value, figures.peaks_inside.n, figures.flat_maps) == (0.5, 4, 2)


def test_films_without_a_score_are_counted_and_one_label_is_not_measured() -> None:
    figures = audit_prepared(
        lambda film: lambda view: math.nan if film[0, 0] == 20 else lungs_alone(view), made()
    )
    assert all((v.auc, v.no_score) == (None, 6) for v in figures.views)


def test_bad_masks_and_no_films_are_refused() -> None:
    film = made(1)[0]
    with pytest.raises(DataError, match="no film"):
        audit(lungs_alone, [])
    for lungs in (np.zeros((40, 40), bool), np.ones((20, 20), bool)):
        with pytest.raises(DataError, match="expected the same size and some"):
            audit(lungs_alone, [AuditFilm(film.pixels, lungs, True, "p")])


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """Films with bright fields and, in another folder and size, the masks of all but one."""
    films, drawn = tmp_path / "chests", tmp_path / "lungs-of-chests"
    films.mkdir()
    drawn.mkdir()
    rows, lines = [("file", "label", "patient", "split")], [("mask", "image", "patient", "split")]
    for number in range(8):
        positive = number % 2 == 0
        film = chest(lungs=255 if positive else 165, height=120 + number)
        Image.fromarray(film.pixels).save(films / f"f{number}.png")
        label = "PNEUMONIA" if positive else "NORMAL"
        rows.append((f"f{number}.png", label, f"p{number}", "train"))
        if number < 7:
            mask = Image.fromarray(np.where(film.pixels > 100, 255, 0).astype(np.uint8))
            mask.resize((80, 60), Image.Resampling.NEAREST).save(drawn / f"f{number}.png")
            lines.append((f"f{number}.png", f"../chests/f{number}.png", f"p{number}", "train"))
    for root, table in ((films, rows), (drawn, lines)):
        with (root / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(table)
    return films, drawn


@pytest.fixture
def lungs_bundle(tmp_path: Path) -> Bundle:
    return masks(tmp_path / "lungs")


def silent(_done: int, _total: int, _what: str) -> None:
    pass


def test_a_model_is_audited_with_true_masks(data: tuple[Path, Path], tmp_path: Path) -> None:
    bundle = binary(tmp_path / "b")
    report = audit_bundle(bundle, data[0], Question(), TrueLungs(data[1]), silent)
    (part,) = report.parts
    assert (part.part, part.without_lungs, part.figures.n_films) == ("all", 1, 7)
    plain, hidden = part.figures.auc("plain"), part.figures.auc("lungs-hidden-silhouette")
    assert plain is not None
    assert hidden is not None
    assert (plain.value, report.how) == (1.0, WHOLE)
    assert part.figures.peaks_inside is not None
    path = keep_audit(bundle, report)
    assert path.name == f"{bundle.artifact('onnx/fp32').sha256}-shortcut-audit.json"
    assert json.loads(path.read_bytes())["parts"][0]["figures"]["n_films"] == 7


def test_a_pipeline_keeps_the_crop_of_the_film_as_it_is(
    data: tuple[Path, Path], tmp_path: Path, lungs_bundle: Bundle
) -> None:
    classifier = binary(tmp_path / "c", "tiny-lung-crop", Scores(region="lungs"))
    pipe = on_lungs(tmp_path / "pipe", classifier, lungs_bundle)
    report = audit_bundle(pipe, data[0], Question(), own_lungs(pipe), silent)
    figures = report.parts[0].figures
    assert report.how == CROPPED
    assert report.lungs == "masks drawn by tiny-lungs"
    # No view is refused for want of lungs, though the lungs are hidden in some.
    assert all(v.no_score == 0 for v in figures.views)
    plain = figures.auc("plain")
    assert plain is not None
    assert plain.value == 1.0
    box = figures.auc("lungs-hidden-box")
    assert box is not None
    assert box.value < 1.0


def test_what_cannot_be_audited_is_refused(
    data: tuple[Path, Path], tmp_path: Path, lungs_bundle: Bundle
) -> None:
    with pytest.raises(ArtifactError, match="gives findings"):
        audit_bundle(
            findings(tmp_path / "f"), data[0], Question(), FoundLungs(lungs_bundle), silent
        )
    plain = binary(tmp_path / "b")
    with pytest.raises(ArtifactError, match="no member that finds lungs"):
        own_lungs(plain)
    with pytest.raises(ArtifactError, match="expected a bundle that draws lungs"):
        FoundLungs(plain)
    (data[1] / "manifest.csv").write_text("mask,image,patient\nf0.png,f0.png,p\n")
    (data[1] / "g.png").write_bytes((data[1] / "f0.png").read_bytes())
    (data[1] / "manifest.csv").write_text("mask,image,patient\nf0.png,g.png,p\n")
    with pytest.raises(DataError, match="no film with lungs to hide"):
        audit_bundle(plain, data[0], Question(), TrueLungs(data[1]), silent)
