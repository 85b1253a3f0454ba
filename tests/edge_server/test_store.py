"""The folder of cases: what a killed process leaves, who may open it, what it refuses."""

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from clinicedge.edge_server.database import SCHEMA
from clinicedge.edge_server.records import FilmRecord, Reading, view
from clinicedge.edge_server.store import NewCase, Staged, Store
from clinicedge.runtime.errors import OutputError, StoreError, UnknownCaseError
from clinicedge.runtime.records import to_json

REPORT = {"bundle_id": "b", "artifact_sha256": "a"}


def new(case_id: str) -> NewCase:
    file = f"films/2026-11/{case_id}.png"
    film = FilmRecord("n.png", "png", file, "0" * 64, 4, 2, 2, None, None, None, "file", ("note",))
    reading = Reading("unsure", ("VIRUS",), ("cough",))
    told = {"level": "notice", "reasons": []}
    return NewCase("2026-11-21T08:00:00.000Z", film, reading, ({"report": REPORT},), told)


def stage(store: Store, case_id: str, month: str = "2026-11") -> Staged:
    return store.stage(case_id, f"films/{month}/{case_id}.png", b"film")


def files(folder: Path) -> list[str]:
    found = [*folder.glob("films/*/*"), *folder.glob("incoming/*")]
    return sorted(p.relative_to(folder).as_posix() for p in found)


def test_a_case_survives_closing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    made = store.add(stage(store, "one"), new("one"))
    store.close()
    again = Store(tmp_path)
    assert again.get("one") == made
    assert again.latest(5) == (made,)
    assert again.source(made) == b"film"
    assert again.count() == 1
    again.close()


def test_what_was_never_acknowledged_is_cleared_at_the_next_start(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(stage(store, "kept"), new("kept"))
    # Killed between the film's final name and its row.
    stage(store, "staged")
    # Killed while the film was being written.
    (tmp_path / "incoming" / "half").write_bytes(b"fi")
    # Killed between the row and the end of the request.
    (tmp_path / "incoming" / "kept").write_bytes(b"film")
    store.close()
    again = Store(tmp_path)
    assert files(tmp_path) == ["films/2026-11/kept.png"]
    assert again.source(again.get("kept")) == b"film"
    again.close()


def test_a_film_that_no_row_names_is_left_alone(tmp_path: Path) -> None:
    Store(tmp_path).close()
    stray = tmp_path / "films" / "2025-01" / "from-a-newer-copy.png"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"film")
    Store(tmp_path).close()
    assert stray.read_bytes() == b"film"


def test_the_database_syncs_every_commit(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store._engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    store.close()


def test_a_row_that_cannot_be_written_takes_its_film_along(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.add(stage(store, "one"), new("one"))
    with pytest.raises(OutputError, match="UNIQUE"):
        store.add(stage(store, "one", "2026-12"), new("one"))
    assert files(tmp_path) == ["films/2026-11/one.png"]
    assert store.count() == 1
    store.close()


def test_only_one_server_holds_a_folder(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(StoreError, match="another clinicedge"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_others_on_the_machine_do_not_read_films(tmp_path: Path) -> None:
    Store(tmp_path / "cases").close()
    assert (tmp_path / "cases").stat().st_mode & 0o077 == 0


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "cases.sqlite")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="schema 99"):
        Store(tmp_path)


def test_a_damaged_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cases.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path)


def test_unknown_cases_are_told(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with pytest.raises(UnknownCaseError, match="nothing-here"):
        store.get("nothing-here")
    store.close()


# What clinicedge 0.1 wrote: the words of its own tables.
SCHEMA_1 = """
CREATE TABLE cases (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    id VARCHAR NOT NULL,
    created VARCHAR NOT NULL,
    film JSON NOT NULL,
    first_opinion VARCHAR,
    UNIQUE (id)
);
CREATE TABLE predictions (
    number INTEGER NOT NULL,
    case_id VARCHAR NOT NULL,
    bundle_id VARCHAR NOT NULL,
    artifact_sha256 VARCHAR NOT NULL,
    answer JSON NOT NULL,
    PRIMARY KEY (number),
    FOREIGN KEY(case_id) REFERENCES cases (id)
);
CREATE INDEX ix_predictions_case_id ON predictions (case_id);
PRAGMA user_version = 1;
"""
OLD_ANSWER = {
    "kind": "classification",
    "label": "PNEUMONIA",
    "positive": True,
    "positive_label": "PNEUMONIA",
    "score": 0.8,
    "threshold": 0.5,
    "probabilities": {"NORMAL": 0.2, "PNEUMONIA": 0.8},
    "report": {**REPORT, "artifact": "onnx/fp32", "model": "old", "model_version": "1"},
}


def make_old(folder: Path, *cases: str) -> None:
    """A folder of cases as schema 1 kept it."""
    connection = sqlite3.connect(folder / "cases.sqlite")
    connection.executescript(SCHEMA_1)
    for name in cases:
        film = json.dumps(to_json(new(name).film))
        row = (name, "2026-11-20T08:00:00.000Z", film, "PNEUMONIA")
        connection.execute(
            "INSERT INTO cases (id, created, film, first_opinion) VALUES (?, ?, ?, ?)", row
        )
        connection.execute(
            "INSERT INTO predictions (case_id, bundle_id, artifact_sha256, answer) "
            "VALUES (?, 'b', 'a', ?)",
            (name, json.dumps(OLD_ANSWER)),
        )
    connection.commit()
    connection.close()


def version_of(folder: Path) -> int:
    connection = sqlite3.connect(folder / "cases.sqlite")
    found = int(connection.execute("PRAGMA user_version").fetchone()[0])
    connection.close()
    return found


def test_cases_of_the_first_schema_are_kept_and_new_ones_join_them(tmp_path: Path) -> None:
    make_old(tmp_path, "old-1", "old-2")
    store = Store(tmp_path)
    assert version_of(tmp_path) == SCHEMA
    old = store.get("old-2")
    assert (old.number, old.reading) == (2, Reading("PNEUMONIA", None, ()))
    assert old.discrepancy is None
    assert old.answer == OLD_ANSWER
    assert view(old).symptoms == ()
    assert view(old).links.segmentation is None
    made = store.add(stage(store, "three"), new("three"))
    assert made.number == 3
    store.close()
    again = Store(tmp_path)
    assert [c.id for c in again.latest(5)] == ["three", "old-2", "old-1"]
    assert again.get("three") == made
    again.close()


def test_a_migration_that_fails_half_way_changes_nothing(tmp_path: Path) -> None:
    make_old(tmp_path, "old")
    connection = sqlite3.connect(tmp_path / "cases.sqlite")
    # The second of the new columns is there already, so the second step fails.
    connection.execute("ALTER TABLE cases ADD COLUMN symptoms JSON")
    connection.close()
    with pytest.raises(StoreError, match="cannot be opened"):
        Store(tmp_path)
    assert version_of(tmp_path) == 1
    connection = sqlite3.connect(tmp_path / "cases.sqlite")
    columns = [row[1] for row in connection.execute("PRAGMA table_info(cases)")]
    connection.close()
    assert "first_findings" not in columns


def test_an_empty_reading_is_kept_as_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    plain = replace(new("one"), reading=Reading(), discrepancy=None)
    none_seen = replace(new("two"), reading=Reading(None, (), ()))
    store.add(stage(store, "one"), plain)
    store.add(stage(store, "two"), none_seen)
    assert store.get("one").reading.first_findings is None
    assert store.get("one").discrepancy is None
    assert store.get("two").reading.first_findings == ()
    store.close()
