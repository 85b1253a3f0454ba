"""A checkpoint of the user's own with the card that training wrote beside it."""

import json
import shutil
from pathlib import Path

import pytest

from clinicedge.convert.user_source import UserModel, load_user_source
from clinicedge.convert.zoo_source import NOT_RECORDED, load_source
from clinicedge.models import weights, zoo
from clinicedge.runtime.errors import CheckpointError

NAME = "mobilenet-0.25-128"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """mine.safetensors and mine.json: a copy of what a training run left."""
    file = tmp_path / "mine.safetensors"
    found = weights.find(zoo.spec(NAME), ())
    shutil.copy(found, file)
    shutil.copy(found.with_suffix(".json"), file.with_suffix(".json"))
    return file


def test_the_card_says_whose_films_trained_it(mine: Path) -> None:
    source, notes = load_user_source(UserModel(str(mine), model=NAME))
    ours = load_source(NAME)
    assert source.hygiene is not None
    assert (source.hygiene, source.thresholds) == (ours.hygiene, ours.thresholds)
    assert (source.training_data, source.weights_date) == (ours.training_data, ours.weights_date)
    assert any(ours.training_data in note for note in notes)


def test_a_spec_with_other_labels_takes_no_threshold_from_the_card(mine: Path) -> None:
    spec = mine.with_name("mine.toml")
    spec.write_text('name = "mine"\nversion = "2"\n')
    same, _ = load_user_source(UserModel(str(mine), model=NAME, spec=spec))
    assert same.thresholds == load_source(NAME).thresholds
    spec.write_text('name = "mine"\nlabels = ["WELL", "SICK"]\npositive = "SICK"\n')
    other, _ = load_user_source(UserModel(str(mine), model=NAME, spec=spec))
    assert other.thresholds == {}
    assert other.hygiene == same.hygiene


def test_a_card_of_other_weights_is_refused(mine: Path) -> None:
    card = json.loads(mine.with_suffix(".json").read_bytes())
    mine.with_suffix(".json").write_text(json.dumps({**card, "weights_sha256": "0" * 64}))
    with pytest.raises(CheckpointError, match="card of weights with sha256 000000000000"):
        load_user_source(UserModel(str(mine), model=NAME))


@pytest.mark.parametrize("text", [None, "[1]", "{}", "no json", "3"])
def test_what_is_no_card_says_nothing(mine: Path, text: str | None) -> None:
    beside = mine.with_suffix(".json")
    beside.unlink()
    if text is not None:
        beside.write_text(text)
    source, _ = load_user_source(UserModel(str(mine), model=NAME))
    assert (source.hygiene, source.thresholds) == (None, {})
    assert source.training_data == NOT_RECORDED
