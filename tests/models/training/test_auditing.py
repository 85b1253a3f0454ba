"""The shortcut audit of every label, and that no card of a chest model is silent about it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from clinicedge.models import weights, zoo
from clinicedge.models.training.auditing import audited
from clinicedge.models.training.cards.card import Card, read_card
from clinicedge.models.training.cards.card_page import render
from clinicedge.models.training.targets import read_data
from clinicedge.profiles.datasets import Dataset
from clinicedge.runtime import phantom
from clinicedge.runtime.records import dump_bytes
from clinicedge.runtime.spec import ModelSpec

BINARY, FINDINGS = "mobilenet-0.25-128", "pneumonia-type-224"
SHIPPED = weights.CLONE_FOLDER / f"{BINARY}.json"
HEADING = "## What it tells with the lungs hidden"


class Brightness(nn.Module):
    """The mean of a film: bright is the second of two labels, or bacterial and not viral."""

    def __init__(self, signs: tuple[float, float]) -> None:
        super().__init__()
        self.signs = nn.Parameter(torch.tensor(signs))

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3))[:, None] * self.signs


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """12 phantom films; bacterial pneumonia is bright throughout, so that hidden lungs tell too."""
    root = tmp_path_factory.mktemp("data") / "films0"
    root.mkdir()
    lines = ["file,label,subtype,patient,split"]
    for n in range(12):
        drawn = phantom.draw(phantom.Phantom(seed=n, height=128, width=170, opacity=0.0))
        kind = ("bacteria", "virus")[n % 2]
        grey = drawn.pixels // 2 + (60 if kind == "bacteria" else 0)
        film = replace(drawn, pixels=grey.astype(np.uint8))
        (root / f"{n}.png").write_bytes(phantom.encode_png(film))
        label = ("PNEUMONIA", "NORMAL")[n % 2]
        lines.append(f"{n}.png,{label},{kind},p{n},train")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def all_tests(model: ModelSpec, folder: Path) -> Dataset:
    found = read_data(model, folder)
    assert isinstance(found, Dataset)
    return replace(found, films=tuple(replace(f, part="test") for f in found.films))


def blank(name: str) -> Card:
    """A card without an audit."""
    return replace(read_card(SHIPPED), name=name, audit=None)


def section(card: Card) -> str:
    text = render(card, zoo.spec(card.name))
    return text[text.index(HEADING) :].split("\n## ")[0]


def test_each_finding_is_audited(data: Path, tmp_path: Path) -> None:
    model = zoo.spec(FINDINGS)
    card = audited(blank(FINDINGS), Brightness((4.0, -4.0)), all_tests(model, data), model, ())
    assert (card.audit, card.audit_note) == (None, "")
    assert list(card.audits) == ["BACTERIA", "VIRUS"]
    for figures in card.audits.values():
        assert figures.n_films == 2 * figures.n_positive > 8
        for view in ("plain", "lungs-hidden-box"):
            area = figures.auc(view)
            assert area is not None
            assert area.value == 1.0, "what is outside the lungs tells all"
    told = section(card)
    assert "| film | AUC of BACTERIA | AUC of VIRUS |" in told
    assert "lungs hidden, by their bounding box" in told
    assert "BACTERIA, " in told
    path = tmp_path / "card.json"
    path.write_bytes(dump_bytes(card))
    assert read_card(path) == card


def test_a_classifier_is_audited_for_its_positive_label(data: Path) -> None:
    model = zoo.spec(f"{BINARY}-lung-crop")
    card = audited(blank(model.name), Brightness((0.0, 4.0)), all_tests(model, data), model, ())
    assert card.audits == {}
    assert card.audit is not None
    assert all(v.auc is not None and v.no_score == 0 for v in card.audit.views)
    assert "| film | AUC |" in section(card)
    assert "Every view was cropped where the lungs are" in section(card)


def test_the_reason_of_no_audit_is_told(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = zoo.spec(FINDINGS)
    films = all_tests(model, data)
    network, empty = Brightness((1.0, 1.0)), replace(films, films=())
    told = section(audited(blank(FINDINGS), network, empty, model, ()))
    assert "Not measured: no film of the internal test shows lungs to hide." in told
    monkeypatch.setattr(weights, "CLONE_FOLDER", tmp_path / "none")
    told = section(audited(blank(FINDINGS), network, films, model, ()))
    assert "Not measured: `lungs-128`, which finds the lungs to hide, had no weights." in told


@pytest.mark.parametrize("name", [*zoo.names(), *zoo.lung_crop_names()])
def test_every_card_of_a_chest_model_speaks_of_hidden_lungs(name: str) -> None:
    """With the reason where the audit was not made; films of limbs have no lungs."""
    text = render(blank(name), zoo.spec(name))
    chest = zoo.spec(name).intended_use.body_part == "CHEST"
    assert (HEADING in text) == chest
    assert ("Not measured: " in text) == chest
