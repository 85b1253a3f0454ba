"""`clinicedge ratings export`: counts, CSV, JSON, beside a running server and after it."""

import csv
import io
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clinicedge.edge_server.records import FilmRecord, Reading
from clinicedge.edge_server.store import NewCase, Store

Command = Callable[..., Any]
SHA256 = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Two cases, three ratings; open as a server has it."""
    opened = Store(tmp_path / "cases")
    for number in range(2):
        case_id, file = f"{number:032x}", f"films/2026-11/{number:032x}.png"
        film = FilmRecord(
            "a.png", "png", file, SHA256, 3, 4, 4, None, None, None, "file", ()
        )  # fmt: skip
        answer = {"kind": "x", "report": {"bundle_id": SHA256, "artifact_sha256": SHA256}}
        new = NewCase("2026-11-21T10:00:00.000Z", film, Reading(), (answer,))
        opened.add(opened.stage(case_id, file, b"abc"), new)
        opened.ratings.rate(case_id, "grad-cam", "PNEUMONIA", ("helpful", "tiny", SHA256))
    opened.ratings.rate(f"{0:032x}", "eigen-cam", "PNEUMONIA", ("misleading", "tiny", SHA256))
    yield opened
    opened.close()


def test_counts_beside_a_running_server(ce: Command, store: Store) -> None:
    ran = ce("ratings", "export", "--data", store.folder)
    assert ran.code == 0, ran.err
    assert "3 ratings of heat maps" in ran.out
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in ran.out.splitlines()]
    assert ["grad-cam", "2", "0", "0", "2"] in cells
    assert ["eigen-cam", "0", "1", "0", "1"] in cells


def test_a_box_without_ratings_says_so(ce: Command, tmp_path: Path) -> None:
    Store(tmp_path / "cases").close()
    ran = ce("ratings", "export", "--data", tmp_path / "cases")
    assert (ran.code, ran.out.splitlines()) == (
        0, [f"no ratings of heat maps in {tmp_path / 'cases'} yet"]
    )  # fmt: skip
    assert json.loads(ce("ratings", "export", "--data", tmp_path / "cases", "--json").out)[
        "ratings"
    ] == []  # fmt: skip


def test_what_is_exported_is_what_the_server_tells(
    ce: Command, store: Store, tmp_path: Path
) -> None:
    told = json.loads(ce("ratings", "export", "--data", store.folder, "--json").out)
    assert told["counts"]["grad-cam"] == {"helpful": 2, "misleading": 0, "wrong-place": 0}
    assert [r["number"] for r in told["ratings"]] == [1, 2, 1]
    store.close()
    rows = list(csv.DictReader(io.StringIO(ce("ratings", "export", "--data", store.folder,
                                              "--csv").out)))  # fmt: skip
    assert [(r["method"], r["verdict"], r["artifact_sha256"]) for r in rows] == [
        ("grad-cam", "helpful", SHA256),
        ("grad-cam", "helpful", SHA256),
        ("eigen-cam", "misleading", SHA256),
    ]
    out = tmp_path / "ratings.csv"
    assert ce("ratings", "export", "--data", store.folder, "--csv", "--out", out).code == 0
    assert list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8")))) == rows


def test_what_cannot_be_read_is_refused(ce: Command, store: Store, tmp_path: Path) -> None:
    assert "no cases in" in ce("ratings", "export", "--data", tmp_path / "nowhere").err
    assert not (tmp_path / "nowhere").exists()
    asked = ("ratings", "export", "--data", store.folder)
    assert ce(*asked, "--json", "--csv").code == 2
    assert ce(*asked, "--out", tmp_path / "x").code == 2
    store.close()
    path = store.folder / "cases.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert "schema 99" in ce(*asked).err
    path.write_bytes(b"no database at all" * 100)
    ran = ce(*asked)
    assert ran.code == 2
    assert "cannot be opened" in ran.err


def test_cases_from_before_ratings_have_none(ce: Command, store: Store) -> None:
    store.close()
    with sqlite3.connect(store.folder / "cases.sqlite") as database:
        database.execute("DROP TABLE ratings")
        database.execute("PRAGMA user_version = 2")
    database.close()
    told = json.loads(ce("ratings", "export", "--data", store.folder, "--json").out)
    assert told == {"ratings": [], "counts": {}}
