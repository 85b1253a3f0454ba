"""Learning boxes: which places answer, what they cost, how boxes move with films, a whole run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from clinicedge.models import zoo
from clinicedge.models.training.augment import augment_boxes
from clinicedge.models.training.cards.card import read_card
from clinicedge.models.training.cards.card_page import render
from clinicedge.models.training.finish import finish
from clinicedge.models.training.objectives.box_assign import TOP_K, assign, pairwise_iou
from clinicedge.models.training.objectives.box_loss import (
    box_loss,
    ciou,
    decoded,
    side_of,
    spread,
    varifocal,
)
from clinicedge.models.training.objectives.boxes import BoxObjective, load_boxes, matches
from clinicedge.models.training.recipe import Augmentation, Recipe, recipe_for
from clinicedge.models.training.run import TrainOptions, train_network
from clinicedge.models.training.targets import read_data
from clinicedge.models.yolo_nas.decoding import places
from clinicedge.models.yolo_nas.family import VARIANTS
from clinicedge.models.yolo_nas.network import YoloNas
from clinicedge.models.yolo_nas.sizes import TINY, positions
from clinicedge.profiles.boxes import BoxDataset
from clinicedge.runtime.phantom import Phantom, draw, encode_png

NAME = "yolo-nas-s-256"
SIDE = 64
STILL = Augmentation(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """The zoo's entry with hardly any channels, on 64 x 64 pixels."""
    monkeypatch.setitem(VARIANTS, NAME, replace(VARIANTS[NAME], size=TINY, side=SIDE))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 phantom films of 60 patients, a white rectangle on most; twice as wide as high."""
    # The folder's name is the films' origin and decides their parts.
    root = tmp_path_factory.mktemp("data") / "films0"
    root.mkdir()
    lines, rng = ["file,patient,boxes_xyxy"], np.random.default_rng(5)
    for n in range(60):
        film = draw(Phantom(seed=n, height=40, width=80))
        pixels, text = film.pixels.copy(), ""
        if n % 5:
            x, y = rng.integers(0, 55), rng.integers(0, 20)
            pixels[y : y + 16, x : x + 20] = 255
            text = f"{x} {y} {x + 20} {y + 16}"
        (root / f"{n}.png").write_bytes(encode_png(replace(film, pixels=pixels)))
        lines.append(f"{n}.png,p{n},{text}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


def perfect(targets: torch.Tensor, classes: int = 1) -> torch.Tensor:
    """Raw answers of a network that knows: sure within each box, empty elsewhere."""
    centres, strides = places(SIDE, SIDE)
    raw = torch.full((len(targets), positions(SIDE), 68 + classes), -9.0)
    for film, boxes in zip(raw, targets, strict=True):
        for label, *box in boxes[boxes[:, 0] >= 0].tolist():
            low, high = torch.tensor(box[:2]) * SIDE, torch.tensor(box[2:]) * SIDE
            inside = ((centres > low) & (centres < high)).all(dim=1)
            far = torch.cat([centres - low, high - centres], dim=1) / strides
            for place in torch.nonzero(inside).flatten().tolist():
                film[place, 68 + int(label)] = 9.0
                for side, value in enumerate(far[place].tolist()):
                    share = value - int(value)
                    film[place, 17 * side + int(value)] = float(np.log(max(1 - share, 1e-6)))
                    film[place, 17 * side + int(value) + 1] = float(np.log(max(share, 1e-6)))
    return raw


def test_the_surest_of_the_well_placed_answer_for_a_box() -> None:
    centres, _ = places(SIDE, SIDE)
    truth = torch.tensor([[1.0, 8, 8, 40, 40], [0.0, 44, 44, 60, 62]])
    boxes = torch.cat([centres - 8, centres + 8], dim=1)
    boxes[27] = torch.tensor([9.0, 8.0, 40.0, 39.0])
    shares = torch.full((len(centres), 2), 0.2)
    found = assign(shares, boxes, centres, truth)
    assert 0 < int(found.there.sum()) <= 2 * TOP_K
    assert float(found.scores[27, 1]) == pytest.approx(float(found.scores[:, 1].max()))
    assert float(found.scores[27, 1]) == pytest.approx(31 * 31 / (32 * 32), rel=1e-3)
    outside = (centres < 8).any(dim=1)
    assert not bool(found.there[outside].any())
    assert bool((found.scores[:, 0] > 0)[found.boxes[:, 0] == 44].any())


def test_a_box_between_all_centres_is_answered_by_the_nearest() -> None:
    centres, _ = places(SIDE, SIDE)
    truth = torch.tensor([[0.0, 13, 13, 15, 15]])
    found = assign(torch.full((len(centres), 1), 0.5), torch.rand(len(centres), 4), centres, truth)
    assert centres[found.there].tolist() == [[12.0, 12.0]]


def test_a_film_without_boxes_wants_nothing() -> None:
    centres, _ = places(SIDE, SIDE)
    shares, boxes = torch.rand(len(centres), 3), torch.rand(len(centres), 4)
    found = assign(shares, boxes, centres, torch.zeros(0, 5))
    assert not bool(found.there.any())
    assert float(found.scores.abs().max()) == 0.0


def test_losses_by_hand() -> None:
    one = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 10], [0.0, 0, 10, 10]])
    other = torch.tensor([[0.0, 0, 10, 10], [5.0, 0, 15, 10], [20.0, 0, 30, 10]])
    # IoU 1/3 less 25 / (15^2 + 10^2); no overlap: less 400 / (30^2 + 10^2).
    wanted = [1.0, 1 / 3 - 25 / 325, -400 / 1000]
    assert ciou(one, other).tolist() == pytest.approx(wanted, abs=1e-4)
    bins = torch.zeros(1, 4, 17)
    bins[0, :, 2], bins[0, :, 3] = np.log(0.75), np.log(0.25)
    bins[0, :, [i for i in range(17) if i not in (2, 3)]] = -40.0
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert float(spread(bins, torch.full((1, 4), 2.25))) == pytest.approx(entropy, abs=1e-3)
    cost = varifocal(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 0.8]))
    assert cost.tolist() == pytest.approx([0.75 * 0.25 * np.log(2), 0.8 * np.log(2)], abs=1e-5)


def test_knowing_costs_less_than_guessing_and_is_judged_best() -> None:
    targets = torch.tensor([[[0.0, 0.1, 0.2, 0.6, 0.7]], [[-1.0, 0, 0, 0, 0]]])
    sure = perfect(targets)
    guess = torch.zeros_like(sure)
    assert float(box_loss(sure, targets)) < 0.5 * float(box_loss(guess, targets))
    truth = tuple(
        (boxes[boxes[:, 0] >= 0] * torch.tensor([1.0, *[SIDE] * 4])).numpy() for boxes in targets
    )
    ((first, second),) = matches(sure.numpy(), truth, VARIANTS[NAME].rules)
    assert first.hit.tolist() == [True]
    assert first.overlaps[0] > 0.95
    assert len(second.scores) == 0


def test_the_network_learns_one_batch() -> None:
    torch.manual_seed(3)
    network = YoloNas(TINY, 1)
    films = torch.zeros(4, 3, SIDE, SIDE)
    targets = torch.zeros(4, 2, 5) - 1
    for i in range(4):
        films[i, :, 8 * i : 8 * i + 24, 16:48] = 1.0
        targets[i, 0] = torch.tensor([0.0, 0.25, i / 8, 0.75, i / 8 + 0.375])
    optimizer = torch.optim.AdamW(network.parameters(), lr=5e-3)

    def overlap() -> float:
        with torch.no_grad():
            boxes, _ = decoded(network(films))
        best = [
            pairwise_iou(t[:1, 1:] * SIDE, b).max() for t, b in zip(targets, boxes, strict=True)
        ]
        return float(torch.stack(best).mean())

    before = overlap()
    for _ in range(20):
        loss = box_loss(network(films), targets)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert overlap() > 2 * before
    assert network.backbone.stem.conv.rbr_reparam.weight.grad is None


def test_the_side_follows_from_the_places() -> None:
    for side in (32, 64, 128, 256, 320, 640):
        assert side_of(positions(side)) == side


def test_boxes_move_with_their_films() -> None:
    pixels = torch.zeros(6, 64, 64, dtype=torch.uint8)
    pixels[:, 16:40, 8:40] = 200
    boxes = torch.tensor([[[0.0, 8 / 64, 16 / 64, 40 / 64, 40 / 64], [-1.0, 0, 0, 0, 0]]])
    how = replace(STILL, shift=0.1, scale=0.2, stretch=0.1)
    films, moved = augment_boxes(
        pixels, boxes.expand(6, -1, -1), how, torch.Generator().manual_seed(4)
    )
    for film, (box, none) in zip(films, moved, strict=True):
        assert float(none[0]) == -1.0
        rows, columns = torch.nonzero(film > 100, as_tuple=True)
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert (box[1:] * 64).tolist() == pytest.approx([float(v) for v in seen], abs=1.5)
    far = replace(STILL, shift=1.0)
    _, gone = augment_boxes(pixels, boxes.expand(6, -1, -1), far, torch.Generator().manual_seed(4))
    assert bool((gone[:, 0, 0] == -1.0).any())


@pytest.mark.usefixtures("tiny")
def test_boxes_are_brought_to_a_letterboxed_input(folder: Path) -> None:
    data = read_data(zoo.spec(NAME), folder)
    assert isinstance(data, BoxDataset)
    arrays = load_boxes(data, zoo.spec(NAME))
    assert arrays.pixels[0, :16].tolist() == [[114] * SIDE] * 16
    for pixels, truth, film in zip(arrays.pixels, arrays.truth, data.films, strict=True):
        for _, x0, y0, x1, y1 in truth.tolist():
            on_film = film.boxes[0].xyxy
            assert [x0, y0, x1, y1] == pytest.approx(
                [0.8 * v + (16 if i % 2 else 0) for i, v in enumerate(on_film)], abs=1e-4
            )
            inside = pixels[int(y0) + 2 : int(y1) - 1, int(x0) + 2 : int(x1) - 1]
            assert inside.min() > 240
    objective = BoxObjective(arrays, arrays, Recipe(1), VARIANTS[NAME].rules)
    loss, score = objective.judge(perfect(torch.from_numpy(arrays.targets)).numpy())
    assert score == 1.0
    assert loss < 1.0


@pytest.mark.usefixtures("tiny")
def test_a_run_from_films_to_a_card(folder: Path, tmp_path: Path) -> None:
    data = read_data(zoo.spec(NAME), folder)
    recipe = replace(recipe_for(NAME, quick=True), small_side=32)
    options = TrainOptions(out=tmp_path, device="cpu")
    _, state = train_network(NAME, data, recipe, options)
    assert state.finished
    card = finish(NAME, data, state, tmp_path / NAME)
    assert read_card(tmp_path / NAME / f"{NAME}.json") == card
    assert card.boxes
    assert {row.figures.label for row in card.boxes} == {"TUMOUR"}
    page = render(card, zoo.spec(NAME))
    assert "AP50" in page
    assert "no use in production, no redistribution" in page
    assert "distribution focal loss" in page
