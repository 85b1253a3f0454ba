"""The report as one page that needs nothing else: tables, pictures, and what they mean."""

from collections.abc import Iterator
from html import escape
from pathlib import Path

from ...runtime.explanations.words import CAUTION as WEAK
from ...runtime.files import write_atomic
from ...runtime.predictions import CAUTION
from ...runtime.records import dump_bytes
from ..audit_bundle import AuditReport
from .page_style import STYLE
from .pictures import FilmRow, Shown
from .records import ArtifactQuality
from .reporting import ExplainReport
from .tables import cell, heading, regions, row, title, used, warnings

NAME = "explain-report"
RULE = (
    "The rule that picks a bundle's default method when it is made, on films of the part guard: "
    "of the methods that need no further runs of the network, those are left out whose map stays "
    "when the weights are shuffled (mean rank correlation above .5), that are empty on more than "
    "half of the films, or whose insertion less deletion is worse than the best one's (by more "
    "than .02, 95 % interval of the paired difference below zero); of the rest, the largest share "
    "inside the lungs wins."
)
READING = (
    "Deletion and insertion: Petsiuk et al. 2018; pixels go to the mean of the input, or come into "
    "a blurred copy. Pointing game: Zhang et al. 2016. Shuffled weights: after Adebayo et al. "
    "2018; every layer's weights are permuted within the layer. SSIM: Wang et al. 2004. Intervals: "
    "95 %, from resampling patients. Films have the finding by their label; the maps do not know "
    "it."
)


def write_report(
    report: ExplainReport, rows: tuple[FilmRow, ...], folder: Path
) -> tuple[Path, ...]:
    """explain-report.html and explain-report.json in the folder.

    Raises:
        OutputError: the folder cannot be written.
    """
    files = {"html": page(report, rows).encode("utf-8"), "json": dump_bytes(report)}
    paths = []
    for ending, data in files.items():
        paths.append(folder / f"{NAME}.{ending}")
        write_atomic(paths[-1], data)
    return tuple(paths)


def page(report: ExplainReport, rows: tuple[FilmRow, ...]) -> str:
    """The whole page."""
    name = escape(report.model)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>Explanations of {name}</title><style>{STYLE}</style>",
        f"<h1>Explanations of {name}</h1>",
        f"<p class=caution>{escape(CAUTION[0].upper() + CAUTION[1:])}. {escape(WEAK['en'])}</p>",
        f"<p>{escape(_about(report))}</p>",
        *(block for found in report.artifacts for block in _artifact(found)),
        *_pictures(rows),
        *_audit(report.audit),
        f"<h2>How to read this</h2><p>{escape(READING)}</p><p>{escape(RULE)}</p>",
        *(f"<p class=note>{escape(note)}</p>" for note in report.notes),
        *(f"<p class=note>{escape(f'{s.artifact}: {s.reason}')}</p>" for s in report.skipped),
        "</html>",
    ]
    return "\n".join(parts)


def _about(report: ExplainReport) -> str:
    machine = report.machine
    return (
        f"Bundle {report.bundle_id[:12]}…, explained with {report.method} where nothing is asked "
        f"for. {report.date}, {machine.processor} ({machine.architecture})."
    )


def _artifact(found: ArtifactQuality) -> Iterator[str]:
    yield f"<h2>{escape(title(found))}</h2>"
    columns = used(found.methods)
    yield "<div class=wide><table><thead><tr>"
    heads = [heading(k, found.region_kind) for k in columns]
    yield "".join(f"<th title='{escape(m, quote=True)}'>{escape(h)}" for h, m in heads)
    yield "<tbody>"
    for method in found.methods:
        cells = row(method)
        winner = found.choice is not None and found.choice.method == method.method
        mark = " class=winner" if winner else ""
        head = f"<th title='{escape(method.source, quote=True)}'>{escape(cells[0])}"
        yield f"<tr{mark}>{head}" + "".join(_cell(cells[k]) for k in columns if k)
    yield "</table></div><ul>"
    if found.choice is not None:
        said = f"On these films the rule would pick {found.choice.method}: {found.choice.why}."
        yield f"<li>{escape(said)}"
        yield from (f"<li>{escape(f'not {o.what}: {o.why}')}" for o in found.choice.others)
    yield from (f"<li><b>{escape(text)}</b>" for text in warnings(found))
    yield from (f"<li>{escape(text)}" for text in regions(found))
    if found.twin:
        yield f"<li>shuffled weights: {escape(found.twin)}"
    if found.float_artifact:
        yield f"<li>FP32 maps: of {escape(found.float_artifact)}"
    yield from (f"<li>not measured, {escape(f'{n.what}: {n.why}')}" for n in found.not_measured)
    yield from (f"<li>without a map: {escape(f'{n.what}: {n.why}')}" for n in found.no_map)
    yield "</ul>"


def _cell(text: str) -> str:
    """A figure, its interval small and on a line of its own where there is no room beside it."""
    value, found, interval = text.partition(" (")
    return f"<td>{escape(value)}" + (f" <small>({escape(interval)}</small>" if found else "")


def _pictures(rows: tuple[FilmRow, ...]) -> Iterator[str]:
    if not rows:
        return
    yield "<h2>Side by side</h2><p>Lungs outlined green, boxes or true masks blue. Below each "
    yield "film's maps those of the same network with shuffled weights: a good map is gone "
    yield "there.</p>"
    for film in rows:
        yield f"<section class=film><figure><img src='{film.picture}' alt='film with its regions'>"
        yield f"<figcaption>{escape(film.film)}</figcaption></figure>"
        yield "".join(_figure(m, m.sentence) for m in film.maps)
        if film.shuffled:
            yield "<p class=shuffled>shuffled weights</p>"
            yield "".join(_figure(m, "") for m in film.shuffled)
        yield "</section>"


def _figure(shown: Shown, sentence: str) -> str:
    return (
        f"<figure><img src='{shown.picture}' alt='{escape(shown.method, quote=True)} map'>"
        f"<figcaption><b>{escape(shown.method)}</b> {escape(sentence)}</figcaption></figure>"
    )


def _audit(report: AuditReport | None) -> Iterator[str]:
    yield "<h2>Shortcut audit</h2>"
    if report is None:
        yield (
            "<p>Not made for these artifacts. A map inside the lungs does not prove that the score "
            "comes from there; measure it: <code>clinicedge evaluate BUNDLE --data DIR "
            "--shortcut-audit</code>.</p>"
        )
        return
    for part in report.parts:
        said = f"{report.ran.artifact} on {report.data}, part {part.part}: {part.figures.n_films}"
        yield f"<p>{escape(said)} films; hidden behind {escape(report.fill)}.</p>"
        yield "<table><thead><tr><th>view<th>AUC<tbody>"
        for view in part.figures.views:
            yield f"<tr><th>{escape(view.view)}<td>{escape(cell(view.auc))}"
        yield "</table>"
