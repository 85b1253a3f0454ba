"""Patients in two parts, films in two parts, and copies of a folder under another name."""

import csv
import shutil
from pathlib import Path

import pytest

from clinicedge.convert.gathering import Wanted, gather
from clinicedge.convert.hygiene import films_twice, refuse_overlaps, refuse_trained
from clinicedge.convert.user_spec import read_spec
from clinicedge.profiles.datasets import read_findings_dataset
from clinicedge.runtime.errors import OverlapError
from clinicedge.runtime.figures import Part
from clinicedge.runtime.manifest import DataHygiene, DataPart

from .user_files import findings_row, write_data, write_spec

LABELS = ("A", "B", "C")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hygiene")
    write_data(
        root / "findings", {"train": 4, "select": 3, "guard": 3}, ("findings",), findings_row
    )
    write_spec(root, "my-findings", "findings", LABELS)
    return root


def gathered(folder: Path, name: str = "findings", trained: DataHygiene | None = None):  # type: ignore[no-untyped-def]
    spec = read_spec(next(folder.glob("*.toml")), None)
    return gather(spec, Wanted(folder / name, 4, trained))


def card(part: Part, keys: str, data: str = "other") -> DataHygiene:
    return DataHygiene(data, "rule", (DataPart(part, 1, len(keys.split()), keys),))


def test_the_films_that_were_read_are_known_by_their_bytes(folder: Path) -> None:
    films = gathered(folder)
    (record,) = films.hygiene
    read = {p.part: p.film_hashes.split() for p in record.parts}
    assert len(read["train"]) == len(films.calibration)
    assert len(read["guard"]) == len(set(read["guard"])) == len(films.guard)
    assert films.twice == 0


def test_the_card_of_the_same_data_is_not_told_twice(folder: Path) -> None:
    data = read_findings_dataset(folder / "findings", LABELS).hygiene_record()
    (record,) = gathered(folder, trained=data).hygiene
    assert record.parts[0].patient_keys == data.parts[0].patient_keys
    assert record.parts[0].film_hashes


@pytest.mark.parametrize(
    ("used", "judged"),
    [("train", "select"), ("train", "guard"), ("select", "guard"), ("test", "train")],
)
def test_patients_of_the_card_are_kept_apart(folder: Path, used: Part, judged: Part) -> None:
    data = read_findings_dataset(folder / "findings", LABELS)
    key = data.part(judged).key_hashes()[0]
    with pytest.raises(OverlapError, match=f"for '{judged}'.*{key}"):
        refuse_trained(data, card(used, key))


def test_what_calibrates_may_have_trained(folder: Path) -> None:
    data = read_findings_dataset(folder / "findings", LABELS)
    refuse_trained(data, card("train", " ".join(data.part("train").key_hashes())))
    refuse_trained(data, None)


def test_a_card_split_by_image_is_refused(folder: Path) -> None:
    parts = (DataPart("train", 2, 2, "aa bb"), DataPart("select", 2, 2, "bb cc"))
    with pytest.raises(OverlapError, match=r"'train' of images and its part 'select': bb"):
        refuse_overlaps(DataHygiene("images", "by image", parts))
    with pytest.raises(OverlapError, match="its part 'select'"):
        gathered(folder, trained=DataHygiene("images", "by image", parts))


def test_a_film_listed_under_two_patients_is_told(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "findings"
    shutil.copytree(folder / "findings", copy)
    data = read_findings_dataset(copy, LABELS)
    select, guard = data.part("select").films[0], data.part("guard").films[0]
    shutil.copyfile(select.path, guard.path)
    shutil.copy(next(folder.glob("*.toml")), tmp_path)
    assert gathered(tmp_path).twice == 1
    assert films_twice({"train": ["a"], "select": ["b"], "guard": ["a", "b", "c"]}) == 2


def test_other_patients_of_a_renamed_folder_have_other_keys(folder: Path, tmp_path: Path) -> None:
    """Why the films' bytes are kept too; a column origin brings the keys back."""
    renamed = tmp_path / "renamed"
    shutil.copytree(folder / "findings", renamed)
    first = set(read_findings_dataset(folder / "findings", LABELS).key_hashes())
    assert not first & set(read_findings_dataset(renamed, LABELS).key_hashes())
    with (renamed / "manifest.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    with (renamed / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, [*rows[0], "origin"])
        writer.writeheader()
        writer.writerows({**row, "origin": "findings"} for row in rows)
    assert set(read_findings_dataset(renamed, LABELS).key_hashes()) == first
