"""The report's figures as rows of words, for the page and the terminal alike."""

from collections.abc import Sequence

from ...runtime.figures import Figure
from .records import ArtifactQuality, MethodQuality, RegionKind

NONE = "not measured"
# Heading, and whether larger is better (None: neither).
COLUMNS: tuple[tuple[str, str], ...] = (
    ("method", ""),
    ("deletion", "area under the curve, small is good"),
    ("insertion", "area under the curve, large is good"),
    ("gain", "insertion less deletion, large is good"),
    ("in lungs", "share of the map inside the lungs, large is good"),
    ("peak in lungs", "films whose strongest place lies inside the lungs"),
    ("in boxes", "share of the map inside the boxes, large is good"),
    ("peak in boxes", "films whose strongest place lies inside a box (pointing game)"),
    ("shuffled weights", "rank correlation with the map of shuffled weights, small is good"),
    ("like FP32, rank", "rank correlation with the FP32 artifact's map"),
    ("like FP32, SSIM", "structural similarity with the FP32 artifact's map"),
    ("empty", "films on which the map is empty"),
)


def heading(column: int, kind: RegionKind = "boxes") -> tuple[str, str]:
    """A column's heading and what it means, where its regions are of that kind."""
    name, meaning = COLUMNS[column]
    if kind == "boxes":
        return name, meaning
    words = {"in boxes": "in masks", "peak in boxes": "peak in masks"}
    meaning = meaning.replace("the boxes", "the true masks").replace("a box", "the true mask")
    return words.get(name, name), meaning


def row(m: MethodQuality) -> tuple[str, ...]:
    """One method's cells, in the order of COLUMNS."""
    figures = (
        m.deletion,
        m.insertion,
        m.gain,
        m.lung_mass,
        m.lung_hits,
        m.box_mass,
        m.box_hits,
        m.random_rank,
        m.float_rank,
        m.float_ssim,
    )
    return (m.method, *(cell(f) for f in figures), f"{m.flat} of {m.films}")


def used(methods: Sequence[MethodQuality]) -> tuple[int, ...]:
    """The columns in which any method has a figure."""
    rows = [row(m) for m in methods]
    return tuple(k for k in range(len(COLUMNS)) if any(r[k] != NONE for r in rows))


def cell(figure: Figure | None) -> str:
    """A figure with its interval."""
    if figure is None:
        return NONE
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def title(found: ArtifactQuality) -> str:
    """What was measured on what."""
    return (
        f"{found.ran.artifact} ({found.ran.compute}), maps for {found.label} on {found.data}, part "
        f"{found.part}: {found.films} films of {found.patients} patients"
    )


def regions(found: ArtifactQuality) -> tuple[str, ...]:
    """Whose regions, and the share that a map without preference would have inside."""
    told = []
    for name, source, area in (
        ("lungs", found.lungs, found.lung_area),
        (found.region_kind, found.boxes, found.box_area),
    ):
        if source and area is not None:
            told.append(
                f"{name}: {source}; they cover {area:.3f} of what the network is shown, the share "
                "of a map without preference"
            )
    return tuple(told)


def warnings(found: ArtifactQuality) -> tuple[str, ...]:
    """What makes the figures weak, or the maps."""
    told = []
    if found.deleted is not None and found.deleted.value >= 0.5:
        told.append(
            f"one grey all over is itself scored {found.deleted.value:.2f} for {found.label}: "
            "deletion tells little here"
        )
    for name, area, masses in (
        ("lungs", found.lung_area, {m.method: m.lung_mass for m in found.methods}),
        (found.region_kind, found.box_area, {m.method: m.box_mass for m in found.methods}),
    ):
        poor = [
            method
            for method, mass in masses.items()
            if area is not None and mass is not None and mass.value < area
        ]
        if poor:
            told.append(
                f"less of the map is inside the {name} than without any preference: "
                f"{', '.join(poor)}"
            )
    return tuple(told)
