"""`clinicedge data import` through the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


@pytest.fixture
def chest(film_png: bytes, tmp_path: Path) -> Path:
    """A folder in the shape of Kaggle's chest films."""
    root = tmp_path / "chest_xray"
    for name in (
        "train/NORMAL/IM-0115-0001.png",
        "train/PNEUMONIA/person7_virus_9.png",
        "test/NORMAL/IM-0001-0001.png",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(film_png)
    return root


def test_a_table_of_labels_by_part_and_json(ce: Command, chest: Path) -> None:
    ran = ce("data", "import", "kaggle-chest", chest)
    assert ran.code == 0, ran.err
    assert "3 films of 3 patients" in ran.out
    assert "official-test" in ran.out
    assert "note: val joins train" in ran.out
    assert (chest / "manifest.csv").is_file()
    again = ce("data", "import", "kaggle-chest", chest)
    assert again.code == 2
    assert "--replace" in again.err
    ran = ce("data", "import", "kaggle-chest", chest, "--replace", "--json")
    assert json.loads(ran.out)["n_films"] == 3


def test_what_is_refused_exits_with_2_and_says_why(ce: Command, chest: Path) -> None:
    (chest / "train" / "NORMAL" / "scan.png").write_bytes(b"")
    ran = ce("data", "import", "kaggle-chest", chest)
    assert ran.code == 2
    assert "scan.png: its name tells no patient" in ran.err
    assert not (chest / "manifest.csv").exists()
    ran = ce("data", "import", "kaggle-chest", chest, "--skip-bad")
    assert "left out: train/NORMAL/scan.png" in ran.out
    assert ce("data", "import", "mnist", chest).code == 2
    assert ce("data", "export", "nih", chest).code == 2
