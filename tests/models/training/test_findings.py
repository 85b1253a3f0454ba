"""Training on findings: loss, judgement, thresholds a label, folds; on phantom films."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from clinicedge.models import weights
from clinicedge.models.training.easier import easier_data
from clinicedge.models.training.finish import finish
from clinicedge.models.training.judging.findings import judge_findings
from clinicedge.models.training.loop import Trainer
from clinicedge.models.training.objectives.findings import (
    FindingArrays,
    FindingsObjective,
    positive_weights,
)
from clinicedge.models.training.recipe import Recipe, recipe_for
from clinicedge.models.training.run import TrainOptions, train_network
from clinicedge.models.training.targets import fold_of, read_data
from clinicedge.models.zoo import spec
from clinicedge.profiles.datasets import Dataset
from clinicedge.profiles.folds import apply_fold, parse_fold
from clinicedge.runtime import phantom
from clinicedge.runtime.errors import DataError

NAME = "pneumonia-type-224"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 phantom films of 60 patients; bacterial ones are bright, viral ones dark."""
    # The folder's name is the films' origin and decides their parts.
    root = tmp_path_factory.mktemp("data") / "films0"
    root.mkdir()
    lines = ["file,label,subtype,patient,split"]
    for n in range(120):
        kind = ("bacteria", "virus", "")[n // 2 % 3]
        drawn = phantom.draw(phantom.Phantom(seed=n, height=64, width=72, opacity=0.0))
        grey = drawn.pixels // 3 + (160 if kind == "bacteria" else 0)
        film = replace(drawn, pixels=grey.astype(np.uint8))
        (root / f"{n}.png").write_bytes(phantom.encode_png(film))
        label = "PNEUMONIA" if kind else "NORMAL"
        lines.append(f"{n}.png,{label},{kind},p{n // 2},{'test' if n >= 96 else 'train'}")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root


@pytest.fixture
def no_lungs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without weights of `lungs-128` there is no shortcut audit, which takes long at 224 x 224."""
    monkeypatch.setattr(weights, "CLONE_FOLDER", tmp_path / "none")


def read(data: Path) -> Dataset:
    found = read_data(spec(NAME), data)
    assert isinstance(found, Dataset)
    return found


def goal(recipe: Recipe, targets: list[list[float]]) -> FindingsObjective:
    arrays = FindingArrays(np.zeros((len(targets), 8, 8), np.uint8), np.array(targets, np.float32))
    return FindingsObjective(arrays, arrays, recipe)


TARGETS = [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 0.0]]


def test_rare_findings_weigh_more_up_to_a_limit() -> None:
    assert positive_weights(np.array(TARGETS, np.float32)).tolist() == [3.0, 1.0]
    rare = np.zeros((1000, 2), np.float32)
    rare[0, 0] = 1
    rare[1:, 1] = 1
    assert positive_weights(rare).tolist() == pytest.approx([20.0, 0.05])


def test_the_loss_is_weighted_cross_entropy_a_label() -> None:
    outputs = torch.tensor([[0.3, -1.0], [2.0, 0.1], [-0.5, 0.9], [0.0, -2.0]])
    found = goal(Recipe(epochs=1, label_smoothing=0.0), TARGETS).loss(
        outputs, torch.tensor(TARGETS)
    )
    chance, total = torch.sigmoid(outputs), 0.0
    for n, k in np.ndindex(4, 2):
        p, has = float(chance[n, k]), TARGETS[n][k]
        total -= (3.0, 1.0)[k] * has * np.log(p) + (1 - has) * np.log(1 - p)
    assert float(found) == pytest.approx(total / 8, rel=1e-5)


def test_focal_loss_forgets_what_is_easy() -> None:
    easy, hard = (torch.tensor([[z, -z], [-z, z], [-z, z], [-z, -z]]) for z in (4.0, 0.1))
    targets = torch.tensor(TARGETS)
    plain, focal = (goal(Recipe(epochs=1, focal_gamma=g), TARGETS) for g in (0.0, 2.0))
    shares = [float(o.loss(easy, targets) / o.loss(hard, targets)) for o in (plain, focal)]
    assert shares[1] < shares[0] / 20


def test_the_score_is_the_mean_area_over_labels() -> None:
    objective = goal(Recipe(epochs=1), [*TARGETS, [1.0, 1.0]])
    outputs = np.array([[3, 0], [1, 0], [1, 2], [0, 0], [2, 2]], np.float32)
    loss, score = objective.judge(outputs)
    assert score == pytest.approx((1.0 + 5 / 6) / 2)
    assert np.isfinite(loss)
    # A label that no film has leaves no area behind.
    alone = goal(Recipe(epochs=1), [[1.0, 0.0], [0.0, 0.0]])
    assert alone.judge(np.array([[1, 0], [0, 0]], np.float32))[1] == 1.0


class Brightness(nn.Module):
    """Bright is bacterial, dark is viral: a film's mean decides."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(4.0))

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((1, 2, 3)) * self.scale
        return torch.stack([mean, -mean], 1)


def test_a_threshold_and_figures_for_each_label(data: Path) -> None:
    films = read(data)
    found = judge_findings(Brightness(), films, spec(NAME), None)
    assert set(found.thresholds) == {"BACTERIA", "VIRUS"}
    assert "F1" in found.rule
    assert found.n_films == len(films.part("select").films)
    rows = [(row.what, row.figures.label) for row in found.measured]
    assert len(rows) == len(set(rows))
    assert {label for _, label in rows} == {"BACTERIA", "VIRUS"}
    for row in found.measured:
        assert row.figures.auc.value == 1.0
        assert row.figures.threshold == found.thresholds[row.figures.label]


def test_no_film_without_pneumonia_is_learned(data: Path) -> None:
    films = read(data).films
    assert len(films) == 80
    assert all(len(f.findings) == 1 for f in films)


def test_folds_share_no_patient_and_cover_train(data: Path) -> None:
    whole = read(data)
    train = set(whole.part("train").key_hashes())
    left_out: list[str] = []
    for k in (1, 2, 3):
        fold = apply_fold(whole, parse_fold(f"{k}/3"))
        kept = set(fold.part("train").key_hashes())
        moved = train - kept
        assert moved
        assert moved <= set(fold.part("select").key_hashes())
        assert not kept & set(fold.part("select").key_hashes())
        left_out += moved
        for part in ("guard", "test", "official-test"):
            assert fold.part(part).films == whole.part(part).films  # type: ignore[arg-type]
        assert set(whole.part("select").films) <= set(fold.part("select").films)
        assert f"fold {k}/3" in fold.hygiene_record().split
    assert sorted(left_out) == sorted(train)


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "1/1", "1/21", "a/3", "1/3/5", "-1/3"])
def test_no_fold(text: str) -> None:
    with pytest.raises(DataError, match="expected K/N"):
        parse_fold(text)


@pytest.mark.usefixtures("no_lungs")
def test_a_fold_is_trained_and_told(data: Path, tmp_path: Path) -> None:
    films, folder = fold_of(read(data), NAME, "2/3")
    recipe = replace(recipe_for(NAME, 1, quick=True), batch=4, max_steps=1, small_epochs=1)
    recipe = replace(recipe, small_side=32)
    options = TrainOptions(tmp_path, threads=1, folder=folder)
    _, state = train_network(NAME, films, recipe, options)
    assert all(np.isfinite(line.select_loss) for line in state.history)
    card = finish(NAME, films, state, options.run_folder(NAME))
    assert (tmp_path / f"{NAME}-fold-2" / f"{NAME}-fold-2.safetensors").is_file()
    told = json.loads((tmp_path / f"{NAME}-fold-2" / f"{NAME}-fold-2.json").read_bytes())
    assert "fold 2/3" in told["split"]
    assert set(told["thresholds"]) == {"BACTERIA", "VIRUS"}
    page = (tmp_path / f"{NAME}-fold-2" / f"{NAME}-fold-2.md").read_text(encoding="utf-8")
    assert f"BACTERIA {card.thresholds['BACTERIA']:.4f}, VIRUS" in page
    assert "| VIRUS |" in page
    assert "Not measured: `lungs-128`" in page


@pytest.mark.usefixtures("no_lungs")
def test_easier_labels_come_first_without_a_patient_of_select(data: Path, tmp_path: Path) -> None:
    """The fold's select patients do not come back as train patients of the easier labels."""
    films, folder = fold_of(read(data), NAME, "1/3")
    recipe = replace(recipe_for(NAME, 1, quick=True), batch=4, max_steps=1, small_epochs=1)
    recipe = replace(recipe, small_side=32)
    assert recipe.first_labels == ("NORMAL", "PNEUMONIA")
    options = TrainOptions(tmp_path, threads=1, folder=folder)
    _, state = train_network(NAME, films, recipe, options)
    assert (tmp_path / folder / "first" / "checkpoint.pt").is_file()
    easier = easier_data(spec(NAME), films, recipe.first_labels)
    selected = set(films.part("select").patients())
    assert selected
    assert not selected & set(easier.part("train").patients())
    assert {f.label for f in easier.part("train").films} == {"NORMAL", "PNEUMONIA"}
    first = tmp_path / folder / "first" / "checkpoint.pt"
    content = torch.load(first, weights_only=True)
    content["run"]["seconds"] = 6000.0
    torch.save(content, first)
    (tmp_path / folder / "checkpoint.pt").unlink()
    _, state = train_network(NAME, films, recipe, options)
    card = finish(NAME, films, state, options.run_folder(NAME))
    assert 100 < card.training_minutes < 110, "the easier films took their time too"
    trained = next(p for p in card.parts if p.part == "train")
    assert trained.n_films == len(easier.part("train").films) > len(films.part("train").films)


def test_steps_at_full_size_are_bounded(tmp_path: Path) -> None:
    recipe = Recipe(epochs=3, batch=4, small_epochs=2, small_side=16, full_steps=5)
    trainer = Trainer(nn.Linear(1, 1), spec(NAME).input, recipe, tmp_path, "cpu")
    assert [trainer.steps(100, epoch) for epoch in range(3)] == [25, 25, 5]


def test_binary_cross_entropy_of_torch_agrees() -> None:
    outputs, targets = torch.randn(6, 2), torch.tensor([*TARGETS, [1.0, 1.0], [1.0, 0.0]])
    objective = goal(Recipe(epochs=1, label_smoothing=0.0), targets.tolist())
    weights = positive_weights(targets.numpy())
    expected = functional.binary_cross_entropy_with_logits(outputs, targets, pos_weight=weights)
    torch.testing.assert_close(objective.loss(outputs, targets), expected)
