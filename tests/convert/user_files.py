"""Files as users bring them: small networks, specs, data folders of phantoms."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from clinicedge.profiles.splits import part_of, patient_key
from clinicedge.runtime import phantom

SIDE = 64
NETWORKS = '''"""Small networks, as a user writes them."""
import torch
from torch import nn


class Findings(nn.Module):
    def __init__(self, outputs):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 5, stride=4, padding=2), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU())
        self.fc = nn.Linear(16, outputs)

    def forward_with_features(self, x):
        maps = self.body(x)
        return self.fc(maps.mean((2, 3))), maps

    def forward(self, x):
        return self.forward_with_features(x)[0]


class Mask(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.b = nn.Sequential(nn.MaxPool2d(2), nn.Conv2d(6, 12, 3, padding=1), nn.ReLU())
        self.up = nn.ConvTranspose2d(12, 6, 2, stride=2)
        self.head = nn.Conv2d(12, 1, 1)

    def forward(self, x):
        a = self.a(x)
        return self.head(torch.cat([a, self.up(self.b(a))], 1))


def _seeded(make):
    torch.manual_seed(3)
    network = make()
    for value in network.parameters():
        value.data *= 3
    return network


def findings():
    return _seeded(lambda: Findings(3))


def one_logit():
    return _seeded(lambda: Findings(1))


def mask():
    return _seeded(Mask)


def probabilities():
    return nn.Sequential(mask(), nn.Sigmoid())


def needs(width):
    return None


def no_network():
    return "a word"


def breaks():
    raise KeyError("left")
'''


def spec_text(name: str, task: str, labels: tuple[str, ...]) -> str:
    """A whole spec for a 64 x 64 grey network."""
    return f"""name = "{name}"
task = "{task}"
labels = {list(labels)}
[input]
width = {SIDE}
height = {SIDE}
channels = 1
mean = [0.5]
std = [0.25]
[use]
statement = "a test"
body_part = "CHEST"
[budget]
points = 100
auc = 1
dice = 1
"""


def write_networks(folder: Path) -> Path:
    """net.py."""
    path = folder / "net.py"
    path.write_text(NETWORKS, encoding="utf-8")
    return path


def write_spec(folder: Path, name: str, task: str, labels: tuple[str, ...]) -> Path:
    """NAME.toml."""
    path = folder / f"{name}.toml"
    path.write_text(spec_text(name, task, labels), encoding="utf-8")
    return path


def patients_of(origin: str, wanted: dict[str, int]) -> list[tuple[str, str]]:
    """(part, patient number) so that each part has as many patients as wanted."""
    left, number = dict(wanted), 0
    found: list[tuple[str, str]] = []
    while any(left.values()):
        number += 1
        part = part_of(patient_key(origin, "train", str(number)))
        if left.get(part):
            left[part] -= 1
            found.append((part, str(number)))
    return found


def write_data(
    folder: Path,
    wanted: dict[str, int],
    columns: tuple[str, ...],
    row: Callable[[Path, int, NDArray[np.uint8]], dict[str, str]],
) -> Path:
    """A data folder of phantoms, one a patient; `row` fills the columns of a film."""
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, ("file", "patient", "split", *columns))
        writer.writeheader()
        for i, (_, number) in enumerate(patients_of(folder.name, wanted)):
            drawn = replace(phantom.sample(i), height=96, width=128, opacity=float(i % 2))
            film = phantom.draw(drawn)
            (folder / f"{number}.png").write_bytes(phantom.encode_png(film))
            fields = {"file": f"{number}.png", "patient": number, "split": "train"}
            writer.writerow(fields | row(folder, i, film.pixels))
    return folder


def mask_row(folder: Path, i: int, pixels: NDArray[np.uint8]) -> dict[str, str]:
    """Dark parts are the mask, doubtful at one side; every fourth film has none."""
    mask = np.where(pixels < 90, 255, 0).astype(np.uint8)
    mask[:, :8] = 127
    if i % 4 == 3:
        mask[:] = 0
    name = f"mask-{i}.png"
    Image.fromarray(mask).save(folder / name)
    return {"mask": name, "label": "none" if i % 4 == 3 else "there"}


def findings_row(folder: Path, i: int, pixels: NDArray[np.uint8]) -> dict[str, str]:
    """A and B mixed, C on no film."""
    return {"findings": "|".join(n for n, there in (("A", i % 2), ("B", i % 3 == 0)) if there)}
