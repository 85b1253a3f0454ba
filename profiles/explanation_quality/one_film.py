"""Every method of one artifact on one film."""

from collections.abc import Callable
from dataclasses import dataclass

from ...runtime.explanations import MapRequest
from ...runtime.predictions import Explanation
from ...runtime.predictor import ModelPredictor
from ..hiding import Bools
from .curves import Ends, Score, Tensor, curves, ends
from .looking import Look
from .records import Bounds, Likeness, MapFigures, RegionTold
from .regions import RegionFigures, against
from .similarity import rank_correlation, ssim


@dataclass(frozen=True, eq=False)
class Networks:
    """The network that is judged, and those that its maps are compared with.

    Attributes:
        random: its twin with shuffled weights, None where it cannot be made.
        floats: the FP32 network of the same format, None for FP32 itself.
    """

    judged: ModelPredictor
    random: ModelPredictor | None
    floats: ModelPredictor | None


@dataclass(frozen=True, eq=False)
class Regions:
    """What is known of a film: bool (H, W) each, None where it is not."""

    lungs: Bools | None
    box: Bools | None


def film_figures(
    networks: Networks,
    seen: Look,
    known: Regions,
    asked: tuple[tuple[str, ...], str, Bounds],
    told: Callable[[], None] = lambda: None,
) -> tuple[tuple[MapFigures, ...], tuple[float, float, float]]:
    """Measure; also the probability of the class on the film whole, deleted and blurred.

    Args:
        asked: methods, the class, and the bounds.
        told: called after each method.
    """
    methods, label, bounds = asked
    tensor, score = _score(networks.judged, seen, label)
    shown = ends(tensor, score)
    found = []
    for method in methods:
        request = MapRequest(method, label, bounds.passes)
        found.append(_one(networks, seen, known, request, (shown, score, bounds.steps)))
        told()
    return tuple(found), shown.scores


def _score(network: ModelPredictor, seen: Look, label: str) -> tuple[Tensor, Score]:
    tensor = network.tensor(seen.shown)
    target = network.target(label, network.run_tensor(tensor))
    return tensor, lambda view: target.score(network.run_tensor(view))


def _one(
    networks: Networks,
    seen: Look,
    known: Regions,
    request: MapRequest,
    curve: tuple[Ends, Score, int],
) -> MapFigures:
    network = networks.judged
    found = seen.map(network, request)
    shown, score, steps = curve
    drawn = curves(found.map, shown, score, steps)
    laid = seen.laid(found, network)

    def told(region: Bools | None) -> RegionTold | None:
        figures = None if region is None else against(laid, region, seen.region)
        return None if figures is None else _told(figures)

    def like(other: ModelPredictor | None) -> Likeness | None:
        return None if other is None else _likeness(found, seen.map(other, request), network)

    return MapFigures(
        method=found.method,
        flat=found.sign == 0,
        deletion=drawn.deletion_area,
        insertion=drawn.insertion_area,
        lungs=told(known.lungs),
        box=told(known.box),
        random=like(networks.random),
        float_map=like(networks.floats),
    )


def _told(figures: RegionFigures) -> RegionTold:
    return RegionTold(figures.mass, figures.hit, figures.area)


def _likeness(one: Explanation, other: Explanation, network: ModelPredictor) -> Likeness:
    size = (network.input.height, network.input.width)
    return Likeness(rank_correlation(one.map, other.map), ssim(one.map, other.map, size))
