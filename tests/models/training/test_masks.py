"""Training with masks and on lung crops: from a data folder to weights with a card."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from clinicedge.models import weights, zoo
from clinicedge.models.training.augment import augment_pair, shrink
from clinicedge.models.training.finish import finish
from clinicedge.models.training.loop import Trainer, Watch
from clinicedge.models.training.objectives.masks import mask_loss, select_dice
from clinicedge.models.training.recipe import Augmentation, Recipe, recipe_for
from clinicedge.models.training.run import TrainOptions, train_network
from clinicedge.models.training.state import MovingAverage
from clinicedge.models.training.targets import objective, read_data
from clinicedge.profiles.masks import IGNORE
from clinicedge.runtime import phantom
from clinicedge.runtime.errors import DataManifestError

LUNGS = "lungs-128"


@pytest.fixture(scope="module")
def discs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 films of one bright disc each, its mask, and an edge in doubt."""
    root = tmp_path_factory.mktemp("discs")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:96, :80]
    lines = ["image,mask,patient,split"]
    for n in range(60):
        distance = np.hypot(y - rng.integers(30, 60), x - rng.integers(30, 50))
        film = np.where(distance < 20, 200, 40) + rng.integers(0, 30, distance.shape)
        mask = np.where(distance < 18, 255, np.where(distance < 22, IGNORE, 0))
        for kind, pixels in (("film", film), ("mask", mask)):
            Image.fromarray(pixels.astype(np.uint8)).save(root / f"{kind}{n}.png")
        lines.append(f"film{n}.png,mask{n}.png,p{n // 2},{'test' if n > 55 else 'train'}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def test_a_run_of_masks_ends_in_weights_and_a_card(discs: Path, tmp_path: Path) -> None:
    data = read_data(zoo.spec(LUNGS), discs)
    _, state = train_network(
        LUNGS, data, recipe_for(LUNGS, quick=True), TrainOptions(tmp_path, threads=1)
    )
    card = finish(LUNGS, data, state, tmp_path / LUNGS)
    told = json.loads((tmp_path / LUNGS / f"{LUNGS}.json").read_text(encoding="utf-8"))
    assert told["masks"][0]["figures"]["dice"]["value"] == card.masks[0].figures.dice.value
    assert "| Dice |" in (tmp_path / LUNGS / f"{LUNGS}.md").read_text(encoding="utf-8")
    weights.load_into(zoo.build(LUNGS), tmp_path / LUNGS / f"{LUNGS}.safetensors")


def test_training_learns_the_discs(discs: Path, tmp_path: Path) -> None:
    recipe = Recipe(epochs=6, batch=8, peak_lr=1e-2, small_epochs=5, small_side=64, ema_decay=0.8)
    data = read_data(zoo.spec(LUNGS), discs)
    _, state = train_network(LUNGS, data, recipe, TrainOptions(tmp_path, threads=1))
    assert max(line.select_score for line in state.history) > 0.8


def test_the_average_begins_anew_with_films_of_full_size(discs: Path, tmp_path: Path) -> None:
    """Normalization statistics of small films fit no others."""
    seen: list[int] = []

    class Counted(MovingAverage):
        def update(self, module: torch.nn.Module, step: int) -> None:
            seen.append(step)
            super().update(module, step)

    recipe = Recipe(epochs=5, batch=8, max_steps=3, small_epochs=2, small_side=32, full_steps=2)
    recipe = replace(recipe, middle_epochs=1, middle_side=64)
    data, model = read_data(zoo.spec(LUNGS), discs), zoo.spec(LUNGS)
    trainer = Trainer(zoo.build(LUNGS), model.input, recipe, tmp_path, "cpu")
    trainer.ema = Counted(trainer.module, recipe.ema_decay)
    trainer.train(objective(model, data, recipe, (), lambda: None), Watch())
    assert seen == [0, 1, 2, 3, 4, 5, 0, 1, 2, 0, 1, 2, 3]


def test_each_size_of_film_may_have_a_cycle_of_its_own(discs: Path, tmp_path: Path) -> None:
    recipe = Recipe(
        epochs=4, batch=8, max_steps=3, small_epochs=2, small_side=32, schedule="cycle-a-size"
    )
    data, model = read_data(zoo.spec(LUNGS), discs), zoo.spec(LUNGS)
    both = []
    for own in (recipe, replace(recipe, schedule="one-cycle")):
        trainer = Trainer(zoo.build(LUNGS), model.input, own, tmp_path / own.schedule, "cpu")
        state = trainer.train(objective(model, data, own, (), lambda: None), Watch())
        both.append([line.learning_rate for line in state.history])
    assert both[0][1] == both[0][3] == recipe.learning_rate(5, 6)
    assert both[1][1] > both[1][3]


def test_a_folder_without_masks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("file,label,patient,split\na.png,x,1,train\n")
    with pytest.raises(DataManifestError, match="no mask"):
        read_data(zoo.spec(LUNGS), tmp_path)


def test_film_and_mask_move_alike_and_the_mask_keeps_its_values() -> None:
    masks = torch.zeros(8, 64, 64, dtype=torch.uint8)
    masks[:, 10:30, 20:50] = 255
    masks[:, 40:44] = IGNORE
    how = replace(
        Augmentation(boxes=0, border=0.0, noise=0.0),
        brightness=0.0,
        contrast=0.0,
        gamma=0.0,
        sharpness=0.0,
    )
    films, moved = augment_pair(masks, masks, how, torch.Generator().manual_seed(3))
    assert set(np.unique(moved.numpy()).tolist()) <= {0, IGNORE, 255}
    near = (films.int() - moved.int()).abs() < 64
    assert float(near.float().mean()) > 0.97


def test_shrinking_keeps_labels_and_shrinks_masks() -> None:
    pixels = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    small, labels = shrink(pixels, torch.tensor([0, 1, 1]), 32)
    assert small.shape == (3, 32, 32)
    assert labels.tolist() == [0, 1, 1]
    assert shrink(pixels, pixels, 32)[1].shape == (3, 32, 32)


def test_a_shrunken_mask_lies_where_its_film_does() -> None:
    y, x = torch.meshgrid(torch.arange(256.0), torch.arange(256.0), indexing="ij")
    disc = ((y - 100).hypot(x - 140) < 60).to(torch.uint8)[None]
    film, mask = shrink(disc * 255, disc, 64)
    for axis in (0, 1):
        places = torch.arange(64.0).unsqueeze(1 - axis)
        middle = [float((m * places).sum() / m.sum()) for m in (film[0] / 255.0, mask[0].float())]
        assert abs(middle[0] - middle[1]) < 0.2, "of a small pixel"


def test_doubtful_pixels_count_for_nobody() -> None:
    masks = torch.zeros(1, 8, 8, dtype=torch.uint8)
    masks[:, :4], masks[:, 4] = 255, IGNORE
    right = torch.where(masks == 255, 9.0, -9.0)
    other = right.clone()
    other[:, 4] = 9.0
    for gamma in (0.0, 2.0):
        recipe = Recipe(epochs=1, focal_gamma=gamma, positive_weight=3.0)
        assert torch.equal(mask_loss(right, masks, recipe), mask_loss(other, masks, recipe))
        assert float(mask_loss(right, masks, recipe)) < float(mask_loss(-right, masks, recipe))
    assert select_dice((other >= 0).numpy(), masks.numpy()).tolist() == [1.0]


def test_a_lung_crop_model_trains_on_crops(tmp_path: Path) -> None:
    name, root = "mobilenet-0.25-128-lung-crop", tmp_path / "films"
    root.mkdir()
    lines = ["file,label,patient,split"]
    for n in range(60):
        drawn = phantom.Phantom(seed=n, height=128, width=170, opacity=0.9 * (n % 2))
        (root / f"{n}.png").write_bytes(phantom.encode_png(phantom.draw(drawn)))
        label = ("NORMAL", "PNEUMONIA")[n % 2]
        lines.append(f"{n}.png,{label},p{n // 2},{'test' if n > 51 else 'train'}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    data = read_data(zoo.spec(name), root)
    recipe = recipe_for(name, quick=True)
    _, state = train_network(name, data, recipe, TrainOptions(tmp_path, threads=1))
    card = finish(name, data, state, tmp_path / name)
    assert zoo.spec(name).input.region == "lungs"
    assert "the lungs of one film" in (tmp_path / name / f"{name}.md").read_text(encoding="utf-8")
    assert [row.no_score for row in card.measured] == [0] * len(card.measured)


def test_a_run_begins_with_other_weights(discs: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    network = zoo.build(LUNGS)
    weights.save(network, first / f"{LUNGS}.safetensors", LUNGS)
    recipe = replace(recipe_for(LUNGS, quick=True), start=LUNGS, peak_lr=1e-9, epochs=1)
    options = TrainOptions(tmp_path, threads=1, weights=(first,))
    trainer, _ = train_network(LUNGS, read_data(zoo.spec(LUNGS), discs), recipe, options)
    before, after = (m.state_dict()["head.weight"] for m in (network, trainer.module))
    assert torch.allclose(before, after, atol=1e-4)
