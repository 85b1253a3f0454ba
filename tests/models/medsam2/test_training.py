"""Learning masks from boxes: what the network is asked, what is held still, what the card says."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clinicedge.models import weights, zoo
from clinicedge.models.fit import values
from clinicedge.models.medsam2.family import VARIANTS
from clinicedge.models.medsam2.sizes import TINY
from clinicedge.models.training.finish import finish
from clinicedge.models.training.loop import Trainer, Watch
from clinicedge.models.training.objectives.prompts import (
    PromptObjective,
    boxes_around,
    load_prompts,
    moved_boxes,
    overlap,
    packed,
    unpacked,
)
from clinicedge.models.training.recipe import Augmentation, Recipe, recipe_for
from clinicedge.models.training.run import TrainOptions, train_network
from clinicedge.models.training.targets import objective, read_data
from clinicedge.profiles.masks import IGNORE, MaskDataset
from clinicedge.runtime.errors import DataManifestError

NAME = "medsam2-mini-192-lungs"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zoo's entry with hardly any channels."""
    size = replace(TINY, side=64, windows=(8, 4, 2, 2), mlp=64, quality=32)
    monkeypatch.setitem(VARIANTS, NAME, replace(VARIANTS[NAME], size=size))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 films of two bright ellipses each, their masks, and edges in doubt; two films of none."""
    root = tmp_path_factory.mktemp("pairs")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :80]
    lines = ["image,mask,patient,split"]
    for n in range(62):
        film, mask = np.full(y.shape, 40), np.zeros(y.shape)
        for middle in (20, 60) if n < 60 else ():
            high, wide = rng.integers(20, 36), rng.integers(9, 15)
            away = np.hypot((y - 48) / high, (x - middle) / wide)
            film = np.where(away < 1, 200, film)
            mask = np.where(away < 0.95, 255, np.where(away < 1.05, IGNORE, mask))
        film = film + rng.integers(0, 30, y.shape)
        for kind, pixels in (("film", film), ("mask", mask)):
            Image.fromarray(pixels.astype(np.uint8)).save(root / f"{kind}{n}.png")
        lines.append(f"film{n}.png,mask{n}.png,p{n // 2},{'test' if 55 < n < 60 else 'train'}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def masks_of(folder: Path) -> MaskDataset:
    data = read_data(zoo.spec(NAME), folder)
    assert isinstance(data, MaskDataset)
    return data


def test_each_region_is_asked_for_alone(pairs: Path) -> None:
    films = masks_of(pairs).part("train")
    found = load_prompts(films.films, zoo.spec(NAME).input)
    with_mask = [f for f in films.films if f.path.name not in ("film60.png", "film61.png")]
    assert len(found.pixels) == len(with_mask)
    assert len(found.film) == len(found.masks) == len(found.patients) == 2 * len(with_mask)
    around = boxes_around(torch.from_numpy(found.masks)).numpy()
    assert (around == found.boxes).all()
    assert (found.moved != found.boxes).any()
    assert (found.moved == found.moved).all()
    left, right = sorted(found.boxes[:2, 0])
    assert left < 32 <= right + 4


def test_boxes_in_torch() -> None:
    masks = torch.zeros(2, 40, 60, dtype=torch.uint8)
    masks[0, 10:20, 30:50] = 255
    masks[0, 0, 0] = IGNORE
    assert boxes_around(masks).tolist() == [[30, 10, 50, 20], [0, 0, 60, 40]]
    torch.manual_seed(0)
    moved = moved_boxes(masks)
    assert (
        (moved[0] - torch.tensor([30.0, 10, 50, 20])).abs() <= torch.tensor([4.0, 2, 4, 2])
    ).all()
    assert (moved[1] >= 0).all()
    assert (moved[1, 2:] <= torch.tensor([60.0, 40.0])).all()


def test_predicted_overlap_is_learned_with_the_mask() -> None:
    masks = torch.zeros(1, 8, 8, dtype=torch.uint8)
    masks[0, :4] = 255
    logits = torch.full((1, 8, 8), -9.0)
    logits[0, :2] = 9.0
    assert overlap(logits, masks).tolist() == [0.5]
    raw = torch.cat([torch.full((2, 16), 3.0), torch.tensor([[0.5], [0.25]])], dim=1)
    wide, quality = unpacked(raw, torch.Size((8, 8)))
    assert wide.shape == (2, 8, 8)
    assert float(wide.min()) == 3.0
    assert quality.tolist() == [0.5, 0.25]


def test_a_run_ends_in_weights_and_a_card(pairs: Path, tmp_path: Path) -> None:
    data = masks_of(pairs)
    options = TrainOptions(tmp_path, threads=1)
    _, state = train_network(NAME, data, recipe_for(NAME, quick=True), options)
    card = finish(NAME, data, state, tmp_path / NAME)
    told = json.loads((tmp_path / NAME / f"{NAME}.json").read_text(encoding="utf-8"))
    words = [row["what"].split("; ")[1] for row in told["masks"]]
    assert words[:2] == ["true boxes", "moved boxes"]
    first = card.masks[0].figures
    assert first.dice.n == 2 * len(data.part(first.part).films)
    page = (tmp_path / NAME / f"{NAME}.md").read_text(encoding="utf-8")
    assert "not MedSAM2's" in page
    assert "| Dice |" in page
    network = zoo.build(NAME)
    weights.load_into(network, tmp_path / NAME / f"{NAME}.safetensors")
    assert all(key.startswith(("image_encoder.", "sam_", "no_mem")) for key in values(network))


def test_the_encoder_is_held_while_the_decoder_learns(pairs: Path, tmp_path: Path) -> None:
    model = zoo.spec(NAME)
    recipe = Recipe(epochs=2, batch=8, max_steps=2, frozen_epochs=1, weight_decay=0.1)
    network = zoo.build(NAME)
    trainer = Trainer(network, model.input, recipe, tmp_path, "cpu")
    seen: list[dict[str, torch.Tensor]] = [{k: v.clone() for k, v in values(network).items()}]
    goal = objective(model, masks_of(pairs), recipe, (), lambda: None)

    def watch(_: object) -> None:
        seen.append({k: v.clone() for k, v in values(network).items()})

    trainer.train(goal, Watch(epoch=watch))
    changed = [{k for k in one if bool((one[k] != two[k]).any())} for one, two in pairwise(seen)]
    assert not any(key.startswith("image_encoder.") for key in changed[0])
    assert any(key.startswith("sam_mask_decoder.") for key in changed[0])
    assert any(key.startswith("image_encoder.") for key in changed[1])


def test_an_old_run_without_a_new_number_goes_on(pairs: Path, tmp_path: Path) -> None:
    recipe = Recipe(epochs=1, batch=8, max_steps=1)
    model = zoo.spec(NAME)
    goal = objective(model, masks_of(pairs), recipe, (), lambda: None)
    Trainer(zoo.build(NAME), model.input, recipe, tmp_path, "cpu").train(goal, Watch())
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del content["run"]["recipe"]["frozen_epochs"]
    torch.save(content, tmp_path / "checkpoint.pt")
    again = Trainer(zoo.build(NAME), model.input, recipe, tmp_path, "cpu")
    again.resume()
    assert again.state.finished


def test_films_without_any_mask_are_refused(pairs: Path) -> None:
    none = [f for f in masks_of(pairs).films if f.path.name in ("film60.png", "film61.png")]
    with pytest.raises(DataManifestError, match="no film with a mask"):
        load_prompts(tuple(none), zoo.spec(NAME).input)


@pytest.mark.slow
def test_training_learns_the_ellipses(pairs: Path, tmp_path: Path) -> None:
    recipe = Recipe(
        epochs=8, batch=8, peak_lr=3e-3, ema_decay=0.8, augmentation=Augmentation(boxes=0)
    )
    data = masks_of(pairs)
    _, state = train_network(NAME, data, recipe, TrainOptions(tmp_path, threads=1))
    assert max(line.select_score for line in state.history) > 0.8


def test_the_loss_reaches_every_part_that_a_box_uses(pairs: Path) -> None:
    model = zoo.spec(NAME)
    found = load_prompts(masks_of(pairs).part("select").films, model.input)
    goal = PromptObjective(found, found, Recipe(epochs=1))
    network = zoo.build(NAME)
    films, masks = goal.batch(np.arange(2), torch.Generator().manual_seed(0))
    x = films.float().unsqueeze(1).expand(-1, 3, -1, -1) / 255
    loss = goal.loss(packed(network, x, moved_boxes(masks)), masks)
    loss.backward()  # type: ignore[no-untyped-call]
    without = {k for k, v in network.named_parameters() if v.grad is None}
    # Mask prompts, points, three other masks and the object's score are not a box's affair.
    other = ("mask_embed", "output_hypernetworks_mlps", "pred_obj_score_head")
    assert all(any(part in key for part in other) for key in without)
