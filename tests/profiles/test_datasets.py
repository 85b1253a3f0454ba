"""Data folders: what is read, and what is refused."""

from pathlib import Path

import pytest

from clinicedge.profiles.datasets import read_dataset
from clinicedge.profiles.film_identity import folder_sha256
from clinicedge.profiles.placing import GIVEN_RULE
from clinicedge.profiles.splits import SPLIT_RULE, key_hash, part_of
from clinicedge.runtime.errors import DataManifestError

HEADER = "file,label,patient,split"


def folder(root: Path, lines: list[str], header: str = HEADER) -> Path:
    """A data folder with empty files for all lines; reading a dataset opens no film."""
    root.mkdir(exist_ok=True)
    for line in lines:
        name = line.split(",")[0]
        if name and ".." not in name:
            (root / name).touch()
    (root / "manifest.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return root


LINES = [f"a{n}.png,{'NORMAL' if n % 2 else 'PNEUMONIA'},p{n // 2},train" for n in range(80)]
LINES += [f"b{n}.png,NORMAL,p{n},test" for n in range(39, 43)]


def test_films_fall_into_the_parts_of_their_patients(tmp_path: Path) -> None:
    data = read_dataset(folder(tmp_path / "clinic", LINES))
    assert data.name == data.origin == "clinic"
    assert len(data.films) == 84
    for film in data.films:
        key = f"clinic/{film.official}/{film.patient}"
        assert film.patient_key == key
        assert film.part == ("official-test" if film.official == "test" else part_of(key))
    assert {f.part for f in data.part("train").films} == {"train"}
    assert len(data.part("train", "select", "guard", "test").films) == 80


def test_only_new_numbers_of_the_official_test(tmp_path: Path) -> None:
    data = read_dataset(folder(tmp_path / "clinic", LINES))
    new = data.official_test_new_patients()
    assert [f.patient for f in new.films] == ["p40", "p41", "p42"]


def test_hygiene_counts_and_hashes(tmp_path: Path) -> None:
    data = read_dataset(folder(tmp_path / "clinic", LINES))
    record = data.hygiene_record()
    assert (record.data, record.split) == ("clinic", SPLIT_RULE)
    assert sum(p.n_films for p in record.parts) == 84
    assert sum(p.n_patients for p in record.parts) == 44
    seen = [h for p in record.parts for h in p.patient_keys.split()]
    assert len(seen) == len(set(seen)) == 44
    assert key_hash("clinic/test/p42") in seen


def test_a_folder_s_hash_changes_with_what_it_says_and_shows(tmp_path: Path) -> None:
    def made(name: str, label: str = "NORMAL", film: bytes = b"film", mask: bytes = b"mask") -> str:
        lines = [f"a.png,{label},p1,train,m.png", "b.png,NORMAL,p2,train,"]
        root = folder(tmp_path / name, lines, f"{HEADER},mask")
        (root / "a.png").write_bytes(film)
        (root / "m.png").write_bytes(mask)
        return folder_sha256(root)

    known = made("one")
    assert made("copy") == known
    others = made("label", "PNEUMONIA"), made("film", film=b"Film"), made("mask", mask=b"Mask")
    (tmp_path / "one/b.png").unlink()
    assert len({known, *others, folder_sha256(tmp_path / "one")}) == 5


def test_folders_of_one_origin_share_patients(tmp_path: Path) -> None:
    small = read_dataset(folder(tmp_path / "kermany224", LINES))
    large = read_dataset(folder(tmp_path / "kermany512", LINES))
    assert small.origin == large.origin == "kermany"
    assert small.key_hashes() == large.key_hashes()


def test_the_origin_column_decides(tmp_path: Path) -> None:
    data = read_dataset(
        folder(tmp_path / "copy", ["a.png,NORMAL,p1,train,kermany"], HEADER + ",origin")
    )
    assert data.films[0].patient_key == "kermany/train/p1"


def test_a_column_part_decides_and_is_named(tmp_path: Path) -> None:
    header = HEADER + ",part"
    lines = ["a.png,NORMAL,p1,train,guard", "b.png,NORMAL,p1,train,guard"]
    lines += ["c.png,NORMAL,p2,train,test", "d.png,NORMAL,p3,test,", "e.png,NORMAL,p4,test,"]
    data = read_dataset(folder(tmp_path / "clinic", lines, header))
    assert [f.part for f in data.films] == ["guard", "guard", "test", *["official-test"] * 2]
    assert data.hygiene_record().split == data.split == GIVEN_RULE
    assert [p.part for p in data.hygiene()] == ["guard", "test", "official-test"]
    empty = read_dataset(folder(tmp_path / "empty", ["a.png,NORMAL,p1,train,"], header))
    assert empty.split == SPLIT_RULE


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["a.png,NORMAL,p1,train,hand"], "line 2: part 'hand'"),
        (["a.png,NORMAL,p1,train,official-test"], "part 'official-test' of the official train"),
        (["a.png,NORMAL,p1,test,test"], "part 'test' of the official test"),
        (["a.png,NORMAL,p1,train,test", "b.png,NORMAL,p2,train,"], "some rows name a part"),
        (["a.png,NORMAL,p1,train,test", "b.png,NORMAL,p1,train,guard"], "in test and in guard"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path: Path, lines: list[str], words: str) -> None:
    with pytest.raises(DataManifestError) as caught:
        read_dataset(folder(tmp_path / "clinic", lines, HEADER + ",part"))
    assert words in str(caught.value)


def test_findings_take_the_place_of_a_label(tmp_path: Path) -> None:
    lines = ["a.png,No Finding,p1,071Y", "b.png,Edema|Pneumonia,p2,006M", "c.png,Edema,p3,"]
    lines += ["d.png,No Finding|Edema,p4,414", "e.png,,p5,x", "f.png,pneumonia,p6,3.5"]
    data = read_dataset(folder(tmp_path / "nih", lines, "file,findings,patient,age"))
    assert [f.label for f in data.films] == ["NORMAL", "PNEUMONIA", "PNEUMONIA"]
    assert [f.age_years for f in data.films] == [71.0, 0.5, 3.5]
    assert data.left_out == 3
    assert all(f.official == "train" for f in data.films)


def test_a_label_may_be_left_open_where_there_are_findings(tmp_path: Path) -> None:
    header = "file,label,findings,patient,split,age"
    lines = ["a.png,NORMAL,,p1,train,414", "b.png,,Edema,p2,test,7"]
    data = read_dataset(folder(tmp_path / "nih", lines, header))
    assert [(f.label, f.age_years) for f in data.films] == [("NORMAL", None)]
    assert data.left_out == 1
    for lines in (["b.png,,Edema,p2,train,7"], ["b.png,,Pneumonia,p2,train,7"]):
        with pytest.raises(DataManifestError, match="none of the 1 films has one of the labels"):
            read_dataset(folder(tmp_path / "none", lines, header))


@pytest.mark.parametrize(
    ("lines", "header", "words"),
    [
        (["a.png,NORMAL,train"], "file,label,split", "expected also patient"),
        ([], HEADER, "lists no films"),
        (["a.png,SICK,p1,train"], HEADER, "line 2: label 'SICK'; expected one of NORMAL"),
        (["a.png,NORMAL,,train"], HEADER, "line 2: no patient"),
        (["a.png,NORMAL,p1,"], HEADER, "split ''"),
        (["../a.png,NORMAL,p1,train"], HEADER, "not inside"),
        (["/etc/hostname,NORMAL,p1,train"], HEADER, "not inside"),
        ([",NORMAL,p1,train"], HEADER, "not inside"),
        (["a.png"], HEADER, "label ''"),
    ],
)
def test_a_broken_manifest_is_refused(
    tmp_path: Path, lines: list[str], header: str, words: str
) -> None:
    root = tmp_path / "clinic"
    root.mkdir()
    (root / "a.png").touch()
    (root / "manifest.csv").write_text("\n".join([header, *lines]) + "\n")
    with pytest.raises(DataManifestError) as caught:
        read_dataset(root)
    assert words in str(caught.value)


def test_missing_films_are_counted_and_named(tmp_path: Path) -> None:
    root = folder(tmp_path / "clinic", LINES)
    for n in range(6):
        (root / f"a{n}.png").unlink()
    with pytest.raises(DataManifestError) as caught:
        read_dataset(root)
    assert "6 are missing: a0.png, a1.png, a2.png, a3.png, a4.png." in str(caught.value)


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.png").touch()
    root = folder(tmp_path / "clinic", ["a.png,NORMAL,p1,train"])
    (root / "a.png").unlink()
    (root / "a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(DataManifestError, match="not inside"):
        read_dataset(root)


def test_no_manifest_and_no_text(tmp_path: Path) -> None:
    with pytest.raises(DataManifestError, match="cannot read"):
        read_dataset(tmp_path)
    (tmp_path / "manifest.csv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(DataManifestError, match="cannot read"):
        read_dataset(tmp_path)


@pytest.mark.reference_data
def test_the_real_films_are_split_as_in_every_card(data_root: Path) -> None:
    data = read_dataset(data_root / "kermany224")
    counts = {p.part: (p.n_films, p.n_patients) for p in data.hygiene()}
    assert counts == {
        "train": (3647, 1972),
        "select": (338, 188),
        "guard": (374, 215),
        "test": (362, 190),
        "official-test": (624, 427),
    }
    assert len(data.official_test_new_patients().films) == 330
    larger = read_dataset(data_root / "kermany512")
    known = {f.patient_key: f.part for f in data.films}
    assert all(known.get(f.patient_key, f.part) == f.part for f in larger.films)
