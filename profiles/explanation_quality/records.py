"""What is asked about explanations, what one film tells, and what all of them tell."""

from dataclasses import dataclass
from typing import Literal

from ...runtime.figures import Figure
from ..evaluation import Ran, Wanted

SCHEMA = 1
# Boxes that somebody drew, or, for a network that draws masks, the true masks.
RegionKind = Literal["boxes", "masks"]


@dataclass(frozen=True)
class Bounds:
    """What the measurement may cost.

    Attributes:
        films: positive films, at most; drawn by a hash of the patient, the same every time.
        per_patient: films of one patient, at most.
        steps: points of the deletion and insertion curves; 2 * (steps - 1) runs of the network a
            film and method.
        passes: of score-cam and rise; 0: their own.
    """

    films: int = 24
    per_patient: int = 1
    steps: int = 16
    passes: int = 0


USUAL = Bounds()


@dataclass(frozen=True)
class Likeness:
    """How like a map is to another of the same film and method."""

    rank: float
    ssim: float


@dataclass(frozen=True)
class RegionTold:
    """`RegionFigures` of one film."""

    mass: float
    hit: bool
    area: float


@dataclass(frozen=True)
class MapFigures:
    """One method on one film.

    Attributes:
        flat: the map is empty; then only the curves and likenesses are told.
        deletion, insertion: areas under the curves, 0..1.
        lungs, box: None where the film has no such region.
        random: the map of the twin with shuffled weights; None where there is no twin.
        float_map: the map of the FP32 artifact of the same format; None for FP32 itself.
    """

    method: str
    flat: bool
    deletion: float
    insertion: float
    lungs: RegionTold | None
    box: RegionTold | None
    random: Likeness | None
    float_map: Likeness | None


@dataclass(frozen=True)
class FilmFigures:
    """Every method on one film; `reason` says why there is none, "" where there are some.

    `ends`: the probability of the class on the film whole, all deleted, and blurred.
    """

    film: str
    patient: str
    maps: tuple[MapFigures, ...]
    reason: str = ""
    ends: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class MethodQuality:
    """One method of one artifact on all films, 95 % intervals by patients.

    Attributes:
        flat: films on which the map is empty; they count in the curves alone.
        gain: insertion less deletion, -1..1.
        lung_mass, lung_hits, box_mass, box_hits: share of the map inside the region, and of films
            whose strongest place lies there; None where no film has the region.
        random_rank: mean magnitude of the rank correlation with the map of the shuffled twin; near
            1 the map does not show what was learned. None: not measured.
        float_rank, float_ssim: likeness to the FP32 artifact's maps.
    """

    method: str
    source: str
    passes: int
    films: int
    flat: int
    deletion: Figure
    insertion: Figure
    gain: Figure
    lung_mass: Figure | None
    lung_hits: Figure | None
    box_mass: Figure | None
    box_hits: Figure | None
    random_rank: Figure | None
    random_ssim: Figure | None
    float_rank: Figure | None
    float_ssim: Figure | None


@dataclass(frozen=True)
class NotMeasured:
    """A method, or a check, that was left out, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Choice:
    """The method that the rule picks, by what, and what happened to the others."""

    method: str
    why: str
    others: tuple[NotMeasured, ...]


@dataclass(frozen=True)
class ArtifactQuality:
    """All methods of one artifact on one part of one data folder.

    Attributes:
        label: the class explained.
        lungs, boxes: whose regions, in words; "" where none were given.
        lung_area, box_area: mean share of what the network was shown that the region covers: the
            mass that a map without any preference would have; None where no film has the region.
        whole, deleted, blurred: mean probability of the class on the films as they are, all deleted
            (one grey), and blurred; a class that one grey is taken for makes deletion tell little.
        float_artifact: what INT8 maps are compared with, "" for FP32 itself.
        twin: what was shuffled, in words; "" where there is no twin.
        no_map: films without a map (no lungs found), by reason.
        choice: what the rule would pick on these films; a bundle's own is fixed when it is made.
            None for masks: the rule is about classes.
        region_kind: what `boxes`, `box_area` and the methods' box figures are about.
    """

    data: str
    part: Wanted
    ran: Ran
    label: str
    bounds: Bounds
    films: int
    patients: int
    lungs: str
    boxes: str
    lung_area: float | None
    box_area: float | None
    whole: Figure | None
    deleted: Figure | None
    blurred: Figure | None
    float_artifact: str
    twin: str
    methods: tuple[MethodQuality, ...]
    not_measured: tuple[NotMeasured, ...]
    no_map: tuple[NotMeasured, ...]
    choice: Choice | None
    date: str
    region_kind: RegionKind = "boxes"


@dataclass(frozen=True)
class QualityRecord:
    """`measurements/HASH-explanations.json`: one entry a data folder and part."""

    schema: int
    artifact: str
    artifact_sha256: str
    entries: tuple[ArtifactQuality, ...]
