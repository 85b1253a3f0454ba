"""A card's masks beside what others published of the architecture, on data of another kind."""

from collections.abc import Callable

from ...runtime.figures import Figure, MaskAccuracy
from ..family import PublishedMasks
from ..zoo import published
from .card import Card

Range = tuple[float, float]
_CAPTION = (
    "Shares, with 95 % intervals from resampling patients where there are any. Ours: Dice and "
    "tumour IoU are means over films with a mask, the others are over all pixels, at the "
    "network's own size; how the published ones average is not known to us."
)
_ROWS: tuple[tuple[str, Callable[[MaskAccuracy], str], Callable[[PublishedMasks], float]], ...] = (
    ("pixel accuracy", lambda f: _share(f.pixel_accuracy), lambda p: p.pixel_accuracy),
    ("mean IoU of tumour and background", lambda f: _share(f.mean_iou), lambda p: p.mean_iou),
    ("tumour IoU", lambda f: _figure(f.iou), lambda p: p.iou),
    ("Dice", lambda f: _figure(f.dice), lambda p: p.dice),
    ("precision", lambda f: _share(f.precision, f.precision_range), lambda p: p.precision),
    ("recall", lambda f: _share(f.recall, f.recall_range), lambda p: p.recall),
    ("F1", lambda f: _share(f.f1), lambda p: p.f1),
)


def beside_published(card: Card) -> dict[str, list[str]]:
    """Lines of the table by the heading of its note; {} where there is none."""
    theirs = published(card.name)
    if theirs is None or not card.masks:
        return {}
    heads = [f"ours: {row.what}, {row.figures.dice.n} films with a mask" for row in card.masks]
    lines = [
        _CAPTION,
        "",
        f"| | {' | '.join(heads)} | {theirs.source} |",
        f"|---|{'---|' * (len(heads) + 1)}",
    ]
    for name, ours, of_theirs in _ROWS:
        cells = [ours(row.figures) for row in card.masks]
        lines.append(f"| {name} | {' | '.join(cells)} | {of_theirs(theirs):.4f} |")
    return {theirs.note: [*lines, ""]}


def _figure(figure: Figure) -> str:
    return _share(figure.value, (figure.low, figure.high))


def _share(value: float | None, limits: Range | None = None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.4f}" + (f" ({limits[0]:.4f}-{limits[1]:.4f})" if limits else "")
