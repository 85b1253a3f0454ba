"""How colourful films and other pictures are: the numbers behind runtime/colour.py's limits.

Films are the real ones of the part train below CLINICEDGE_DATA (else phantoms), each as grey in RGB
and as a simulated photograph of a light box: tint, lamp gradient, moire, sensor noise, JPEG. Other
pictures are the photographs that scikit-learn and matplotlib bring, cut into pieces, and drawn
scenes. Writes a table, or JSON with --json.
"""

import argparse
import io
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clinicedge.profiles.datasets import Dataset, read_dataset, read_findings_dataset
from clinicedge.profiles.masks import MaskDataset, read_mask_dataset
from clinicedge.runtime import colour

Rgb = NDArray[np.uint8]
SETS: dict[str, Callable[[Path], Dataset | MaskDataset]] = {
    "kermany512": read_dataset,
    "kermany224": read_dataset,
    "nih": partial(read_findings_dataset, labels=("Pneumonia",)),
    "btxrd256": read_mask_dataset,
}
# The channels' gains of lamps and film bases: daylight box, blue base, green box, warm bulb.
TINTS = {
    "daylight": (0.97, 1.0, 1.03),
    "blue base": (0.72, 0.88, 1.0),
    "green box": (0.86, 1.0, 0.90),
    "warm bulb": (1.0, 0.86, 0.64),
}


def camera_photo(grey: Rgb, tint: tuple[float, float, float], rng: np.random.Generator) -> Rgb:
    """What a tablet's camera makes of a film uint8 (H, W) on a light box."""
    height, width = grey.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = 1 - 0.25 * (x * x + y * y)
    # Two lamps of slightly different colour, left and right.
    drift = np.stack([1 + 0.04 * x, np.ones_like(x), 1 - 0.04 * x], axis=-1)
    moire = 1 + 0.02 * np.sin(x[..., None] * (60 + np.array([0, 3, 6])) + 9 * y[..., None])
    scene = (grey[..., None] / 255.0 * 0.85 + 0.06) * np.array(tint)
    scene = scene * light[..., None] * drift * moire + rng.normal(0, 0.02, (height, width, 3))
    picture = (np.clip(scene, 0, 1) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=75)
    return np.asarray(Image.open(stream).convert("RGB"))


def drawn_scene(rng: np.random.Generator) -> Rgb:
    """A soft picture of a few hues, as landscapes and rooms have."""
    coarse = rng.uniform(0, 255, (int(rng.integers(3, 9)), int(rng.integers(3, 9)), 3))
    mixed = coarse.mean(axis=2, keepdims=True) * 0.5 + coarse * 0.5
    image = Image.fromarray(mixed.astype(np.uint8)).resize((256, 256), Image.Resampling.BICUBIC)
    return np.asarray(image)


def pieces(photo: Rgb, side: int) -> Iterator[Rgb]:
    """Square cuts of a photograph without overlap."""
    for top in range(0, photo.shape[0] - side + 1, side):
        for left in range(0, photo.shape[1] - side + 1, side):
            yield photo[top : top + side, left : left + side]


def photographs() -> dict[str, Rgb]:
    """Real photographs that installed packages bring; none where they are absent."""
    found = {}
    for package, places in {
        "matplotlib": ("mpl-data/sample_data/grace_hopper.jpg",),
        "sklearn": ("datasets/images/china.jpg", "datasets/images/flower.jpg"),
    }.items():
        try:
            module = __import__(package)
        except ImportError:
            continue
        for place in places:
            path = Path(str(module.__file__)).parent / place
            if path.exists():
                found[path.stem] = np.asarray(Image.open(path).convert("RGB"))
    return found


def films(count: int, rng: np.random.Generator) -> dict[str, list[Rgb]]:
    """Grey films uint8 (H, W) by data set."""
    root = os.environ.get("CLINICEDGE_DATA")
    if not root:
        from clinicedge.runtime import phantom

        return {"phantom": [phantom.draw(phantom.sample(i)).pixels for i in range(count)]}
    chosen = {}
    for name, read in SETS.items():
        paths = sorted(film.path for film in read(Path(root) / name).part("train").films)
        picks = rng.choice(len(paths), min(count, len(paths)), replace=False)
        chosen[name] = [np.asarray(Image.open(paths[i]).convert("L")) for i in sorted(picks)]
    return chosen


def measure(pictures: list[Rgb]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two saturations of each picture, as `colour.grey` sees it."""
    rows = [colour.saturation(colour.small(Image.fromarray(p))) for p in pictures]
    beyond, all_ = np.array(rows).T
    return beyond, all_


def groups(count: int) -> dict[str, tuple[bool, list[Rgb]]]:
    """(is a film, pictures) by name of the group."""
    rng = np.random.default_rng(0)
    made: dict[str, tuple[bool, list[Rgb]]] = {}
    stored = films(count, rng)
    for name, greys in stored.items():
        made[f"{name}, grey in RGB"] = True, [np.stack([g] * 3, axis=-1) for g in greys]
    everything = [g for greys in stored.values() for g in greys]
    for name, tint in TINTS.items():
        made[f"photo of a film, {name}"] = True, [camera_photo(g, tint, rng) for g in everything]
    for name, photo in photographs().items():
        cuts = [photo, *pieces(photo, 256), *pieces(photo, 128)]
        made[f"{name} and its cuts"] = False, cuts
    made["drawn scenes"] = False, [drawn_scene(rng) for _ in range(count)]
    return made


def row(values: NDArray[np.float64], pick: Callable[[NDArray[np.float64]], float]) -> float:
    return round(float(pick(values)), 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100, help="films per data set")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    table = []
    for name, (is_film, pictures) in groups(options.count).items():
        beyond, all_ = measure(pictures)
        refused = (beyond > colour.SATURATION_LIMIT) | (all_ > colour.TINT_LIMIT)
        table.append(
            {
                "pictures": name,
                "film": is_film,
                "n": len(pictures),
                "beyond_tint_min": row(beyond, np.min),
                "beyond_tint_median": row(beyond, np.median),
                "beyond_tint_max": row(beyond, np.max),
                "all_median": row(all_, np.median),
                "all_max": row(all_, np.max),
                "refused": int(refused.sum()),
            }
        )
    if options.json:
        print(json.dumps(table, indent=1))
        return
    print(f"{'pictures':<34}{'n':>4}  beyond the tint: min, median, max; all: median, max; refused")
    for r in table:
        print(
            f"{r['pictures']:<34}{r['n']:>4}  {r['beyond_tint_min']:>8.4f}"
            f"{r['beyond_tint_median']:>9.4f}{r['beyond_tint_max']:>9.4f}"
            f"{r['all_median']:>9.4f}{r['all_max']:>8.4f}{r['refused']:>6}"
        )


if __name__ == "__main__":
    main()
