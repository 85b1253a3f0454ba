"""Phantom films: drawn chest radiographs that belong to nobody.

For the page of a box without films, its quality-assurance image, acceptance films, and tests.
They imitate a young child's frontal chest film; no network was or may be trained on them.

Coordinates: `y` 0 at the top to 1 at the bottom, `x` in the same unit with 0 in the middle and
the patient's right side negative. Only additions, multiplications, divisions, square roots and
comparisons are used, which IEEE 754 fixes to the last bit: a phantom has the same pixels on
every machine.
"""

import io
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from .film import Film, FilmSource
from .phantom_shapes import (
    Plane,
    bars,
    bent,
    blobs,
    box_blur,
    capsule,
    curve,
    ellipse,
    grain,
    smooth,
    triangle,
)

Side = Literal["right", "left"]
Zone = Literal["upper", "middle", "lower"]
_ZONE_Y = {"upper": 0.34, "middle": 0.50, "lower": 0.66}


@dataclass(frozen=True)
class Phantom:
    """What to draw. Shares run 0..1; 1.0 is the usual child where nothing else is said.

    Attributes:
        seed: of texture, vessels and grain.
        height, width: pixels.
        opacity: how dense the consolidation is, 0 = none, 1 = no air left; haze comes with it.
        side, zone, extent: where it lies (patient's side) and its radius in film heights.
        haze: patchy shadows all over both lungs, 0..1.
        exposure: below 1 a pale film, above 1 a dark one.
        contrast: of the tone curve, about 0.7..1.3.
        rotation_deg: of the child on the table, -10..10.
        lung_size, heart_size, tissue, ribs: factors.
        noise: standard deviation of the grain, in grey levels 0..255.
        collimation: share of the film's half that the collimator hides at the left and right.
        marker: draw the R at the patient's right.
        pattern: draw the quality-assurance pattern over the lower edge.
    """

    seed: int = 0
    height: int = 288
    width: int = 384
    opacity: float = 0.0
    side: Side = "right"
    zone: Zone = "lower"
    extent: float = 0.17
    haze: float = 0.0
    exposure: float = 1.0
    contrast: float = 1.0
    rotation_deg: float = 0.0
    lung_size: float = 1.0
    heart_size: float = 1.0
    tissue: float = 1.0
    ribs: float = 1.0
    noise: float = 2.0
    collimation: float = 0.03
    marker: bool = True
    pattern: bool = False


@dataclass(frozen=True, eq=False)
class _Chest:
    """The frame that the parts are drawn in: coordinates and the lungs' borders, all (H, W)."""

    x: Plane
    y: Plane
    across: Plane
    outer: Plane
    dome: Plane
    lungs: Plane


def draw(phantom: Phantom) -> Film:
    """Draw it: uint8 (height, width), the same bits on every machine."""
    rng = np.random.Generator(np.random.PCG64(phantom.seed))
    x, y = _axes(phantom)
    chest = _chest(phantom, *_turned(x, y, phantom.rotation_deg))
    # Thickness of tissue, in units that make the mediastinum about 3.
    thick = _body(phantom, chest) * (1 - 0.77 * _air(phantom, chest, rng))
    thick = thick + _bones(phantom, chest) + _organs(phantom, chest) + _vessels(chest, rng)
    thick = box_blur(thick, max(1, phantom.height // 280))
    shade = thick / (thick + 1.18 * phantom.exposure)
    shade = 0.55 + (shade - 0.55) * (1.32 * phantom.contrast)
    shade = np.where(thick < 0.02, thick, np.clip(shade, 0.015, 0.985))
    shade = _frame(phantom, shade, x, y)
    grey = shade * 255.0 + grain(rng, shade.shape) * phantom.noise
    pixels = np.floor(np.clip(grey, 0.0, 255.0) + 0.5).astype(np.uint8)
    return Film(pixels, None, FilmSource("phantom", f"phantom-{phantom.seed}", notes=("drawn",)))


def encode_png(film: Film) -> bytes:
    """The film as PNG; the same Pillow and zlib make the same bytes."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(film.pixels).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def sample(seed: int) -> Phantom:
    """A phantom with everything varied; about half of them with a shadow of some density."""
    rng = np.random.Generator(np.random.PCG64((seed, 0x46494C4D)))

    def between(low: float, high: float) -> float:
        return low + (high - low) * int(rng.integers(0, 1001)) / 1000

    def one_of(*values: str) -> str:
        return values[int(rng.integers(0, len(values)))]

    ill = int(rng.integers(0, 2)) == 1
    side: Side = "right" if one_of("right", "left") == "right" else "left"
    zones: dict[str, Zone] = {"upper": "upper", "middle": "middle", "lower": "lower"}
    return Phantom(
        seed=seed,
        opacity=between(0.1, 1.0) if ill else 0.0,
        side=side,
        zone=zones[one_of(*zones)],
        extent=between(0.10, 0.30),
        haze=between(0.0, 1.0) if ill else between(0.0, 0.15),
        exposure=between(0.72, 1.25),
        contrast=between(0.8, 1.15),
        rotation_deg=between(-5.0, 5.0),
        lung_size=between(0.9, 1.06),
        heart_size=between(0.88, 1.22),
        tissue=between(0.85, 1.3),
        ribs=between(0.7, 1.3),
        noise=between(1.0, 4.0),
        collimation=between(0.0, 0.12),
    )


def gallery() -> tuple[tuple[str, Phantom], ...]:
    """The films that a box without films offers, by key."""
    base = Phantom(seed=11)
    clear = replace(base, exposure=1.12, heart_size=0.9, tissue=0.88)
    return (
        ("normal", clear),
        ("right-lower", replace(base, seed=12, opacity=1.0, haze=0.5, extent=0.22)),
        (
            "left-middle",
            replace(base, seed=13, opacity=1.0, side="left", zone="middle", haze=0.5, extent=0.2),
        ),
        ("diffuse", replace(base, seed=14, haze=1.0, opacity=0.5, rotation_deg=-3.0)),
        ("pale", replace(clear, seed=15, exposure=0.7, contrast=0.8, rotation_deg=2.0)),
        ("quality-pattern", replace(clear, seed=16, pattern=True)),
    )


def _axes(phantom: Phantom) -> tuple[Plane, Plane]:
    rows = (np.arange(phantom.height) + 0.5) / phantom.height
    columns = (np.arange(phantom.width) + 0.5 - phantom.width / 2) / phantom.height
    x, y = np.broadcast_arrays(columns[None, :], rows[:, None])
    return x, y


def _turned(x: Plane, y: Plane, degrees: float) -> tuple[Plane, Plane]:
    """Coordinates of the child, turned about the film's centre."""
    half = degrees * (0.017453292519943295 / 2)
    tangent = half + half * half * half / 3
    scale = 1 + tangent * tangent
    cosine, sine = (1 - tangent * tangent) / scale, 2 * tangent / scale
    down = y - 0.5
    return x * cosine + down * sine, 0.5 - x * sine + down * cosine


def _chest(phantom: Phantom, x: Plane, y: Plane) -> _Chest:
    """Borders of the lungs: rib cage outside, mediastinum inside, diaphragm below."""
    size = phantom.lung_size
    top, wide = 0.16, 0.84
    up = np.clip((wide - y) / (wide - top), -0.4, 1.0)
    outer = 0.465 * size * np.sqrt(1 - up * up)
    across = np.abs(x) / np.maximum(outer, 1e-3)
    centre = np.where(x < 0, -0.20, 0.21) * size
    away = (x - centre) / 0.24
    sideways = np.where(np.abs(x) > np.abs(centre), 0.075, 0.045)
    dome = np.where(x < 0, 0.745, 0.775) * (0.35 + 0.65 * size) + sideways * away * away
    inner = 0.070 + 0.025 * smooth((0.42 - y) / 0.25)
    lungs = (
        smooth((outer - np.abs(x)) / 0.085)
        * smooth((np.abs(x) - inner) / 0.10)
        * smooth((dome - y) / (0.022 + 0.06 * phantom.haze + 0.05 * phantom.opacity))
        * smooth((y - top) / 0.05)
    )
    return _Chest(x, y, across, outer, dome, lungs)


def _air(phantom: Phantom, chest: _Chest, rng: np.random.Generator) -> Plane:
    """How much of the body's depth is air, (H, W) 0..1, after what fills the lungs."""
    x, y = chest.x, chest.y
    shape = (phantom.height, phantom.width)
    # A consolidation of this kind seldom comes alone.
    haze = 1 - (1 - phantom.haze) * (1 - 0.6 * phantom.opacity)
    sign = -1.0 if phantom.side == "right" else 1.0
    low = 1.0 if phantom.zone == "lower" else 0.0
    cx, cy = sign * (0.235 + 0.02 * low) * phantom.lung_size, _ZONE_Y[phantom.zone]
    lumps = blobs(rng, shape, 7)
    fine = blobs(rng, shape, 22)
    distance = _distance(x - cx, 1.14 * (y - cy)) / phantom.extent
    patch = smooth((1.25 - distance + 0.7 * (lumps - 0.5) + 0.3 * (fine - 0.5)) / 0.8)
    patch = patch * np.where(x * sign > 0, 1.0, 0.0)
    # The shadow lies against the heart, and the other root answers with a weaker one.
    hilum = smooth(1.3 - _distance(x - sign * 0.12, y - 0.52) / 0.22)
    other = smooth(1.3 - _distance(x + sign * 0.14, y - 0.52) / 0.20)
    near_root = np.maximum(0.7 * hilum, 0.45 * other) * (0.6 + 0.4 * fine)
    solid = phantom.opacity * np.maximum(patch, near_root)
    centres = smooth(1.4 - np.abs(np.abs(x) - 0.14) / 0.32)
    clouds = haze * (0.38 + 0.45 * smooth(1.6 * blobs(rng, shape, 9) - 0.35)) * centres
    stripes = haze * 0.35 * smooth((blobs(rng, shape, 34) - 0.45) * 4) * centres
    filled = 1 - (1 - 0.92 * solid) * (1 - 0.95 * clouds) * (1 - 0.5 * stripes)
    trachea = curve(x, y, ((0.0, -0.05), (0.004, 0.16), (-0.004, 0.34)), 0.024)
    bubble = ellipse(x, y, (0.22, 0.90), (0.12, 0.05)) * 0.25
    texture = 0.92 + 0.08 * fine
    return np.maximum(chest.lungs * texture * (1 - filled), np.maximum(0.28 * trachea, bubble))


def _distance(x: Plane, y: Plane) -> Plane:
    return np.asarray(np.sqrt(x * x + y * y), np.float64)


def _body(phantom: Phantom, chest: _Chest) -> Plane:
    """Soft tissue of trunk, neck and arms."""
    x, y = chest.x, chest.y
    flank = 0.525 + 0.03 * smooth((y - 0.5) / 0.5) + 0.10 * smooth((0.36 - y) / 0.22)
    edge = np.clip(1 - (x / flank) * (x / flank), 0.0, 1.0)
    trunk = np.sqrt(np.sqrt(edge)) * (1.5 + 0.85 * smooth((y - chest.dome) / 0.05))
    trunk = trunk * (0.45 + 0.55 * smooth((y + 0.02) / 0.20))
    neck = 1.5 * np.sqrt(np.clip(1 - (x / 0.16) * (x / 0.16), 0.0, 1.0)) * smooth((0.2 - y) / 0.2)
    arms = np.zeros_like(trunk)
    for sign in (-1.0, 1.0):
        arms = np.maximum(arms, capsule(x, y, ((sign * 0.44, 0.10), (sign * 0.74, 0.30)), 0.12))
    return phantom.tissue * np.maximum(trunk, np.maximum(neck, 1.0 * np.sqrt(arms)))


def _bones(phantom: Phantom, chest: _Chest) -> Plane:
    """Ribs, spine, collar bones, shoulder blades, upper arms."""
    x, y = chest.x, chest.y
    level = y / 0.066
    waist = 0.050 + 0.008 * (1 - 2 * triangle(level))
    spine = smooth((waist - np.abs(x)) / 0.012)
    discs = smooth((0.24 - triangle(level)) / 0.16)
    stems = ellipse(np.abs(x), triangle(level), (0.030, 0.62), (0.011, 0.24))
    bones = spine * (0.50 - 0.26 * discs) + 0.30 * stems + _rib_cage(chest) * phantom.ribs
    for s in (-1.0, 1.0):
        collar = (
            *bent((s * 0.045, 0.19), (s * 0.13, 0.12), (s * 0.26, 0.135))[:-1],
            *bent((s * 0.26, 0.135), (s * 0.36, 0.14), (s * 0.44, 0.075)),
        )
        blade = bent((s * 0.42, 0.10), (s * 0.52, 0.24), (s * 0.43, 0.38))
        inner = bent((s * 0.40, 0.13), (s * 0.36, 0.26), (s * 0.43, 0.38))
        rod = curve(x, y, collar, 0.016)
        bones = bones + 0.34 * smooth(2 * rod) + 0.2 * smooth(1 - np.abs(rod - 0.45) * 3)
        bones = bones + 0.16 * curve(x, y, blade, 0.012) + 0.12 * curve(x, y, inner, 0.010)
        arm = capsule(x, y, ((s * 0.52, 0.10), (s * 0.78, 0.27)), 0.034)
        bones = bones + 0.30 * smooth(2 * arm) + 0.25 * smooth(1 - np.abs(arm - 0.5) * 3)
        bones = bones + 0.36 * ellipse(x, y, (s * 0.50, 0.09), (0.06, 0.05))
    return bones


def _rib_cage(chest: _Chest) -> Plane:
    """Ten pairs: the part behind runs outward and a little down, the part in front back down."""
    total = np.zeros_like(chest.x)
    across = chest.across
    inside = smooth((1.03 - across) / 0.06) * smooth((chest.y - 0.10) / 0.05)
    behind_at = smooth((np.abs(chest.x) - 0.035) / 0.03) * inside
    front_at = smooth((across - 0.30) / 0.35) * inside
    for number in range(10):
        start = 0.125 + 0.071 * number
        bow = 0.05 + 0.004 * number
        behind = start - bow * 4 * across * (1 - across) * 0.35 + 0.085 * across * across
        total = total + 0.34 * behind_at * bars((chest.y - behind) / 0.0155)
        if number < 7:
            front = start + 0.085 + (0.13 + 0.012 * number) * (1 - across)
            total = total + 0.17 * front_at * bars((chest.y - front) / 0.0175)
    wall = smooth((0.022 - np.abs(np.abs(chest.x) - 1.005 * chest.outer)) / 0.016)
    return total + 0.22 * wall * smooth((chest.y - 0.17) / 0.1)


def _organs(phantom: Phantom, chest: _Chest) -> Plane:
    """Heart, great vessels and thymus, liver."""
    x, y = chest.x, chest.y
    size = phantom.heart_size
    heart = _lens(x, y, (0.02, 0.60), (0.138 * size, 0.19 * size))
    rod = capsule(x, y, ((0.03, 0.40), (0.14 * size, 0.665)), 0.134 * size)
    apex = smooth(1.9 * rod * rod)
    great = smooth((0.095 - np.abs(x - 0.008)) / 0.05) * smooth((0.66 - y) / 0.3)
    great = great * smooth((y - 0.08) / 0.2)
    # Shadows of one organ: where they meet there is no step.
    middle = 1 - (1 - heart) * (1 - apex) * (1 - 0.6 * great)
    above = smooth((chest.dome + 0.02 - y) / 0.05)
    liver = smooth((y - chest.dome) / 0.03) * np.where(x < 0.05, 0.28, 0.08)
    inside = smooth((chest.outer + 0.02 - np.abs(x)) / 0.09)
    return 0.85 * middle * (0.35 + 0.65 * above) + liver * inside


def _lens(x: Plane, y: Plane, centre: tuple[float, float], radii: tuple[float, float]) -> Plane:
    """An organ of round outline: thick within, soft at the border."""
    across, along = (x - centre[0]) / radii[0], (y - centre[1]) / radii[1]
    return smooth((1 - across * across - along * along) * 1.9)


def _vessels(chest: _Chest, rng: np.random.Generator) -> Plane:
    """Lung vessels that fan out from the roots and thin out."""
    x, y = chest.x, chest.y
    total = np.zeros_like(x)
    for sign in (-1.0, 1.0):
        root = (sign * 0.105, 0.46)
        for number in range(13):
            wobble = (rng.integers(-100, 101, 6) / 1000.0).tolist()
            slope = -0.30 + 0.052 * number + 0.2 * wobble[0]
            fork = (sign * (0.18 + 0.3 * wobble[1]), 0.48 + 0.5 * slope + 0.2 * wobble[2])
            end = (sign * (0.31 - 0.28 * abs(slope) + 0.4 * wobble[3]), 0.49 + 1.05 * slope)
            pull = (fork[0] + 0.5 * wobble[4], fork[1] + 0.7 * wobble[5])
            twig = (end[0] + 0.9 * wobble[5], end[1] + 0.9 * wobble[4] + 0.03)
            trunk = bent(root, (sign * 0.14, fork[1] - 0.05 + wobble[4]), fork, 4)
            total = np.maximum(total, 0.20 * curve(x, y, trunk, 0.009))
            total = np.maximum(total, 0.12 * curve(x, y, bent(fork, pull, end, 3), 0.0065))
            total = np.maximum(total, 0.09 * curve(x, y, (fork, twig), 0.0055))
        total = np.maximum(total, 0.24 * ellipse(x, y, root, (0.05, 0.08)))
    return total * chest.lungs


def _frame(phantom: Phantom, shade: Plane, x: Plane, y: Plane) -> Plane:
    """Collimator, marker and pattern: they belong to the film, not to the child."""
    half = phantom.width / phantom.height / 2
    inside = smooth((half * (1 - phantom.collimation) - np.abs(x)) / 0.012)
    shade = shade * (inside if phantom.collimation > 0 else 1.0)
    if phantom.marker:
        left = -half + 0.075
        strokes = (
            ((0.0, 0.0), (0.0, 0.06)),
            ((0.0, 0.0), (0.022, 0.0), (0.032, 0.015), (0.022, 0.03), (0.0, 0.03)),
            ((0.015, 0.03), (0.034, 0.06)),
        )
        for stroke in strokes:
            points = tuple((left + px, 0.30 + py) for px, py in stroke)
            shade = np.maximum(shade, 0.97 * smooth(3 * curve(x, y, points, 0.0065)))
    return _pattern(shade, x, y, half) if phantom.pattern else shade


def _pattern(shade: Plane, x: Plane, y: Plane, half: float) -> Plane:
    """Sixteen grey steps, 5 and 95 % patches, and line pairs, along the lower edge."""
    along = (x + half) / (2 * half)
    steps = np.floor(along * 16) / 15
    shade = np.where(y > 0.93, steps, shade)
    low, high = (along - 0.02) / 0.06, (along - 0.10) / 0.06
    band = (y > 0.84) & (y < 0.92)
    for position, outside, within in ((low, 0.0, 0.05), (high, 1.0, 0.95)):
        here = band & (position > 0) & (position < 1)
        core = here & (np.abs(position - 0.5) < 0.25) & (np.abs(y - 0.88) < 0.02)
        shade = np.where(core, within, np.where(here, outside, shade))
    for number, pairs in enumerate((6, 12, 24)):
        position = (along - 0.74 - 0.085 * number) / 0.075
        lines = np.where(np.floor(position * pairs * 2) % 2 == 0, 0.95, 0.05)
        shade = np.where(band & (position > 0) & (position < 1), lines, shade)
    return shade
