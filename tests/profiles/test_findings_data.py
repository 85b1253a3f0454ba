"""Data folders whose films have several findings, or a subtype."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.profiles.datasets import read_dataset, read_findings_dataset
from clinicedge.runtime.errors import DataManifestError

FIVE = ("Bronchitis", "Broncho-pneumonia", "Other disease", "Bronchiolitis", "Pneumonia")
TYPES = ("BACTERIA", "VIRUS")


def folder(root: Path, header: str, lines: list[str]) -> Path:
    """A data folder with empty files for all lines; reading a dataset opens no film."""
    root.mkdir(exist_ok=True)
    for line in lines:
        (root / line.split(",")[0]).touch()
    (root / "manifest.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return root


def test_findings_are_read_in_the_order_of_the_labels(tmp_path: Path) -> None:
    lines = ["a.png,Pneumonia|Bronchitis|No such,p1", "b.png,,p2", "c.png,No finding,p3"]
    data = read_findings_dataset(folder(tmp_path / "v", "file,findings,patient", lines), FIVE)
    assert [f.findings for f in data.films] == [("Bronchitis", "Pneumonia"), (), ()]
    assert data.findings(FIVE).tolist() == [
        [True, False, False, False, True],
        [False] * 5,
        [False] * 5,
    ]
    assert {f.official for f in data.films} == {"train"}
    assert data.films[0].label == "Bronchitis|Pneumonia"


@given(st.lists(st.sets(st.sampled_from(FIVE)), min_size=1, max_size=8))
def test_what_is_written_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, films: list[set[str]]
) -> None:
    films = [*films, {"Pneumonia"}]
    lines = [f"{n}.png,{'|'.join(sorted(found))},p{n}" for n, found in enumerate(films)]
    root = folder(tmp_path_factory.mktemp("f") / "v", "file,findings,patient", lines)
    data = read_findings_dataset(root, FIVE)
    assert [set(f.findings) for f in data.films] == films
    assert data.findings(FIVE).sum() == sum(len(f) for f in films)


SUBTYPES = [
    "a.png,NORMAL,,p1,train",
    "b.png,PNEUMONIA,bacteria,p2,train",
    "c.png,PNEUMONIA,virus,p3,test",
    "d.png,PNEUMONIA,,p4,test",
]


def test_films_without_a_subtype_are_left_out(tmp_path: Path) -> None:
    root = folder(tmp_path / "kermany224", "file,label,subtype,patient,split", SUBTYPES)
    data = read_findings_dataset(root, TYPES)
    assert [f.findings for f in data.films] == [("BACTERIA",), ("VIRUS",)]
    assert [f.label for f in data.films] == ["PNEUMONIA", "PNEUMONIA"]
    assert [f.part for f in data.films][1] == "official-test"
    binary = read_dataset(root)
    assert len(binary.films) == 4
    assert all(f.findings == () for f in binary.films)
    assert set(data.key_hashes()) < set(binary.key_hashes())


@pytest.mark.parametrize(
    ("header", "lines", "words"),
    [
        ("file,findings", ["a.png,Pneumonia"], "expected also patient"),
        ("file,findings,patient", ["a.png,Effusion,p1"], "no film with any of Bronchitis"),
        ("file,label,patient,split", ["a.png,NORMAL,p1,train"], "or a column subtype"),
        ("file,findings,patient", ["a.png,Pneumonia,"], "line 2: no patient"),
        ("file,findings,patient,split", ["a.png,Pneumonia,p,valid"], "split 'valid'"),
    ],
)
def test_what_tells_no_findings_is_refused(
    tmp_path: Path, header: str, lines: list[str], words: str
) -> None:
    root = folder(tmp_path / "v", header, lines)
    with pytest.raises(DataManifestError) as caught:
        read_findings_dataset(root, FIVE)
    assert words in str(caught.value)


@pytest.mark.reference_data
def test_the_subtypes_of_the_real_films(data_root: Path) -> None:
    data = read_findings_dataset(data_root / "kermany224", TYPES)
    every = read_dataset(data_root / "kermany224")
    pneumonia = [f for f in every.films if f.label == "PNEUMONIA"]
    known = {f.path: f.part for f in pneumonia}
    assert all(known[f.path] == f.part for f in data.films)
    assert data.findings(TYPES).sum(axis=1).tolist() == [1] * len(data.films)
