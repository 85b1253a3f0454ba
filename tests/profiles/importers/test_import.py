"""Public sets as downloaded: what the manifest says, and what is refused."""

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from clinicedge.profiles.datasets import read_dataset, read_findings_dataset
from clinicedge.profiles.importers import IMPORTERS, ImportOptions, import_data
from clinicedge.profiles.importers.writing import ImportReport
from clinicedge.profiles.masks import read_mask_dataset
from clinicedge.profiles.placing import GIVEN_RULE
from clinicedge.profiles.splits import SPLIT_RULE, part_of
from clinicedge.runtime import read_film
from clinicedge.runtime.errors import DataError, OutputError
from clinicedge.runtime.figures import Part

from .conftest import image, outline

Manifest = Callable[[Path], list[dict[str, str]]]
TRIANGLE = {"shape_type": "polygon", "points": [[2, 2], [10, 2], [2, 10]], "label": "x"}
FIVE = ("Bronchitis", "Broncho-pneumonia", "Other disease", "Bronchiolitis", "Pneumonia")


def take(
    kind: str, source: Path, out: Path | None = None, options: ImportOptions | None = None
) -> ImportReport:
    return import_data(
        kind, source, out or source, options or ImportOptions(), lambda _d, _t, _w: None
    )


def tree(folder: Path) -> dict[str, str]:
    """Every file and its hash."""
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_kaggle_names_tell_patient_and_subtype(kaggle: Path, manifest: Manifest) -> None:
    report = take("kaggle-chest", kaggle)
    rows = {r["file"]: r for r in manifest(kaggle)}
    assert len(rows) == report.n_films == 8
    bacteria = rows["train/PNEUMONIA/person123_bacteria_45.jpeg"]
    assert (bacteria["patient"], bacteria["subtype"]) == ("person123", "bacteria")
    assert rows["train/NORMAL/NORMAL2-IM-0123-0001-0002.jpeg"]["patient"] == "NORMAL2-IM-0123"
    assert rows["train/NORMAL/IM-0115-0001.jpeg"]["patient"] == "IM-0115"
    assert {r["split"] for f, r in rows.items() if f.startswith("val")} == {"train"}
    assert not report.left_out
    data = read_dataset(kaggle)
    assert data.origin == "kermany"
    assert "kermany/train/person123" in data.patients()
    types = read_findings_dataset(kaggle, ("BACTERIA", "VIRUS"))
    assert types.findings(("BACTERIA", "VIRUS")).sum(axis=0).tolist() == [2, 2]
    assert sum(g.n_films for g in report.groups) == 8


def test_the_folder_around_the_download_will_do(kaggle: Path, manifest: Manifest) -> None:
    above = kaggle.parent
    take("kaggle-chest", above)
    assert all(r["file"].startswith("chest_xray/") for r in manifest(above))
    assert len(read_dataset(above).films) == 8


def test_vindr_readers_agree_by_majority_or_any(vindr: Path, manifest: Manifest) -> None:
    take("vindr-pcxr", vindr)
    rows = {r["file"]: r for r in manifest(vindr)}
    assert rows["train/a1.dicom"]["findings"] == "Bronchitis|Broncho-pneumonia"
    assert rows["train/a2.dicom"]["findings"] == ""
    assert rows["train/a3.dicom"]["findings"] == "Bronchiolitis"
    assert [rows[f"train/a{n}.dicom"]["readers"] for n in (1, 2, 3)] == ["1", "2", "3"]
    assert rows["train/a3.dicom"]["patient"] == "child7"
    assert rows["train/a1.dicom"]["patient"] == "a1"
    assert rows["test/b1.dicom"]["split"] == "test"
    data = read_findings_dataset(vindr, FIVE)
    assert len(data.films) == 4
    assert read_film(data.films[0].path).pixels.shape == (70, 64)
    take("vindr-pcxr", vindr, options=ImportOptions(replace=True, readers="any"))
    rows = {r["file"]: r for r in manifest(vindr)}
    assert rows["train/a2.dicom"]["findings"] == "Pneumonia"
    assert rows["train/a3.dicom"]["findings"] == "Bronchiolitis|Pneumonia"


def test_vindr_serves_both_tasks(vindr: Path, manifest: Manifest) -> None:
    """NORMAL and PNEUMONIA for the first stage, five findings for the second."""
    report = take("vindr-pcxr", vindr)
    rows = {r["file"]: r for r in manifest(vindr)}
    labels = {file: r["label"] for file, r in rows.items()}
    assert labels["train/a1.dicom"] == "PNEUMONIA"
    # One of two sees a pneumonia, the other none; bronchiolitis; nothing of the five.
    assert {labels[f"train/{n}.dicom"] for n in ("a2", "a3")} == {""}
    assert labels["test/b1.dicom"] == ""
    well = "\n".join(["c1,R1,1,0,0,0,0,0,0", "c2,R1,1,0,0,0,0,0,0", "c2,R2,1,0,0,0,0,0,0"])
    doubtful = ["c2,R3,0,0,0,0,0,1,0", "c3,R1,0,0,1,0,0,0,0", "c3,R2,0,0,0,0,0,1,0"]
    table = vindr / "image_labels_train.csv"
    words = table.read_text(encoding="utf-8").rstrip()
    table.write_text("\n".join([words, well, *doubtful, "c3,R3,1,0,0,0,0,0,0\n"]), encoding="utf-8")
    for name in ("c1", "c2", "c3"):
        shutil.copyfile(vindr / "train" / "a1.dicom", vindr / "train" / f"{name}.dicom")
    report = take("vindr-pcxr", vindr, options=ImportOptions(replace=True))
    assert any("label" in note for note in report.notes)
    data = read_dataset(vindr)
    assert {f.path.stem: f.label for f in data.films} == {
        "a1": "PNEUMONIA",
        "c1": "NORMAL",
        "c2": "NORMAL",
        # Two of three see a pneumonia, each another one.
        "c3": "PNEUMONIA",
    }
    assert data.left_out == 3
    assert len(read_findings_dataset(vindr, FIVE).films) == 7
    take("vindr-pcxr", vindr, options=ImportOptions(replace=True, readers="any"))
    found = {f.path.stem: f.label for f in read_dataset(vindr).films}
    assert found == dict.fromkeys(("a1", "a2", "a3", "c2", "c3"), "PNEUMONIA") | {"c1": "NORMAL"}


def test_btxrd_outlines_become_masks(btxrd: Path, manifest: Manifest) -> None:
    report = take("btxrd", btxrd)
    rows = {r["file"]: r for r in manifest(btxrd)}
    assert [rows[f"images/IMG0000{n}.jpeg"]["block"] for n in ("01", "02", "25")] == [
        "btx0",
        "btx0",
        "btx1",
    ]
    assert rows["images/IMG000001.jpeg"]["tumor_type"] == "osteosarcoma"
    assert rows["images/IMG000025.jpeg"]["label"] == "normal"
    mask = pixels(btxrd / "masks" / "IMG000001.png")
    assert mask.shape == (32, 48)
    assert set(np.unique(mask)) == {0, 255}
    # The triangle's legs and hypotenuse, and the box whose corners came in the other order.
    assert mask[2, 2:11].all()
    assert mask[9:13, 15:21].all()
    assert not mask[9, 9]
    assert (mask > 0).sum() == 45 + 24
    assert not pixels(btxrd / "masks" / "IMG000025.png").any()
    assert {r["part"] for r in rows.values()} <= {"train", "select", "guard", "test"}
    assert rows["images/IMG000001.jpeg"]["part"] == rows["images/IMG000002.jpeg"]["part"]
    data = read_mask_dataset(btxrd)
    assert {f.part for f in data.films} == {r["part"] for r in rows.values()}
    assert {f.patient_key for f in data.films} == {"btxrd256/train/btx0", "btxrd256/train/btx1"}
    assert {g.group for g in report.groups} == {"osteosarcoma", "simple bone cyst", "none"}


def grow(root: Path) -> None:
    """A film in each of 48 blocks; that of every fourth block shows a tumour."""
    lines = ["image_id,center,age,tumor,osteosarcoma,simple bone cyst"]
    for block in range(48):
        name, ill = f"IMG{20 * block:06}", int(block % 4 == 0)
        image(root / "images" / f"{name}.jpeg", (12, 12))
        if ill:
            outline(root / "Annotations" / f"{name}.json", [TRIANGLE], (12, 12))
        lines.append(f"{name}.jpeg,1,9,{ill},{ill},0")
    (root / "dataset.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_rare_tumours_are_in_every_part(tmp_path: Path) -> None:
    root = tmp_path / "BTXRD"
    grow(root)
    report = take("btxrd", root)
    counts = {(g.group, g.part): g.n_films for g in report.groups}
    shares: dict[Part, float] = {"train": 0.76, "select": 0.08, "guard": 0.08, "test": 0.08}
    for part, share in shares.items():
        assert abs(counts["osteosarcoma", part] - share * 12) < 1
        assert abs(counts["none", part] - share * 36) < 1
    assert not any("no film in part" in note for note in report.notes)
    assert read_mask_dataset(root).hygiene_record().split == GIVEN_RULE


def test_the_fixed_hash_of_the_blocks_stays_to_be_had(tmp_path: Path, manifest: Manifest) -> None:
    root = tmp_path / "BTXRD"
    grow(root)
    report = take("btxrd", root, options=ImportOptions(split="hash"))
    assert "part" not in manifest(root)[0]
    data = read_mask_dataset(root)
    assert data.hygiene_record().split == SPLIT_RULE
    assert all(f.part == part_of(f.patient_key) for f in data.films)
    # What stratification is for.
    assert "no film in part guard: osteosarcoma" in report.notes


def test_a_spreadsheet_says_the_same(btxrd: Path, manifest: Manifest) -> None:
    take("btxrd", btxrd)
    before = manifest(btxrd)
    lines = [line.split(",") for line in (btxrd / "dataset.csv").read_text().splitlines()]
    (btxrd / "dataset.csv").unlink()
    spreadsheet(btxrd / "dataset.xlsx", lines)
    take("btxrd", btxrd, options=ImportOptions(replace=True))
    assert manifest(btxrd) == before


def spreadsheet(path: Path, lines: list[list[str]]) -> None:
    """Words shared, numbers in place, empty cells (here: 0) left out, as Excel does."""
    words = sorted({cell for line in lines for cell in line if not cell.isdigit()})
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    rows = []
    for y, line in enumerate(lines, start=1):
        cells = [
            f'<c r="{chr(65 + x)}{y}"><v>{cell}</v></c>'
            if cell.isdigit()
            else f'<c r="{chr(65 + x)}{y}" t="s"><v>{words.index(cell)}</v></c>'
            for x, cell in enumerate(line)
            if cell != "0"
        ]
        rows.append(f'<row r="{y}">{"".join(cells)}</row>')
    with zipfile.ZipFile(path, "w") as book:
        shared = "".join(f"<si><t>{word}</t></si>" for word in words)
        book.writestr("xl/sharedStrings.xml", f"<sst {space}>{shared}</sst>")
        sheet = f"<worksheet {space}><sheetData>{''.join(rows)}</sheetData></worksheet>"
        book.writestr("xl/worksheets/sheet1.xml", sheet)


def test_nih_takes_the_films_that_are_there(nih: Path, manifest: Manifest) -> None:
    report = take("nih", nih)
    rows = manifest(nih)
    assert [r["file"] for r in rows] == [
        "images_001/images/00000001_000.png",
        "images_002/images/00000002_000.png",
    ]
    assert [r["findings"] for r in rows] == ["Pneumonia|Effusion", ""]
    assert [(r["patient"], r["split"]) for r in rows] == [("1", "train"), ("2", "test")]
    assert (nih / "boxes.csv").read_text().splitlines() == [
        "file,label,x1,y1,x2,y2,width,height",
        "images_001/images/00000001_000.png,Infiltration,225.0,547.0,311.5,626.2,2682,2749",
    ]
    assert any("1 films of the table" in note for note in report.notes)
    assert len(read_findings_dataset(nih, ("Pneumonia",)).films) == 2


def test_nih_labels_for_chest_classifiers(nih: Path, manifest: Manifest) -> None:
    image(nih / "images_002" / "images" / "00000003_000.png")
    report = take("nih", nih)
    assert [r["label"] for r in manifest(nih)] == ["PNEUMONIA", "NORMAL", ""]
    assert [r["findings"] for r in manifest(nih)][2] == "Infiltration"
    assert any("1 films have findings other than pneumonia" in note for note in report.notes)
    assert any("outside the intended use" in note for note in report.notes)
    data = read_dataset(nih)
    assert [(f.label, f.age_years) for f in data.films] == [("PNEUMONIA", 58.0), ("NORMAL", 81.0)]
    assert data.left_out == 1
    assert len(read_findings_dataset(nih, ("Pneumonia",)).films) == 3


def test_copies_stand_alone(btxrd: Path, tmp_path: Path) -> None:
    before = tree(btxrd)
    out = tmp_path / "bone"
    report = take("btxrd", btxrd, out, ImportOptions(copy=True))
    assert report.copied
    assert tree(btxrd) == before
    copied = tree(out)
    assert copied["images/IMG000001.jpeg"] == before["images/IMG000001.jpeg"]
    assert len(read_mask_dataset(out).films) == 3
    with pytest.raises(OutputError, match="new or an empty folder"):
        take("btxrd", btxrd, out, ImportOptions(copy=True, replace=True))
    assert tree(out) == copied


@pytest.mark.parametrize("kind", sorted(IMPORTERS))
def test_twice_gives_the_same_bytes(kind: str, request: pytest.FixtureRequest) -> None:
    source = request.getfixturevalue(kind.split("-")[0])
    take(kind, source)
    before = tree(source)
    with pytest.raises(OutputError, match="--replace"):
        take(kind, source)
    take(kind, source, options=ImportOptions(replace=True))
    assert tree(source) == before


def test_films_outside_of_the_manifest_are_refused(kaggle: Path, tmp_path: Path) -> None:
    out = tmp_path / "elsewhere"
    with pytest.raises(OutputError, match="--copy"):
        take("kaggle-chest", kaggle, out)
    assert not out.exists()


def drop(file: str) -> Callable[[Path], None]:
    return lambda root: (root / file).unlink()


def swap(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        text = (root / file).read_text()
        assert old in text
        (root / file).write_text(text.replace(old, new, 1))

    return change


def rename(old: str, new: str) -> Callable[[Path], None]:
    def change(root: Path) -> None:
        (root / old).rename(root / new)

    return change


OUTLINE = "Annotations/IMG000001.json"
BROKEN = [
    (
        "kaggle-chest",
        rename("train/NORMAL/IM-0115-0001.jpeg", "train/NORMAL/scan.jpeg"),
        "tells no patient",
    ),
    ("vindr-pcxr", drop("train/a1.dicom"), "no such file"),
    ("vindr-pcxr", swap("image_labels_train.csv", "a1,R1,0,1", "a1,R1,0,2"), "expected 0 or 1"),
    ("vindr-pcxr", swap("image_labels_train.csv", "a1,R1,0,", "a1,R1,x,"), "No finding is 'x'"),
    ("vindr-pcxr", swap("image_labels_train.csv", "No finding", "None"), "expected also No find"),
    ("vindr-pcxr", swap("image_labels_train.csv", "Brocho-", "Pleuro-"), "expected also Brocho"),
    ("vindr-pcxr", swap("image_labels_test.csv", "b1,", "b2,"), "no row for it"),
    ("btxrd", drop(OUTLINE), "is missing"),
    ("btxrd", swap(OUTLINE, '"polygon"', '"circle"'), "expected polygon or rectangle"),
    ("btxrd", swap(OUTLINE, "[[2, 2], [10, 2]", "[[2, 2], [NaN, 2]"), "not finite"),
    ("btxrd", swap(OUTLINE, "[[2, 2], [10, 2], ", "[[2, 2], "), "3 or more"),
    ("btxrd", swap(OUTLINE, "[[2, 2], ", "[2, "), "pairs of numbers"),
    ("btxrd", swap(OUTLINE, '"imageWidth": 48', '"imageWidth": 49'), "the film has 48 x 32"),
    ("btxrd", swap(OUTLINE, "{", "["), "not JSON"),
    ("btxrd", swap("dataset.csv", "IMG000025.jpeg", "IMG000026.jpeg"), "no row for it"),
    ("btxrd", swap("dataset.csv", "tumor", "tumour"), "expected also tumor"),
    ("btxrd", drop("dataset.csv"), "neither dataset.csv nor"),
    ("nih", swap("BBox_List_2017.csv", "86.5", "wide"), "not four numbers"),
    ("nih", swap("Data_Entry_2017.csv", "Patient ID", "Patient"), "expected also Patient ID"),
    ("nih", swap("Data_Entry_2017.csv", "00000002_000", "00000009_000"), "has no row for it"),
]


@pytest.mark.parametrize(("kind", "damage", "words"), BROKEN)
def test_what_does_not_fit_is_refused_and_nothing_written(
    kind: str, damage: Callable[[Path], None], words: str, request: pytest.FixtureRequest
) -> None:
    source = request.getfixturevalue(kind.split("-")[0])
    damage(source)
    before = tree(source)
    with pytest.raises(DataError) as caught:
        take(kind, source)
    assert words in str(caught.value)
    assert tree(source) == before


def test_bad_files_are_left_out_where_asked_and_named(btxrd: Path, manifest: Manifest) -> None:
    (btxrd / OUTLINE).unlink()
    (btxrd / "images" / "IMG000025.jpeg").write_bytes(b"no image")
    report = take("btxrd", btxrd, options=ImportOptions(skip_bad=True))
    assert [r["file"] for r in manifest(btxrd)] == ["images/IMG000002.jpeg"]
    assert {b.file for b in report.left_out} == {"images/IMG000001.jpeg", "images/IMG000025.jpeg"}


@pytest.mark.parametrize("kind", sorted(IMPORTERS))
def test_another_folder_is_refused_with_what_was_expected(kind: str, tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()
    with pytest.raises(DataError, match="expected") as caught:
        take(kind, tmp_path)
    assert "holiday" in str(caught.value)
    with pytest.raises(DataError, match="no folder"):
        take(kind, tmp_path / "none")


def test_an_unknown_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected one of kaggle-chest"):
        take("mnist", tmp_path)


def test_damaged_dicom_and_turned_films(vindr: Path, btxrd: Path) -> None:
    (vindr / "train" / "a1.dicom").write_bytes(b"no dicom")
    with pytest.raises(DataError, match=r"train/a1\.dicom: its DICOM header"):
        take("vindr-pcxr", vindr)
    film = btxrd / "images" / "IMG000001.jpeg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (32, 48), 90).save(film, exif=exif)
    take("btxrd", btxrd)
    assert read_film(film).pixels.shape == (32, 48)


def test_an_outline_is_the_films_own_size(btxrd: Path) -> None:
    content = json.loads((btxrd / OUTLINE).read_text())
    del content["imageWidth"], content["imageHeight"]
    (btxrd / OUTLINE).write_text(json.dumps(content))
    take("btxrd", btxrd)
    with Image.open(btxrd / "masks" / "IMG000001.png") as mask:
        assert mask.size == (48, 32)
