"""Writing what an importer found: masks and copies first, the manifest last and at once."""

import csv
import io
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from ...runtime.errors import DataError, OutputError
from ...runtime.figures import Part
from ...runtime.files import folder_atomic, write_atomic
from ..datasets import MANIFEST, PARTS
from ..measure import Progress
from .found import Bad, Drawing, Found
from .strata import groups_of, row_key, row_part

MASKS = "masks"
BOXES = "boxes.csv"
_BOX_COLUMNS = ("file", "label", "x1", "y1", "x2", "y2", "width", "height")
_SHOWN = 5


@dataclass(frozen=True)
class GroupCount:
    """How many films of a label or finding fell into a part."""

    group: str
    part: Part
    n_films: int


@dataclass(frozen=True)
class ImportReport:
    """What was written. `left_out`: files that were not taken, and why."""

    kind: str
    manifest: str
    n_films: int
    n_patients: int
    copied: bool
    groups: tuple[GroupCount, ...]
    left_out: tuple[Bad, ...]
    notes: tuple[str, ...]


def refuse_bad(found: Found) -> None:
    """Stop where a file cannot be taken.

    Raises:
        DataError: names the first of them.
    """
    if found.bad:
        shown = "; ".join(f"{b.file}: {b.reason}" for b in found.bad[:_SHOWN])
        more = f"; and {len(found.bad) - _SHOWN} more" if len(found.bad) > _SHOWN else ""
        raise DataError(
            f"{len(found.bad)} files of {found.root} cannot be taken: {shown}{more}. Nothing was "
            "written. Repair the folder, or leave them out with --skip-bad."
        )


def refuse_place(found: Found, out: Path, copy: bool, replace: bool) -> None:
    """Stop before anything is written where `out` does not fit.

    Raises:
        OutputError: films would lie outside it, or it holds other files.
    """
    if copy:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise OutputError(
                f"{out} is there already; copies need a new or an empty folder. Choose another or "
                "remove it."
            )
        return
    if not found.root.resolve().is_relative_to(out.resolve()):
        raise OutputError(
            f"the films lie in {found.root}, outside of {out}, and a manifest names no film "
            "outside its own folder. Write into the folder of the films, or add --copy."
        )
    taken = [p for p in (out / MANIFEST, out / MASKS, out / BOXES) if p.exists()]
    if taken and not replace:
        raise OutputError(
            f"{taken[0]} is there already; expected {out} without it. Add --replace to write it "
            "anew, or choose another folder."
        )


def write(kind: str, found: Found, out: Path, copy: bool, progress: Progress) -> ImportReport:
    """Write manifest.csv, masks and boxes into `out`, and the films where they are copied.

    A folder of copies appears whole or not at all; else the manifest is written last, so that
    without it nothing counts.

    Raises:
        OutputError: `out` cannot be written.
    """
    with _target(out, copy) as folder:
        base = found.root if copy else out.resolve()
        files = {row.film: _name(row.film, base, found.root) for row in found.rows}
        if copy:
            _copy(files, folder, progress)
        masks = _draw(found, files, folder, progress)
        if found.boxes:
            write_atomic(folder / BOXES, _boxes(found, files))
        write_atomic(folder / MANIFEST, _manifest(found, files, masks))
    return ImportReport(
        kind=kind,
        manifest=str(out / MANIFEST),
        n_films=len(found.rows),
        n_patients=len({row_key(row) for row in found.rows}),
        copied=copy,
        groups=tuple(_groups(found)),
        left_out=found.bad,
        notes=found.notes,
    )


@contextmanager
def _target(out: Path, copy: bool) -> Iterator[Path]:
    with folder_atomic(out) if copy else nullcontext(out) as folder:
        yield folder


def _name(film: Path, base: Path, root: Path) -> str:
    if base == root:
        return film.relative_to(root).as_posix()
    return (root.resolve() / film.relative_to(root)).relative_to(base).as_posix()


def _copy(files: Mapping[Path, str], folder: Path, progress: Progress) -> None:
    for number, (film, name) in enumerate(files.items()):
        progress(number, len(files), "copying films")
        target = folder / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(film, target)
        except OSError as err:
            raise OutputError(f"cannot copy {film} to {target}: {err.strerror or err}.") from err


def _draw(
    found: Found, files: Mapping[Path, str], folder: Path, progress: Progress
) -> dict[Path, str]:
    """Mask files of the rows that have a drawing, in a folder that appears at once."""
    drawn = [row for row in found.rows if row.drawing is not None]
    if not drawn:
        return {}
    names = {}
    with folder_atomic(folder / MASKS) as masks:
        for number, row in enumerate(drawn):
            progress(number, len(drawn), "drawing masks")
            name = Path(files[row.film]).with_suffix(".png").name
            if row.drawing is not None:
                write_atomic(masks / name, _png(row.drawing))
            names[row.film] = f"{MASKS}/{name}"
    return names


def _png(drawing: Drawing) -> bytes:
    """The mask as PNG: 255 inside any shape, its outline included, as LabelMe draws it; else 0."""
    from PIL import Image, ImageDraw

    image = Image.new("L", drawing.size, 0)
    pen = ImageDraw.Draw(image)
    for shape in drawing.shapes:
        if shape.kind == "polygon":
            pen.polygon(shape.points, fill=255, outline=255)
        else:
            (x0, y0), (x1, y1) = shape.points
            pen.rectangle((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), fill=255)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _manifest(found: Found, files: Mapping[Path, str], masks: Mapping[Path, str]) -> bytes:
    columns = ("file", *(("mask",) if masks else ()), *found.columns)
    lines = []
    for row in found.rows:
        names = (files[row.film], *((masks[row.film],) if masks else ()))
        lines.append((*names, *(row.values[c] for c in found.columns)))
    return _csv(columns, lines)


def _boxes(found: Found, files: Mapping[Path, str]) -> bytes:
    lines = [
        (files[b.film], b.label, *(f"{v:.1f}" for v in b.corners), *b.size) for b in found.boxes
    ]
    return _csv(_BOX_COLUMNS, lines)


def _csv(columns: tuple[str, ...], lines: list[tuple[str, ...]]) -> bytes:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(lines)
    return stream.getvalue().encode("utf-8")


def _groups(found: Found) -> Iterator[GroupCount]:
    counts: Counter[tuple[str, Part]] = Counter()
    for row in found.rows:
        for group in groups_of(row, found.group):
            counts[group, row_part(row)] += 1
    for group in sorted({group for group, _ in counts}):
        for part in PARTS:
            if counts[group, part]:
                yield GroupCount(group, part, counts[group, part])
