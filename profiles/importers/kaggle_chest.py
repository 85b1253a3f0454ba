"""Kaggle's "Chest X-Ray Images (Pneumonia)": the films of Kermany, Zhang, Goldbaum 2018.

Patient and subtype stand in the file names: person123_bacteria_45.jpeg, IM-0115-0001.jpeg,
NORMAL2-IM-0123-0001.jpeg.
"""

import re
from pathlib import Path

from ..datasets import ORIGINS
from ..measure import Progress
from .found import Bad, Found, Importer, Readers, Row, films_in, find_root

LAYOUT = "the folders train and test (and perhaps val), each with NORMAL and PNEUMONIA"
_NAMES = {
    "PNEUMONIA": re.compile(
        r"(?P<patient>person\d+)_(?P<subtype>bacteria|virus)_\d+(_\d+)*\.(jpe?g|png)", re.IGNORECASE
    ),
    "NORMAL": re.compile(
        r"(?P<patient>(NORMAL\d*-)?IM-\d+)-\d+(-\d+)*\.(jpe?g|png)", re.IGNORECASE
    ),
}
_EXPECTED = {
    "PNEUMONIA": "person123_bacteria_45.jpeg or person123_virus_45.jpeg",
    "NORMAL": "IM-0115-0001.jpeg or NORMAL2-IM-0123-0001.jpeg",
}
# The 16 films of val are too few to choose anything by.
_PARTS = {"train": "train", "val": "train", "test": "test"}
_NOTES = (
    "val joins train: our own split takes select, guard and test from it by patient",
    "some patient numbers occur in train and test; whether they are the same children is unknown",
)


def read(source: Path, _readers: Readers, progress: Progress) -> Found:
    """Find the films; nothing is opened.

    Raises:
        DataError: the folders are not there.
    """
    root = find_root(source, ("train/NORMAL", "train/PNEUMONIA", "test/NORMAL"), LAYOUT)
    rows, bad = [], []
    films = [
        (part, label, film)
        for part in _PARTS
        for label in _NAMES
        for film in films_in(root / part / label)
    ]
    for number, (part, label, film) in enumerate(films):
        progress(number, len(films), "reading names")
        match = _NAMES[label].fullmatch(film.name)
        if match is None:
            reason = f"its name tells no patient; expected {_EXPECTED[label]} in {label}"
            bad.append(Bad(str(film.relative_to(root)), reason))
            continue
        values = {
            "label": label,
            "subtype": match.groupdict().get("subtype", "").lower(),
            "patient": match["patient"],
            "split": _PARTS[part],
            "origin": ORIGINS["kermany224"],
        }
        rows.append(Row(film, values))
    return Found(
        root=root,
        columns=("label", "subtype", "patient", "split", "origin"),
        group="label",
        rows=tuple(rows),
        bad=tuple(bad),
        notes=_NOTES,
    )


IMPORTER = Importer(
    "kaggle-chest",
    'Kaggle\'s "Chest X-Ray Images (Pneumonia)": NORMAL / PNEUMONIA, bacteria / virus',
    LAYOUT,
    read,
)
