"""A run goes on with the films that it began with, and with no others."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from clinicedge.models.training.fingerprint import fingerprint
from clinicedge.models.training.recipe import Recipe, recipe_for
from clinicedge.models.training.run import Progress, TrainOptions, train_network
from clinicedge.models.training.state import RunState
from clinicedge.models.training.targets import fold_of
from clinicedge.models.training.train_all import Plan, train_all
from clinicedge.profiles.boxes import BoxDataset, BoxFilm, TrueBox
from clinicedge.profiles.datasets import Dataset, read_dataset
from clinicedge.profiles.masks import MaskDataset, MaskFilm
from clinicedge.runtime import phantom
from clinicedge.runtime.errors import CheckpointError

NAME = "mobilenet-0.25-128"
TINY = recipe_for(NAME, 1, quick=True)
OTHER = "other data"


@pytest.fixture
def films(data: Path) -> Dataset:
    return read_dataset(data)


def train(
    films: Dataset,
    out: Path,
    recipe: Recipe = TINY,
    folder: str = "",
    progress: Progress | None = None,
) -> RunState:
    options = TrainOptions(out, resume=True, threads=1, folder=folder)
    return train_network(NAME, films, recipe, options, progress)[1]


def less(films: Dataset) -> Dataset:
    """Without the first train film."""
    gone = next(f for f in films.films if f.part == "train")
    return replace(films, films=tuple(f for f in films.films if f is not gone))


def test_a_finished_run_is_of_its_own_films(films: Dataset, tmp_path: Path) -> None:
    state = train(films, tmp_path)
    assert state.data == fingerprint(films)
    assert train(films, tmp_path).finished
    with pytest.raises(CheckpointError, match=OTHER):
        train(less(films), tmp_path)


class Stops(Progress):
    """As Ctrl+C after the first epoch."""

    def epoch(self, figures: object) -> None:
        raise KeyboardInterrupt


def test_a_stopped_run_does_not_go_on_with_other_films(films: Dataset, tmp_path: Path) -> None:
    two = recipe_for(NAME, 2, quick=True)
    with pytest.raises(KeyboardInterrupt):
        train(films, tmp_path, two, progress=Stops())
    with pytest.raises(CheckpointError, match=OTHER):
        train(less(films), tmp_path, two)
    assert train(films, tmp_path, two).finished


def test_a_fold_of_another_number_is_another_run(films: Dataset, tmp_path: Path) -> None:
    """2 of 5 has the folder of 2 of 3, and would judge itself on films of its training."""
    third, folder = fold_of(films, NAME, "2/3")
    fifth, same = fold_of(films, NAME, "2/5")
    assert folder == same
    train(third, tmp_path, folder=folder)
    with pytest.raises(CheckpointError, match="--fold"):
        train(fifth, tmp_path, folder=folder)


def test_a_run_from_before_this_was_kept_goes_on_and_keeps_it(
    films: Dataset, tmp_path: Path
) -> None:
    train(films, tmp_path)
    path = tmp_path / NAME / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    del content["run"]["data"]
    torch.save(content, path)
    assert train(films, tmp_path).data == fingerprint(films)


def test_all_does_not_go_on_with_another_folder(data: Path, films: Dataset, tmp_path: Path) -> None:
    other = tmp_path / "films1"
    other.mkdir()
    lines = ["file,label,patient,split"]
    for n in range(60):
        drawn = phantom.draw(phantom.Phantom(seed=n, height=64, width=72))
        (other / f"{n}.png").write_bytes(phantom.encode_png(drawn))
        lines.append(f"{n}.png,{('NORMAL', 'PNEUMONIA')[n % 2]},p{n // 2},train")
    (other / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    out = tmp_path / "runs"
    train(films, out)
    plan = Plan((NAME,), other, 1, quick=True)
    (outcome,) = train_all(plan, TrainOptions(out, threads=1), Progress())
    assert (outcome.state, outcome.card) == ("not trained", None)
    assert OTHER in outcome.note
    options = TrainOptions(out, threads=1)
    (made,) = train_all(replace(plan, data=data), options, Progress())
    (left,) = train_all(plan, options, Progress())
    assert (made.state, left.state) == ("resumed", "finished before")
    assert left.note == f"kept as it is, made with data {films.name}"


def test_the_fingerprint_tells_what_was_learned_apart(films: Dataset, tmp_path: Path) -> None:
    first = next(f for f in films.films if f.part == "train")
    rest = tuple(f for f in films.films if f is not first)
    changed = [
        replace(films, name="other"),
        replace(films, split="other"),
        less(films),
        *(
            replace(films, films=(other, *rest))
            for other in (
                replace(first, part="select"),
                replace(first, path=first.path.with_name("other.png")),
                replace(first, label="OTHER"),
                replace(first, findings=("OTHER",)),
                replace(first, patient_key="other"),
            )
        ),
    ]
    found = {fingerprint(d) for d in (films, *changed)}
    assert len(found) == 1 + len(changed)
    no_tests = replace(films, films=films.part("train", "select").films)
    assert fingerprint(no_tests) == fingerprint(films), "tests may grow"
    moved = tuple(replace(f, path=tmp_path / f.path.name) for f in films.films)
    assert fingerprint(replace(films, root=tmp_path, films=moved)) == fingerprint(films)


def test_other_masks_and_other_boxes_are_other_data(tmp_path: Path) -> None:
    path, place = tmp_path / "film.png", ("k/train/p", "train", "train")
    masks = [
        MaskDataset("m", tmp_path, (MaskFilm(path, mask, "tumor", *place),))  # type: ignore[arg-type]
        for mask in (None, tmp_path / "a.png", tmp_path / "b.png")
    ]
    boxes = [
        BoxDataset("m", tmp_path, (BoxFilm(path, some, "tumor", None, *place),))  # type: ignore[arg-type]
        for some in ((), (TrueBox("", (0, 0, 1, 1)),), (TrueBox("", (0, 0, 1, 2)),))
    ]
    assert len({fingerprint(d) for d in masks}) == 3
    assert len({fingerprint(d) for d in boxes}) == 3
