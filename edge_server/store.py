"""Cases on disk: SQLite beside the films' original bytes.

    cases.sqlite       rows; write-ahead log, synchronous=FULL
    films/2026-11/     the original bytes, ID.png, ID.jpg or ID.dcm
    incoming/          films whose row is not committed yet
    derived/ID/        pictures that can be made anew; may be deleted at any time
    lock               held by the server that serves from here

A film is on the disk before its row is committed, and the row before the answer is sent.
"""

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from ..runtime.errors import OutputError, StoreError, UnknownCaseError
from ..runtime.files import fsync_folder
from ..runtime.records import from_json, to_json
from .database import DATABASE, open_database
from .database import cases as _cases
from .database import predictions as _predictions
from .derived import Derived
from .ratings import RatingBook
from .records import Case, FilmRecord, Reading


@dataclass(frozen=True)
class Staged:
    """A film's bytes on the disk, synced, under a final name that no row has yet.

    `mark` in `incoming` says so: what still has one after a kill was never acknowledged.
    """

    case_id: str
    mark: Path
    final: Path


@dataclass(frozen=True)
class NewCase:
    """What is to be committed."""

    created: str
    film: FilmRecord
    reading: Reading
    predictions: tuple[dict[str, Any], ...]
    discrepancy: dict[str, Any] | None = None


class Store:
    """The folder of cases. Any thread may call any method.

    `ratings`: what clinicians think of the heat maps; `derived`: pictures made of the films.
    """

    def __init__(self, folder: Path) -> None:
        """Open or make the folder, and clear what a killed process left half-done.

        Raises:
            StoreError: another server holds it, or another version of clinicedge wrote it.
            OutputError: it cannot be written.
        """
        self.folder = folder
        self._incoming = folder / "incoming"
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
            # Films are patients' films: nobody else on this machine reads them.
            folder.chmod(0o700)
            self._lock = _hold(folder / "lock")
        except OSError as err:
            raise _unwritable(folder, err.strerror or str(err)) from err
        try:
            self._engine = open_database(folder / DATABASE)
        except StoreError:
            self._lock.close()
            raise
        self.ratings = RatingBook(self._engine)
        self.derived = Derived(folder / "derived")
        self._recover()

    def stage(self, case_id: str, file: str, data: bytes) -> Staged:
        """Write and sync a film's bytes to `file`, relative to the folder; not yet a case.

        Raises:
            OutputError: no space, or not writable; nothing is left of it.
        """
        staged = Staged(case_id, self._incoming / case_id, self.folder / file)
        if staged.final.exists():
            raise _unwritable(staged.final, "a film of that name is there")
        try:
            _write_synced(staged, data)
        except OSError as err:
            self.discard(staged)
            raise _unwritable(staged.final, err.strerror or str(err)) from err
        return staged

    def discard(self, staged: Staged) -> None:
        """Forget a staged film: it was refused."""
        for path in (staged.final, staged.mark):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def add(self, staged: Staged, new: NewCase) -> Case:
        """Make a staged film a case; when this returns it survives a power cut.

        Raises:
            OutputError: it could not be kept; nothing is left of it.
        """
        try:
            number = self._insert(staged.case_id, new)
        except sa.exc.SQLAlchemyError as err:
            self.discard(staged)
            raise _unwritable(self.folder, str(getattr(err, "orig", None) or err)) from err
        with suppress(OSError):
            staged.mark.unlink(missing_ok=True)
        return Case(
            id=staged.case_id,
            number=number,
            created=new.created,
            film=new.film,
            reading=new.reading,
            predictions=new.predictions,
            discrepancy=new.discrepancy,
        )

    def _insert(self, case_id: str, new: NewCase) -> int:
        row = {
            "id": case_id,
            "created": new.created,
            "film": to_json(new.film),
            **to_json(new.reading),
            "discrepancy": new.discrepancy,
        }
        answers = [
            {
                "case_id": case_id,
                "bundle_id": p["report"]["bundle_id"],
                "artifact_sha256": p["report"]["artifact_sha256"],
                "answer": p,
            }
            for p in new.predictions
        ]
        with self._engine.begin() as connection:
            key = connection.execute(sa.insert(_cases), row).inserted_primary_key
            connection.execute(sa.insert(_predictions), answers)
        return int(key[0]) if key else 0

    def get(self, case_id: str) -> Case:
        """One case.

        Raises:
            UnknownCaseError: there is none of that id.
        """
        found = self._select(sa.select(_cases).where(_cases.c.id == case_id))
        if not found:
            raise UnknownCaseError(
                f"no case '{case_id[:64]}' on this box; GET /api/v1/cases lists the latest."
            )
        return found[0]

    def latest(self, limit: int) -> tuple[Case, ...]:
        """The newest `limit` cases, newest first."""
        return self._select(sa.select(_cases).order_by(_cases.c.number.desc()).limit(limit))

    def count(self) -> int:
        """How many cases there are."""
        with self._engine.connect() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(_cases)) or 0)

    def _select(self, query: sa.Select[Any]) -> tuple[Case, ...]:
        with self._engine.connect() as connection:
            rows = connection.execute(query).all()
            ids = [row.id for row in rows]
            of_them = sa.select(_predictions).where(_predictions.c.case_id.in_(ids))
            answers = connection.execute(of_them.order_by(_predictions.c.number)).all()
        return tuple(
            Case(
                id=row.id,
                number=row.number,
                created=row.created,
                film=from_json(FilmRecord, row.film, f"case {row.id}"),
                reading=_reading(row),
                predictions=tuple(a.answer for a in answers if a.case_id == row.id),
                discrepancy=row.discrepancy,
            )
            for row in rows
        )

    def source(self, case: Case) -> bytes:
        """The film's bytes as they were sent.

        Raises:
            StoreError: the file is gone.
        """
        path = self.folder / case.film.file
        try:
            return path.read_bytes()
        except OSError as err:
            raise StoreError(
                f"case {case.number}: {path} cannot be read ({err.strerror}). "
                "Restore the folder of cases from a copy."
            ) from err

    def close(self) -> None:
        """Fold the log into the database and let the folder go."""
        self._engine.dispose()
        self._lock.close()

    def _recover(self) -> None:
        """Remove films that were never acknowledged."""
        left = [p for p in self._incoming.iterdir() if p.is_file()]
        for path in left:
            with self._engine.connect() as connection:
                query = sa.select(_cases.c.id).where(_cases.c.id == path.name)
                kept = connection.scalar(query) is not None
            if not kept:
                for orphan in (self.folder / "films").glob(f"*/{path.name}.*"):
                    orphan.unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def _reading(row: Any) -> Reading:
    """What the clinician said; cases of schema 1 were asked for less."""
    findings = None if row.first_findings is None else tuple(row.first_findings)
    return Reading(row.first_opinion, findings, tuple(row.symptoms or ()))


def _write_synced(staged: Staged, data: bytes) -> None:
    """Write the bytes, give them their final name, then sync both at once."""
    # Few calls, each of which lets the thread that decodes the film go on.
    handle = os.open(staged.mark, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        _name(staged.mark, staged.final)
        os.fsync(handle)
    finally:
        os.close(handle)
    fsync_folder(staged.final.parent)


def _name(mark: Path, final: Path) -> None:
    """Give whole bytes their final name; the other one marks the case as open."""
    if not final.parent.is_dir():
        final.parent.mkdir(parents=True, exist_ok=True)
        fsync_folder(final.parent.parent)
        fsync_folder(final.parent.parent.parent)
    try:
        os.link(mark, final)
    except FileExistsError:
        raise
    except OSError:
        # A memory stick's file system has no links.
        os.replace(mark, final)


def _hold(path: Path) -> IO[bytes]:
    """Lock the folder for this process; the system lets it go however the process ends.

    Raises:
        StoreError: another process has it.
    """
    stream = path.open("wb")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        stream.close()
        raise StoreError(
            f"another clinicedge serves from {path.parent} already. Stop it, or give this one "
            "a folder of its own with --data DIR."
        ) from err
    return stream


def _unwritable(path: Path, reason: str) -> OutputError:
    return OutputError(
        f"cannot write {path}: {reason}. Nothing was kept of this film. Make space, or give a "
        "folder that you may write to with --data DIR."
    )
