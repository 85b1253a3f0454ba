"""From finished conversions to the rows of the matrix."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..models import zoo
from ..models.chest import LUNG_CROP, ON_LUNGS
from ..profiles.box_metrics import BoxFigures
from ..profiles.evaluation import EvaluationReport
from ..runtime.figures import Accuracy, BoxAccuracy, Figure
from ..runtime.manifest import Artifact
from ..runtime.spec import Task
from .films import PHANTOMS
from .matrix_records import Cell, CellParity, Measured, Row
from .options import Conversion
from .pipelines import CASCADES, LESIONS, is_pipeline, members_of
from .recipes import Recipe, usual

Latencies = Mapping[tuple[str, str], float | str]
NOT_TIMED = "not asked for (--threads 0)"


def empty_row(name: str, recipes: tuple[Recipe, ...], state: str, reason: str) -> Row:
    """A row of which nothing could be made."""
    kind = "missing" if state == "missing" else "failed"
    cells = tuple(Cell(r.format, r.precision, kind, reason) for r in recipes)  # type: ignore[arg-type]
    pipeline = is_pipeline(name)
    members = members_of(name) if pipeline else ()
    return Row(name, _task(name), "pipeline" if pipeline else "model", members, cells)


def _task(name: str) -> Task:
    if name in CASCADES:
        return "classification"
    if name in LESIONS:
        return "segmentation"
    plain = name.removesuffix(ON_LUNGS)
    return zoo.spec(plain + LUNG_CROP if plain != name else name).task


def model_row(done: Conversion, recipes: tuple[Recipe, ...], latencies: Latencies) -> Row:
    """The row of a model's bundle."""
    made = {a.id: a for a in done.manifest.artifacts}
    failed = {f.artifact: f.reason for f in done.failed}
    name = done.manifest.name
    cells = []
    for recipe in recipes:
        artifact = made.get(recipe.artifact_id)
        if artifact is None:
            reason = failed.get(recipe.artifact_id, "not asked for")
            cells.append(Cell(recipe.format, recipe.precision, "failed", reason))
            continue
        found = latencies.get((name, artifact.id), NOT_TIMED)
        cells.append(_timed(_made(recipe, artifact), found))
    return Row(name, done.manifest.task, "model", (), tuple(cells), done.notes)


def _timed(cell: Cell, latency: float | str) -> Cell:
    if isinstance(latency, str):
        return replace(cell, latency_note=latency)
    return replace(cell, latency_ms=latency)


def _made(recipe: Recipe, artifact: Artifact) -> Cell:
    p = artifact.parity
    parity = CellParity(p.max_abs_difference, p.cosine, p.decision_agreement, p.n_films, p.data)
    return Cell(
        recipe.format,
        recipe.precision,
        "made",
        bytes=artifact.bytes,
        parity=parity,
        figures=tuple(_figures(artifact)),
        figures_note=_figures_note(artifact),
    )


def _figures_note(artifact: Artifact) -> str:
    if artifact.accuracy or artifact.masks or artifact.boxes:
        return ""
    data = artifact.parity.data
    if data == PHANTOMS:
        return "no data folder of this model was found; phantom films are not labelled"
    return f"{data}, guard: no label is on some films and missing on others"


def _figures(artifact: Artifact) -> Iterator[Measured]:
    for one in artifact.accuracy:
        where = f"{one.data}, {one.part}"
        yield from _of_labels(one, one.label, where)
    for mask in artifact.masks:
        where = f"{mask.data}, {mask.part}"
        yield Measured("Dice", "", where, mask.dice)
        yield Measured("IoU", "", where, mask.iou)
        if mask.false_alarms is not None:
            yield Measured("false alarms", "", where, mask.false_alarms)
    for box in artifact.boxes:
        yield from _of_boxes(box, box.label, f"{box.data}, {box.part}")


def _of_boxes(found: BoxAccuracy | BoxFigures, label: str, where: str) -> Iterator[Measured]:
    yield Measured("AP50", label, where, found.ap50)
    yield Measured("recall", label, where, found.recall)


def _of_labels(found: Accuracy, label: str, where: str) -> Iterator[Measured]:
    named: tuple[tuple[str, Figure], ...] = (
        ("accuracy", found.accuracy),
        ("sensitivity", found.sensitivity),
        ("specificity", found.specificity),
        ("AUC", found.auc),
    )
    for name, figure in named:
        yield Measured(name, label, where, figure)


def pipeline_row(done: Conversion, rows: Mapping[str, Row]) -> Row:
    """The row of a pipeline from those of its models; the first model that decides stands for
    parity and accuracy."""
    names = members_of(done.manifest.name)
    members = [rows[name] for name in names]
    deciding = rows[_deciding(names)]
    cells = tuple(
        _together(cell, [m.cells[i] for m in members], names)
        for i, cell in enumerate(deciding.cells)
    )
    notes = (f"parity and guard figures are of {deciding.name}",)
    return Row(done.manifest.name, done.manifest.task, "pipeline", names, cells, notes)


def _deciding(names: tuple[str, ...]) -> str:
    """The first model that is not the lungs'."""
    return next((n for n in names if n.endswith(LUNG_CROP)), names[0])


def _together(deciding: Cell, parts: list[Cell], names: tuple[str, ...]) -> Cell:
    broken = [(n, c) for n, c in zip(names, parts, strict=True) if c.state != "made"]
    if broken:
        reason = "; ".join(f"{n}: {c.reason}" for n, c in broken)
        return Cell(deciding.format, deciding.precision, "failed", reason)
    times = [c.latency_ms for c in parts if c.latency_ms is not None]
    whole = len(times) == len(parts)
    return replace(
        deciding,
        bytes=sum(c.bytes or 0 for c in parts),
        latency_ms=sum(times) if whole else None,
        latency_note="; ".join(
            f"{n}: {c.latency_note}" for n, c in zip(names, parts, strict=True) if c.latency_note
        ),
    )


def with_evaluation(row: Row, report: EvaluationReport) -> Row:
    """The row with what its artifacts decided on the parts that steered nothing."""
    found: dict[str, list[Measured]] = {}
    for part in report.parts:
        where = f"{report.data}, {part.part}"
        for one in part.rows:
            f = one.figures
            figures = (("accuracy", f.accuracy), ("AUC", f.auc))
            found.setdefault(one.artifact, []).extend(
                Measured(name, one.label, where, figure) for name, figure in figures
            )
        for mask in part.masks:
            found.setdefault(mask.artifact, []).append(
                Measured("Dice", "", where, mask.figures.dice)
            )
        for box in part.boxes:
            found.setdefault(box.artifact, []).extend(_of_boxes(box.figures, box.label, where))
    cells = tuple(
        replace(c, figures=(*c.figures, *_found(c, found))) if c.state == "made" else c
        for c in row.cells
    )
    return replace(row, cells=cells)


def _found(cell: Cell, found: Mapping[str, list[Measured]]) -> list[Measured]:
    """By the artifact's id; evaluations may name the precision without the recipe."""
    recipe = usual(cell.format, cell.precision)
    for key in (recipe.artifact_id, f"{cell.format}/{cell.precision}"):
        if key in found:
            return found[key]
    return []
