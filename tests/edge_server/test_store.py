"""The folder of cases: what a killed process leaves, who may open it, what it refuses."""

import sqlite3
from pathlib import Path

import pytest

from clinicedge.edge_server.database import SCHEMA
from clinicedge.edge_server.records import FilmRecord, Reading
from clinicedge.edge_server.store import NewCase, Staged, Store
from clinicedge.runtime.errors import OutputError, StoreError, UnknownCaseError

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
