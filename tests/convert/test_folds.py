"""Three folds become an ensemble: trained, converted under names of their own, put together."""

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from clinicedge.cli import main
from clinicedge.convert import exporting, label_judge, steps
from clinicedge.convert.ensembles import EnsembleWish, write_ensemble
from clinicedge.convert.user_source import UserModel, load_user_source
from clinicedge.convert.zoo_source import load_source
from clinicedge.models import mobilenets, zoo
from clinicedge.models.family import Family
from clinicedge.models.layers import Cost
from clinicedge.models.training.recipe import Recipe
from clinicedge.models.training.run import TrainOptions, train_network
from clinicedge.models.training.targets import read_data
from clinicedge.profiles.datasets import read_findings_dataset
from clinicedge.profiles.evaluate_parts import used_patients
from clinicedge.profiles.metrics import pick_threshold_f1
from clinicedge.runtime import load, phantom, read_film
from clinicedge.runtime.errors import (
    ConversionError,
    ModelError,
    OverlapError,
    UnknownModelError,
    WeightsMissingError,
)
from clinicedge.runtime.predictions import Findings
from clinicedge.runtime.spec import ModelSpec, OutputSpec

from .user_files import findings_row, write_data

if TYPE_CHECKING:
    from torch import nn

NAME = "tiny-findings-64"
LABELS = ("A", "B")
FOLDS = tuple(f"{NAME}-fold-{k}" for k in (1, 2, 3))
PATIENTS = {"train": 18, "select": 12, "guard": 12, "test": 12}


def _spec(name: str) -> ModelSpec:
    base = mobilenets.spec("mobilenet-0.25-128")
    return replace(
        base,
        name=name,
        task="findings",
        input=replace(base.input, height=64, width=64),
        outputs=(OutputSpec("logits", "logits", (2,), "sigmoid", LABELS, None),),
        explanation=None,
        weights=replace(base.weights, file=f"{name}.safetensors"),
    )


def _build(_: str) -> "nn.Module":
    import torch
    from torch import nn

    network = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=4, padding=2),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 2),
    )
    with torch.no_grad():
        for value in network.parameters():
            value.mul_(2)  # so that films score apart
    return network


def _cost(_: str) -> Cost:
    return mobilenets.FAMILY.cost("mobilenet-0.25-128")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """films/, and in bundles/ what three runs of `train` and of `convert` made of them."""
    root = tmp_path_factory.mktemp("folds")
    write_data(root / "films", PATIENTS, ("findings",), findings_row)
    tiny = Family((NAME,), _spec, _build, _cost, chest=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zoo, "_FAMILIES", (*zoo._FAMILIES, tiny))
        # A process for each step takes a minute of this test's time; others test that.
        for module in (exporting, label_judge, steps):
            patch.setattr(module, "call", _here)
        for number, fold in enumerate(FOLDS, start=1):
            run = ["train", NAME, "--fold", f"{number}/3", "--quick", "--epochs", "1"]
            _cli(root, *run, "--out", str(root / "runs"), "--threads", "1")
            only = ("--formats", "onnx", "--precisions", "fp32", "--min-agreement", "0.5")
            _cli(root, "convert", fold, "--weights", str(root / "runs" / fold), *only,
                 "--out", str(root / "bundles"))  # fmt: skip
        yield root


def _here(function: Callable[..., object], *args: object) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*args)


def _cli(root: Path, *words: str) -> None:
    data = () if "--data" in words else ("--data", str(root / "films"))
    with pytest.raises(SystemExit) as end:
        main([*words, *data])
    assert not end.value.code, words


def _members(desk: Path) -> tuple[Path, ...]:
    return tuple(desk / "bundles" / fold for fold in FOLDS)


def test_a_fold_keeps_its_card_s_patients_and_thresholds(desk: Path) -> None:
    whole = read_findings_dataset(desk / "films", LABELS)
    trained = set(whole.part("train").key_hashes())
    left_out: set[str] = set()
    for fold in FOLDS:
        card = json.loads((desk / "runs" / fold / f"{fold}.json").read_bytes())
        assert (card["name"], card["weights_file"]) == (fold, f"{fold}.safetensors")
        manifest = load(desk / "bundles" / fold).manifest
        assert manifest.name == fold
        record = next(h for h in manifest.data if "then fold" in h.split)
        keys = {p.part: set(p.patient_keys.split()) for p in record.parts}
        assert keys["train"] < trained
        left_out |= trained & keys["select"]
        provenance = manifest.provenance
        assert provenance is not None
        assert provenance.training_data.startswith("films: train ")
        assert set(card["thresholds"]) == set(LABELS)
    assert left_out == trained


def test_three_folds_answer_as_one(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    words = ["pipeline", "ensemble", *map(str, _members(desk)), "--name", "all", "--out"]
    _cli(desk, *words, str(tmp_path))
    shown = capsys.readouterr().out
    bundle = load(tmp_path / "all")
    opened = [load(m).predictor(threads=1) for m in _members(desk)]
    select = read_findings_dataset(desk / "films", LABELS).part("select")
    films = [read_film(f.path) for f in select.films]
    scores = np.mean([[_scores(p.predict(f)) for f in films] for p in opened], axis=0)
    for k, threshold in enumerate(bundle.manifest.thresholds):
        expected, rule = pick_threshold_f1(scores[:, k], select.findings(LABELS)[:, k])
        assert threshold.label == LABELS[k]
        assert threshold.value == pytest.approx(expected, abs=1e-6)
        assert (threshold.data, threshold.rule) == ("films", rule)
        assert f"threshold of {threshold.label}: {threshold.value:.4f}, largest F1" in shown
    film = phantom.draw(phantom.Phantom(seed=3, height=96, width=128))
    answer = bundle.predictor(threads=1).predict(film)
    assert len({round(_scores(p.predict(film))[0], 6) for p in opened}) == 3
    assert np.ptp(scores, axis=0).min() > 1e-3
    assert isinstance(answer, Findings)
    mean = np.mean([_scores(p.predict(film)) for p in opened], axis=0)
    np.testing.assert_allclose(_scores(answer), mean, atol=1e-6)


def _scores(answer: object) -> list[float]:
    assert isinstance(answer, Findings)
    return [f.score for f in answer.findings]


def test_films_that_a_member_knows_are_refused(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What one fold left out, another has trained on, and the first was chosen by it."""
    films = desk / "films"
    written = write_ensemble(EnsembleWish("all", _members(desk), films), tmp_path)
    assert not written.notes
    for part in ("train", "select", "guard"):
        with pytest.raises(SystemExit) as end:
            main(["evaluate", str(written.folder), "--data", str(films), "--part", part])
        assert end.value.code == 2
        assert "would be inflated" in capsys.readouterr().err
    whole = read_findings_dataset(films, LABELS)
    used = used_patients(load(written.folder))
    assert used["train"] == used["select"] - set(whole.part("select").key_hashes())
    assert not set(whole.part("test").key_hashes()) & frozenset().union(*used.values())


def test_films_of_another_folder_that_set_the_threshold_are_recorded(
    desk: Path, tmp_path: Path
) -> None:
    others = write_data(tmp_path / "others", PATIENTS, ("findings",), findings_row)
    written = write_ensemble(EnsembleWish("all", _members(desk), others), tmp_path)
    (record,) = [h for h in written.manifest.data if h.data == "others"]
    assert [p.part for p in record.parts] == ["select"]
    assert record.parts[0].film_hashes
    select = set(read_findings_dataset(others, LABELS).part("select").key_hashes())
    assert select <= used_patients(load(written.folder))["select"]


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_member_s_own_films_set_no_threshold(part: str, desk: Path, tmp_path: Path) -> None:
    first, *others = _members(desk)
    changed = tmp_path / "bundles" / first.name
    shutil.copytree(first, changed)
    raw = json.loads((changed / "bundle.json").read_bytes())
    for record in raw["data"]:
        record["parts"] = [
            {**p, "part": {"select": part, part: "select"}.get(p["part"], p["part"])}
            for p in record["parts"]
        ]
    (changed / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")
    wish = EnsembleWish("all", (changed, *others), desk / "films")
    with pytest.raises(OverlapError, match=f"'select' of films and the .* of {first.name}"):
        write_ensemble(wish, tmp_path)


def test_what_a_fold_s_name_is_and_is_not(desk: Path, tmp_path: Path) -> None:
    assert zoo.spec("densenet121-224-lung-crop-fold-2").input.region == "lungs"
    assert zoo.needs_user_weights("densenet121-224-fold-1")
    assert FOLDS[0] not in zoo.names()
    with pytest.raises(UnknownModelError):
        zoo.spec(f"{NAME}-fold-0")
    with pytest.raises(WeightsMissingError, match=f"train {NAME} --fold 2/N"):
        load_source(FOLDS[1], (tmp_path,))
    data = read_data(zoo.spec(NAME), desk / "films")
    with pytest.raises(ModelError, match=f"train {NAME} --fold K/N"):
        train_network(FOLDS[0], data, Recipe(epochs=1), TrainOptions(tmp_path))


def test_a_checkpoint_from_elsewhere_as_a_fold(tmp_path: Path) -> None:
    import torch

    torch.save(zoo.build("mobilenet-0.25-128").state_dict(), tmp_path / "one.pth")
    asked = UserModel(str(tmp_path / "one.pth"), model="mobilenet-0.25-128-fold-3")
    source, _ = load_user_source(asked)
    assert source.spec.name == "mobilenet-0.25-128-fold-3"
    assert source.hygiene is None


def test_bundles_of_one_name_are_told_where_a_name_comes_from(desk: Path, tmp_path: Path) -> None:
    first = _members(desk)[0]
    again = tmp_path / "again" / first.name
    shutil.copytree(first, again)
    with pytest.raises(ConversionError, match=r"both named .*NAME-fold-K.*--spec"):
        write_ensemble(EnsembleWish("all", (first, again)), tmp_path)
    with pytest.raises(ConversionError, match="another --name"):
        write_ensemble(EnsembleWish(first.name, _members(desk)), tmp_path)


def test_a_threshold_that_no_film_set_is_told(
    desk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    words = ["pipeline", "ensemble", *map(str, _members(desk)), "--name", "unset"]
    with pytest.raises(SystemExit) as end:
        main([*words, "--out", str(tmp_path)])
    assert not end.value.code
    assert "threshold of A: 0.5000, not set on data; --data DIR" in capsys.readouterr().out
