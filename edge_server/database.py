"""The SQLite file of the cases: its tables, and how older ones become today's.

schema 1  a film, the first opinion, one prediction
schema 2  and the symptoms, the findings that the clinician saw, the discrepancy
schema 3  and what clinicians think of the heat maps
"""

import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ..runtime.errors import StoreError

DATABASE = "cases.sqlite"
SCHEMA = 3
RATED_SINCE = 3
_BUSY_MS = 5000

_meta = sa.MetaData()
cases = sa.Table(
    "cases",
    _meta,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("id", sa.String, nullable=False, unique=True),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("film", sa.JSON, nullable=False),
    sa.Column("first_opinion", sa.String),
    # Nothing was asked: SQL's NULL, not JSON's.
    sa.Column("first_findings", sa.JSON(none_as_null=True)),
    sa.Column("symptoms", sa.JSON(none_as_null=True)),
    sa.Column("discrepancy", sa.JSON(none_as_null=True)),
    # A number is never given twice, even after the newest case was deleted by hand.
    sqlite_autoincrement=True,
)
predictions = sa.Table(
    "predictions",
    _meta,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.ForeignKey("cases.id"), nullable=False, index=True),
    sa.Column("bundle_id", sa.String, nullable=False),
    sa.Column("artifact_sha256", sa.String, nullable=False),
    sa.Column("answer", sa.JSON, nullable=False),
)
ratings = sa.Table(
    "ratings",
    _meta,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.ForeignKey("cases.id"), nullable=False, index=True),
    sa.Column("method", sa.String, nullable=False),
    sa.Column("label", sa.String, nullable=False),
    sa.Column("verdict", sa.String, nullable=False),
    sa.Column("model", sa.String, nullable=False),
    sa.Column("artifact_sha256", sa.String, nullable=False),
    sa.Column("rated", sa.String, nullable=False),
    sa.UniqueConstraint("case_id", "method", "label"),
)

# What makes a database of that schema one of the next.
_STEPS = {
    1: (
        "ALTER TABLE cases ADD COLUMN first_findings JSON",
        "ALTER TABLE cases ADD COLUMN symptoms JSON",
        "ALTER TABLE cases ADD COLUMN discrepancy JSON",
    ),
    2: (
        "CREATE TABLE ratings (number INTEGER NOT NULL, case_id VARCHAR NOT NULL, "
        "method VARCHAR NOT NULL, label VARCHAR NOT NULL, verdict VARCHAR NOT NULL, "
        "model VARCHAR NOT NULL, artifact_sha256 VARCHAR NOT NULL, rated VARCHAR NOT NULL, "
        "PRIMARY KEY (number), UNIQUE (case_id, method, label), "
        "FOREIGN KEY(case_id) REFERENCES cases (id))",
        "CREATE INDEX ix_ratings_case_id ON ratings (case_id)",
    ),
}


def open_database(path: Path) -> sa.Engine:
    """Open the file, make it where there is none, bring an older one to today's schema.

    Raises:
        StoreError: it is damaged, or a newer clinicedge wrote it.
    """
    engine = sa.create_engine(f"sqlite+pysqlite:///{path}", pool_size=4, max_overflow=0)
    sa.event.listen(engine, "connect", _pragmas)
    try:
        with engine.connect() as connection:
            found = int(connection.exec_driver_sql("PRAGMA user_version").scalar() or 0)
        if found == 0:
            _make(engine)
        elif found in _STEPS:
            _migrate(engine, found)
    except sa.exc.SQLAlchemyError as err:
        engine.dispose()
        raise unreadable(path, err) from err
    if found not in (0, SCHEMA, *_STEPS):
        engine.dispose()
        raise _newer(path, found)
    return engine


def open_to_read(path: Path) -> tuple[sa.Engine, int]:
    """Open the file without changing it, and its schema; a server may write to it meanwhile.

    Raises:
        StoreError: there is none, it is damaged, or a newer clinicedge wrote it.
    """
    if not path.is_file():
        raise StoreError(
            f"no cases in {path.parent}: {path.name} is missing. Name the folder that `clinicedge "
            "serve` told with --data DIR."
        )
    address = f"{path.resolve().as_uri()}?mode=ro"
    engine = sa.create_engine(
        "sqlite+pysqlite://",
        creator=lambda: sqlite3.connect(address, uri=True, timeout=_BUSY_MS / 1000),
        poolclass=sa.pool.NullPool,
    )
    try:
        with engine.connect() as connection:
            found = int(connection.exec_driver_sql("PRAGMA user_version").scalar() or 0)
    except sa.exc.SQLAlchemyError as err:
        raise unreadable(path, err) from err
    if found not in (SCHEMA, *_STEPS):
        raise _newer(path, found)
    return engine, found


def unreadable(path: Path, err: sa.exc.SQLAlchemyError) -> StoreError:
    """To be raised where the file cannot be used."""
    return StoreError(
        f"{path} cannot be opened: {getattr(err, 'orig', None) or err}. Restore it from a "
        "copy, or give another folder with --data DIR."
    )


def _newer(path: Path, found: int) -> StoreError:
    return StoreError(
        f"{path} has schema {found}; this clinicedge reads {SCHEMA} and older. Update "
        "clinicedge, or give another folder with --data DIR."
    )


def _make(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        _meta.create_all(connection)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")


def _migrate(engine: sa.Engine, found: int) -> None:
    """All steps or none: a box that loses power meanwhile starts again from the old schema."""
    with engine.connect() as connection:
        # The driver begins no transaction of its own for such statements.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        for schema in range(found, SCHEMA):
            for statement in _STEPS[schema]:
                connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA}")
        connection.commit()


def _pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {_BUSY_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
