"""Data folders with masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clinicedge.profiles.boxes import read_box_dataset
from clinicedge.profiles.masks import read_mask_dataset, read_mask_pixels
from clinicedge.runtime.errors import DamagedFilmError, DataManifestError


def folder(root: Path, lines: list[str], head: str = "file,mask,patient,split") -> Path:
    root.mkdir(exist_ok=True)
    Image.fromarray(np.array([[0, 127, 255]], np.uint8)).save(root / "m.png")
    (root / "a.png").touch()
    (root / "manifest.csv").write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return root


def test_new_patients_of_the_official_test(tmp_path: Path) -> None:
    lines = ["a.png,m.png,p1,train", "a.png,m.png,p1,test", "a.png,m.png,p2,test"]
    data = read_mask_dataset(folder(tmp_path / "d", lines))
    assert [f.part for f in data.films][1:] == ["official-test"] * 2
    assert [f.patient_key for f in data.official_test_new_patients().films] == ["d/test/p2"]


def test_a_block_takes_the_patient_s_place(tmp_path: Path) -> None:
    data = read_mask_dataset(folder(tmp_path / "d", ["a.png,m.png,b7"], "image,mask,block"))
    assert data.patients() == ("d/train/b7",)
    assert read_mask_pixels(data.films[0]).tolist() == [[0, 127, 255]]


def test_a_normal_film_needs_no_mask(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", ["b.png,,Normal,p"], "file,mask,label,patient")
    Image.fromarray(np.full((40, 50), 9, np.uint8)).save(root / "b.png")
    data = read_mask_dataset(root)
    assert data.films[0].mask is None
    assert read_mask_pixels(data.films[0]).tolist() == np.zeros((40, 50)).tolist()
    assert read_box_dataset(root, ("LESION",)).films[0].boxes == ()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("a.png,,p,train", "no mask"),
        ("a.png,m.png,,train", "no patient"),
        ("a.png,m.png,p,val", "split 'val'"),
        ("a.png,n.png,p,train", "1 files are missing"),
        ("../../a.png,m.png,p,train", "outside"),
    ],
)
def test_what_is_no_mask_folder_is_refused(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(DataManifestError) as caught:
        read_mask_dataset(folder(tmp_path / "d", [line]))
    assert words in str(caught.value)


def test_other_values_in_a_mask_are_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "d", ["a.png,m.png,p,train"])
    Image.fromarray(np.array([[0, 9, 255]], np.uint8)).save(root / "m.png")
    with pytest.raises(DamagedFilmError, match=r"holds the values \[9\]"):
        read_mask_pixels(read_mask_dataset(root).films[0])
    (root / "m.png").write_bytes(b"")
    with pytest.raises(DamagedFilmError, match="cannot read the mask"):
        read_mask_pixels(read_mask_dataset(root).films[0])
