"""Parts of one label, without a mask or box: select is refused, a test part is not measured."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from clinicedge.models import weights, zoo
from clinicedge.models.training.cards.card import read_card
from clinicedge.models.training.cards.card_page import render
from clinicedge.models.training.finish import finish
from clinicedge.models.training.judging.boxes import judge_boxes
from clinicedge.models.training.judging.findings import judge_findings
from clinicedge.models.training.judging.judgement import NEW_PATIENTS, unseen_parts
from clinicedge.models.training.judging.masks import judge_masks
from clinicedge.models.training.judging.prompts import judge_prompts
from clinicedge.models.training.recipe import recipe_for
from clinicedge.models.training.run import TrainOptions, train_network
from clinicedge.models.training.targets import Data, objective
from clinicedge.models.yolo_nas.sizes import positions
from clinicedge.profiles.boxes import BoxDataset, BoxFilm, TrueBox
from clinicedge.profiles.datasets import DataFilm, Dataset, read_dataset
from clinicedge.profiles.masks import MaskDataset, MaskFilm
from clinicedge.runtime.errors import DataError, OverlapError

NAME, LUNGS, PROMPTED, BOXES = (
    "mobilenet-0.25-128",
    "lungs-128",
    "medsam2-mini-192-lungs",
    "yolo-nas-s-256",
)
OWN, OFFICIAL = "internal test, other patients", "official test, all"


@pytest.fixture
def films(data: Path) -> Dataset:
    return read_dataset(data)


def one_label(films: Dataset, parts: Sequence[str]) -> Dataset:
    return replace(
        films,
        films=tuple(
            replace(f, label="PNEUMONIA", findings=("VIRUS",)) if f.part in parts else f
            for f in films.films
        ),
    )


def some(films: Dataset) -> tuple[DataFilm, ...]:
    """Two films of select, two of train, one each of the test parts."""
    counts = {"select": 2, "train": 2, "test": 1, "official-test": 1}
    return tuple(f for part, n in counts.items() for f in films.part(part).films[:n])  # type: ignore[arg-type]


def with_masks(films: Dataset, folder: Path, masked: Sequence[str] = ()) -> MaskDataset:
    """Masks that are black files, or half white in the parts of `masked`."""
    made = []
    for n, film in enumerate(some(films)):
        path = folder / f"mask{n}.png"
        image = Image.new("L", (72, 64))
        if film.part in masked:
            image.paste(255, (0, 0, 36, 64))
        image.save(path)
        place = film.patient_key, film.official, film.part
        made.append(MaskFilm(film.path, path, "tumor", *place))
    return MaskDataset("masks", folder, tuple(made))


def with_boxes(films: Dataset, boxed: Sequence[str] = ()) -> BoxDataset:
    box = (TrueBox("", (4.0, 4.0, 40.0, 40.0)),)
    made = tuple(
        BoxFilm(f.path, box if f.part in boxed else (), "", None, f.patient_key, f.official, f.part)
        for f in some(films)
    )
    return BoxDataset("boxes", films.root, made)


def refused(name: str, data: Data) -> str:
    read: list[int] = []
    with pytest.raises(DataError, match=r"part 'select' of .* choose no epoch") as caught:
        objective(zoo.spec(name), data, recipe_for(name), (), lambda: read.append(1))
    assert len(read) == len(data.part("select").films), "before a train film is read"
    return str(caught.value)


def test_select_without_what_it_judges_is_refused_at_once(films: Dataset, tmp_path: Path) -> None:
    assert "is NORMAL" in refused(NAME, one_label(films, ["select"]))
    assert "has a mask" in refused(LUNGS, with_masks(films, tmp_path, ["train"]))
    assert "has a box" in refused(BOXES, with_boxes(films, ["train"]))


def test_nothing_is_written_where_select_is_refused(films: Dataset, tmp_path: Path) -> None:
    recipe = recipe_for(NAME, 1, quick=True)
    with pytest.raises(DataError, match=r"no film of .* is NORMAL"):
        train_network(NAME, one_label(films, ["select"]), recipe, TrainOptions(tmp_path, threads=1))
    assert not list(tmp_path.iterdir())


def test_a_card_is_written_whatever_the_tests_lack(
    films: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "CLONE_FOLDER", tmp_path / "none")
    sick = one_label(films, ["official-test"])
    recipe = recipe_for(NAME, 1, quick=True)
    _, state = train_network(NAME, sick, recipe, TrainOptions(tmp_path, threads=1))
    card = finish(NAME, sick, state, tmp_path / NAME)
    assert [row.what for row in card.measured] == [OWN]
    assert set(card.not_measured) == {OFFICIAL, NEW_PATIENTS}
    told = f"- {OFFICIAL}: all of 10 films have the label PNEUMONIA;"
    assert told in (tmp_path / NAME / f"{NAME}.md").read_text(encoding="utf-8")
    assert read_card(tmp_path / NAME / f"{NAME}.json") == card
    assert (
        "Not measured:" not in render(replace(card, not_measured={}), zoo.spec(NAME)).split("##")[1]
    )


class Same(nn.Module):
    """The same answer for every film."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.answer = nn.Parameter(torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        return self.answer.expand(len(x), *self.answer.shape)


def test_parts_without_masks_boxes_or_findings_are_told(films: Dataset, tmp_path: Path) -> None:
    none = with_masks(films, tmp_path)
    lungs = judge_masks(Same(1, 128, 128), none, zoo.spec(LUNGS))
    assert (lungs.masks, set(lungs.not_measured)) == ((), {OWN, OFFICIAL})
    half = with_masks(films, tmp_path, ["test"])
    lungs = judge_masks(Same(1, 128, 128), half, zoo.spec(LUNGS))
    assert [row.what for row in lungs.masks] == [OWN]
    assert lungs.not_measured == {OFFICIAL: "no film has a mask"}
    asked = judge_prompts(Same(1), with_masks(films, tmp_path), zoo.spec(PROMPTED))
    assert asked.not_measured == {OWN: "no film has a mask", OFFICIAL: "no film has a mask"}
    boxed = with_boxes(films, ["select", "test"])
    found = judge_boxes(Same(positions(256), 69), boxed, zoo.spec(BOXES))
    assert [row.what for row in found.boxes] == [OWN]
    assert found.not_measured == {f"{OFFICIAL}, TUMOUR": "no film has a box"}
    typed = replace(films, films=one_label(films, ["test", "select"]).part("test", "select").films)
    kinds = judge_findings(Same(2), typed, zoo.spec("pneumonia-type-224"), None)
    n = len(typed.part("test").films)
    assert kinds.not_measured == {
        f"{OWN}, BACTERIA": f"none of {n} films have the label",
        f"{OWN}, VIRUS": f"all of {n} films have the label",
    }


def test_test_films_of_a_train_patient_are_refused(films: Dataset) -> None:
    train = films.part("train").films[0]
    mixed = replace(films, films=(train, replace(train, part="test")))
    with pytest.raises(OverlapError):
        list(unseen_parts(mixed))
