"""A card's masks beside what others published of the architecture, on data of another kind."""

from ....runtime.figures import Figure, MaskAccuracy
from ...zoo import published
from .card import Card

Range = tuple[float, float]
_CAPTION = (
    "Shares, with 95 % intervals from resampling patients where there are any. Ours: Dice and "
    "tumour IoU are means over films with a mask, the others are over all pixels, at the "
    "network's own size; how the published ones average is not known to us."
)
_NAMES = {
    "pixel_accuracy": "pixel accuracy",
    "mean_iou": "mean IoU of tumour and background",
    "iou": "tumour IoU",
    "dice": "Dice",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
}


def _ours(figures: MaskAccuracy, name: str) -> str:
    found: Figure | float | None = getattr(figures, name)
    if isinstance(found, Figure):
        return _share(found.value, (found.low, found.high))
    return _share(found, getattr(figures, f"{name}_range"))


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
    for name, words in _NAMES.items():
        cells = [_ours(row.figures, name) for row in card.masks]
        lines.append(f"| {words} | {' | '.join(cells)} | {getattr(theirs, name):.4f} |")
    return {theirs.note: [*lines, ""]}


def _share(value: float | None, limits: Range | None = None) -> str:
    if value is None:
        return "not measured"
    return f"{value:.4f}" + (f" ({limits[0]:.4f}-{limits[1]:.4f})" if limits else "")
