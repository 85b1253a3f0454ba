"""What clinicians think of the heat maps: helpful, misleading, or at the wrong place."""

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import sqlalchemy as sa

from ..runtime.errors import OutputError
from .database import DATABASE, RATED_SINCE, cases, open_to_read, ratings, unreadable

Verdict = Literal["helpful", "misleading", "wrong-place"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
COLUMNS = ("case", "number", "method", "label", "verdict", "model", "artifact_sha256", "rated")


@dataclass(frozen=True)
class Rating:
    """One verdict on one map of a case; a second one on the same map takes its place.

    `rated`: ISO 8601, UTC; `number`: the case's own.
    """

    case: str
    number: int
    method: str
    label: str
    verdict: Verdict
    model: str
    artifact_sha256: str
    rated: str


@dataclass(frozen=True)
class RatingList:
    """Every rating on this box, and by method how many of each verdict."""

    ratings: tuple[Rating, ...]
    counts: dict[str, dict[Verdict, int]]


class RatingBook:
    """Ratings beside the cases. Any thread may call any method."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def rate(self, case_id: str, method: str, label: str, told: tuple[Verdict, str, str]) -> None:
        """Keep a verdict; when this returns it survives a power cut.

        Args:
            told: the verdict, and the model and artifact hash behind the map.

        Raises:
            OutputError: it could not be kept.
        """
        verdict, model, sha256 = told
        row = {"verdict": verdict, "model": model, "artifact_sha256": sha256}
        row["rated"] = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        which = {"case_id": case_id, "method": method, "label": label}
        same = sa.and_(*(ratings.c[name] == value for name, value in which.items()))
        try:
            with self._engine.begin() as connection:
                connection.execute(sa.delete(ratings).where(same))
                connection.execute(sa.insert(ratings), {**which, **row})
        except sa.exc.SQLAlchemyError as err:
            raise OutputError(
                f"the rating could not be kept: {getattr(err, 'orig', None) or err}. Make space "
                "and rate again."
            ) from err

    def of_case(self, case_id: str) -> tuple[Rating, ...]:
        """Of one case, in the order they were given."""
        return self._select(ratings.c.case_id == case_id)

    def every(self) -> RatingList:
        """Of all cases, with the counts."""
        found = self._select(sa.true())
        counts: dict[str, dict[Verdict, int]] = {}
        for rating in found:
            mine = counts.setdefault(rating.method, dict.fromkeys(VERDICTS, 0))
            mine[rating.verdict] += 1
        return RatingList(found, counts)

    def _select(self, where: sa.ColumnElement[bool]) -> tuple[Rating, ...]:
        query = sa.select(ratings, cases.c.number.label("case_number"))
        query = query.join(cases, cases.c.id == ratings.c.case_id).where(where)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(ratings.c.number)).all()
        return tuple(_rating(row) for row in rows)


def read_ratings(folder: Path) -> RatingList:
    """Of a folder of cases, also while a server runs on it; nothing in it is changed.

    Raises:
        StoreError: there are no cases, or they cannot be read.
    """
    path = folder / DATABASE
    engine, schema = open_to_read(path)
    try:
        # Before schema 3 nobody was asked.
        return RatingBook(engine).every() if schema >= RATED_SINCE else RatingList((), {})
    except sa.exc.SQLAlchemyError as err:
        raise unreadable(path, err) from err
    finally:
        engine.dispose()


def as_csv(found: RatingList) -> bytes:
    """One line a rating, UTF-8."""
    stream = io.StringIO()
    lines = csv.writer(stream, lineterminator="\r\n")
    lines.writerow(COLUMNS)
    lines.writerows([getattr(rating, name) for name in COLUMNS] for rating in found.ratings)
    return stream.getvalue().encode("utf-8")


def _rating(row: Any) -> Rating:
    return Rating(
        case=row.case_id,
        number=row.case_number,
        method=row.method,
        label=row.label,
        verdict=row.verdict,
        model=row.model,
        artifact_sha256=row.artifact_sha256,
        rated=row.rated,
    )
