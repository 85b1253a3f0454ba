"""Small made-up trees in the shape of the public sets, with real image files in them."""

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid


def image(path: Path, size: tuple[int, int] = (48, 32)) -> None:
    """A grey ramp as PNG or JPEG, (width, height)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ramp = np.linspace(0, 255, size[0] * size[1]).astype(np.uint8).reshape(size[1], size[0])
    Image.fromarray(ramp).save(path)


def table(path: Path, lines: Sequence[Sequence[object]]) -> None:
    """A CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(lines)


def dicom(path: Path, patient: str = "") -> None:
    """A small film in DICOM."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    film = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    film.SOPClassUID, film.SOPInstanceUID = (
        meta.MediaStorageSOPClassUID,
        meta.MediaStorageSOPInstanceUID,
    )
    film.PatientID = patient
    film.Modality = "DX"
    film.Rows, film.Columns, film.SamplesPerPixel = 70, 64, 1
    film.BitsAllocated = film.BitsStored = 8
    film.HighBit, film.PixelRepresentation = 7, 0
    film.PhotometricInterpretation = "MONOCHROME2"
    film.PixelData = np.arange(70 * 64, dtype=np.uint8).tobytes()
    pydicom.dcmwrite(path, film, enforce_file_format=True)


@pytest.fixture
def kaggle(tmp_path: Path) -> Path:
    """chest_xray inside a folder of the download, with what archives leave behind."""
    root = tmp_path / "download" / "chest_xray"
    for name in (
        "train/NORMAL/IM-0115-0001.jpeg",
        "train/NORMAL/NORMAL2-IM-0123-0001-0002.jpeg",
        "train/PNEUMONIA/person123_bacteria_45.jpeg",
        "train/PNEUMONIA/person123_virus_46.jpeg",
        "val/NORMAL/NORMAL2-IM-1427-0001.jpeg",
        "val/PNEUMONIA/person1946_bacteria_4874.jpeg",
        "test/NORMAL/IM-0001-0001.jpeg",
        "test/PNEUMONIA/person1_virus_6.jpeg",
    ):
        image(root / name)
    for name in ("train/NORMAL/._IM-0115-0001.jpeg", "__MACOSX/chest_xray/._train.jpeg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"\0")
    (root / "train" / "NORMAL" / ".DS_Store").write_bytes(b"\0")
    return root


VINDR_COLUMNS = ("Bronchitis", "Brocho-pneumonia", "Other disease", "Bronchiolitis", "Pneumonia")


@pytest.fixture
def vindr(tmp_path: Path) -> Path:
    """Films of one, two and three readers; one header has a patient."""
    root = tmp_path / "vindr-pcxr"
    head = ("image_id", "rad_ID", "No finding", *VINDR_COLUMNS, "Tuberculosis")
    for name in ("a1", "a2", "a3"):
        dicom(root / "train" / f"{name}.dicom", "child7" if name == "a3" else "")
    dicom(root / "test" / "b1.dicom")
    table(
        root / "image_labels_train.csv",
        [
            head,
            ("a1", "R1", 0, 1, 1, 0, 0, 0, 0),
            ("a2", "R1", 0, 0, 0, 0, 0, 1, 0),
            ("a2", "R2", 1, 0, 0, 0, 0, 0, 0),
            ("a3", "R1", 0, 0, 0, 0, 1, 1, 0),
            ("a3", "R2", 0, 0, 0, 0, 1, 0, 0),
            ("a3", "R3", 1, 0, 0, 0, 0, 0, 0),
        ],
    )
    table(root / "image_labels_test.csv", [head, ("b1", "R9", 0, 0, 0, 0, 0, 0.0, 1)])
    return root


BTXRD_HEAD = ("image_id", "center", "age", "tumor", "osteosarcoma", "simple bone cyst")


def outline(
    path: Path, shapes: Sequence[Mapping[str, object]], size: tuple[int, int] = (48, 32)
) -> None:
    """A LabelMe file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"shapes": shapes, "imageWidth": size[0], "imageHeight": size[1]}
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture
def btxrd(tmp_path: Path) -> Path:
    """A polygon and a rectangle on one film, a polygon on another, none on the third."""
    root = tmp_path / "BTXRD"
    for number in (1, 2, 25):
        image(root / "images" / f"IMG{number:06}.jpeg")
    triangle = {"shape_type": "polygon", "points": [[2, 2], [10, 2], [2, 10]], "label": "x"}
    box = {"shape_type": "rectangle", "points": [[20, 12], [15, 9]], "label": "x"}
    outline(root / "Annotations" / "IMG000001.json", [triangle, box])
    outline(root / "Annotations" / "IMG000002.json", [triangle])
    lines = [
        BTXRD_HEAD,
        ("IMG000001.jpeg", 1, 12, 1, 1, 0),
        ("IMG000002.jpeg", 1, 12, 1, 0, 1),
        ("IMG000025.jpeg", 2, 40, 0, 0, 0),
    ]
    table(root / "dataset.csv", lines)
    return root


@pytest.fixture
def nih(tmp_path: Path) -> Path:
    """Three films of the table, two of them there; a box each for both and for the third."""
    root = tmp_path / "nih-download"
    image(root / "images_001" / "images" / "00000001_000.png")
    image(root / "images_002" / "images" / "00000002_000.png")
    head = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
    head += "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
    (root / "Data_Entry_2017.csv").write_text(
        head
        + "\n00000001_000.png,Pneumonia|Effusion,0,1,58,M,PA,2682,2749,0.143,0.143,"
        + "\n00000002_000.png,No Finding,0,2,81,F,AP,2500,2048,0.171,0.171,"
        + "\n00000003_000.png,Infiltration,0,3,30,F,AP,2500,2048,0.171,0.171,\n"
    )
    (root / "BBox_List_2017.csv").write_text(
        "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
        "00000001_000.png,Infiltrate,225.0,547.0,86.5,79.2,,,\n"
        "00000003_000.png,Mass,1,2,3,4,,,\n"
    )
    (root / "test_list.txt").write_text("00000002_000.png\n00000003_000.png\n")
    return root


Manifest = Callable[[Path], list[dict[str, str]]]


@pytest.fixture
def manifest() -> Manifest:
    """The rows of a folder's manifest.csv."""

    def read(folder: Path) -> list[dict[str, str]]:
        with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
            return list(csv.DictReader(stream))

    return read
