"""A small network that static INT8 brings to chance, and films whose labels it knows.

Dense(relu) -> batch normalization -> Dense with dead units: the normalization scales a unit that
never fires by 1 / sqrt(eps) = 316, and folded into the last Dense these weights, which multiply
nothing but zeros, set the scale of all others.
"""

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from clinicedge.convert.films import FilmSet
from clinicedge.convert.source import Source
from clinicedge.profiles.splits import part_of, patient_key
from clinicedge.runtime.figures import Part
from clinicedge.runtime.images import scale
from clinicedge.runtime.spec import (
    DicomRules,
    InputSpec,
    IntendedUse,
    ModelSpec,
    OutputSpec,
    Scaling,
    WeightsSource,
)

if TYPE_CHECKING:
    from torch import nn

SIDE = 64
UNITS, DEAD, MIDDLE = 48, 12, 16
# Of torch's batch normalization.
_EPS = 1e-5
SPEC = ModelSpec(
    name="dead-units",
    version="1.0.0",
    task="classification",
    licence="CC0",
    intended_use=IntendedUse("tests", "CHEST", ("CR", "DX"), None, ("patients",)),
    input=InputSpec(
        name="film",
        height=SIDE,
        width=SIDE,
        channels=1,
        resize="stretch",
        filter="bilinear",
        pad_value=None,
        scaling=Scaling((0.5,), (0.25,)),
        dicom=DicomRules("file"),
    ),
    outputs=(
        OutputSpec("logits", "logits", (2,), "softmax", ("NORMAL", "PNEUMONIA"), "PNEUMONIA"),
    ),
    explanation=None,
    weights=WeightsSource("", "CC0", "made here"),
)


def films(part: Part, count: int, seed: int, labelled: bool = True) -> FilmSet:
    """Grey noise; a film is positive where its left half is brighter than its right half."""
    random = np.random.default_rng(seed)
    levels = random.uniform(60, 190, (count, 2))
    half = np.repeat(levels, SIDE // 2, axis=1)[:, None, :]
    noise = random.normal(0, 8, (count, SIDE, SIDE))
    pixels = np.clip(half + noise, 0, 255).astype(np.uint8)
    truth = levels[:, 0] > levels[:, 1]
    patients = tuple(f"{part}/{i}" for i in range(count))
    return FilmSet("halves", part, pixels, truth if labelled else None, patients, SPEC.input)


def network(fit_on: FilmSet) -> "nn.Module":
    """Convolution, pooling, Dense(relu), Dense with the normalization folded in, Dense; fitted,
    not trained. The last Dense is small enough to stay in float by every recipe."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=4, padding=2),
        nn.ReLU(),
        nn.AvgPool2d(SIDE // 8),
        nn.Flatten(),
        nn.Linear(32, UNITS),
        nn.ReLU(),
    )
    middle, last = nn.Linear(UNITS, MIDDLE), nn.Linear(MIDDLE, 2)
    x = torch.cat([torch.from_numpy(scale(p, fit_on.input)) for p in fit_on.pixels])
    wanted = torch.from_numpy(np.asarray(fit_on.truth, np.float32)) * 6 - 3
    with torch.no_grad():
        last_body = body[4]
        if not isinstance(last_body, nn.Linear):
            raise TypeError(f"{type(last_body).__name__}; expected a linear layer")
        last_body.weight *= 20
        last_body.bias[:DEAD] = -1000.0
        found = body(x)
        found = torch.cat([found[:, DEAD:], torch.ones(len(found), 1)], 1)
        ridge = found.T @ found + 0.01 * torch.eye(found.shape[1])
        fitted = torch.linalg.solve(ridge, found.T @ wanted)
        middle.weight *= 0.1
        middle.weight[:, :DEAD] = torch.randn(MIDDLE, DEAD) / _EPS**0.5
        middle.weight[0, DEAD:], middle.weight[1, DEAD:] = fitted[:-1], -fitted[:-1]
        middle.bias[0], middle.bias[1] = fitted[-1], -fitted[-1]
        last.weight *= 0.01
        last.weight[:, :2] = torch.tensor([[-0.5, 0.5], [0.5, -0.5]])
        last.bias.zero_()
    return nn.Sequential(body, middle, nn.ReLU(), last).eval()


def source() -> Source:
    """The network with its papers."""
    return Source(
        spec=SPEC,
        network=network(films("train", 64, 1)),
        weights_file="none",
        weights_sha256="0" * 64,
        weights_date="2026-01-01T00:00:00",
        training_data="made here",
    )


def write_folder(folder: Path, wanted: Mapping[str, int]) -> Path:
    """A data folder with so many films in each part, one a patient."""
    folder.mkdir()
    left, number = dict(wanted), 0
    rows = []
    drawn = films("train", 12 * sum(wanted.values()), 7)
    while any(left.values()):
        number += 1
        part = part_of(patient_key(folder.name, "train", str(number)))
        if not left.get(part):
            continue
        left[part] -= 1
        file = f"{number}.png"
        Image.fromarray(drawn.pixels[number]).save(folder / file)
        label = "PNEUMONIA" if drawn.truth is not None and drawn.truth[number] else "NORMAL"
        rows.append((file, label, str(number), "train"))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("file", "label", "patient", "split"))
        writer.writerows(rows)
    return folder
