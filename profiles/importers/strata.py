"""Parts for a set that names no patients: blocks kept whole, each kind of film in every part.

A hash of a few hundred blocks can leave a rare kind without a film in a part. The parts are written
into the manifest and stay as they are.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace

from ...runtime.figures import Part
from ..datasets import BETWEEN_FINDINGS
from ..placing import PART_COLUMN, place
from ..splits import stratified_parts
from .found import Found, Row

_OWN_PARTS: tuple[Part, ...] = ("train", "select", "guard", "test")
NOTES = (
    "parts are stratified and stand in the column part of the manifest; the same films give the "
    "same parts, other films may give others: keep the manifest of a folder that trained a model",
    "weights that were trained by the fixed hash of the blocks have seen films of every part here "
    "and are refused on them; import with --split hash to evaluate those",
)


def row_key(row: Row) -> str:
    """The patient key of a row, or of its block."""
    return _placed(row)[0]


def row_part(row: Row) -> Part:
    """The part of a row, as the manifest's readers will take it."""
    return _placed(row)[1]


def _placed(row: Row) -> tuple[str, Part]:
    patient = row.values.get("patient") or row.values.get("block") or ""
    at = place(row.values, patient, row.values["origin"], str(row.film))
    return at.key, at.part


def groups_of(row: Row, column: str) -> tuple[str, ...]:
    """The values of a column that may hold several; "none" where it is empty."""
    return tuple(value or "none" for value in row.values[column].split(BETWEEN_FINDINGS))


def with_parts(found: Found) -> Found:
    """The same films with a column part, stratified by the column that the report counts."""
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for row in found.rows:
        held[row_key(row)].update(groups_of(row, found.group))
    parts = stratified_parts(held)
    rows = tuple(
        replace(row, values={**row.values, PART_COLUMN: parts[row_key(row)]}) for row in found.rows
    )
    columns = (*found.columns, PART_COLUMN)
    return replace(found, columns=columns, rows=rows, notes=(*found.notes, *NOTES))


def missing_kinds(found: Found) -> Iterator[str]:
    """Says which kinds of film a part lacks."""
    seen: dict[str, set[Part]] = defaultdict(set)
    for row in found.rows:
        for kind in groups_of(row, found.group):
            seen[kind].add(row_part(row))
    for part in _OWN_PARTS:
        lacking = sorted(kind for kind, parts in seen.items() if part not in parts)
        if lacking:
            yield f"no film in part {part}: {', '.join(lacking)}"
