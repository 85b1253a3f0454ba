"""`clinicedge models`"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clinicedge.models import weights
from clinicedge.models.zoo import chest_names, names


def test_the_table_names_every_model(ce: Callable[..., Any]) -> None:
    ran = ce("models")
    assert ran.code == 0
    for name in names():
        assert name in ran.out
    assert "…" not in ran.out


def test_json_tells_task_input_and_forms(ce: Callable[..., Any]) -> None:
    found = {m["name"]: m for m in json.loads(ce("models", "--json").out)["models"]}
    assert list(found) == list(names())
    five = found["densenet121-224"]
    assert (five["task"], five["own_weights"]) == ("findings", True)
    assert five["input"] == {"channels": 3, "height": 224, "width": 224, "resize": "stretch"}
    assert five["cost"]["params_trainable"] == 6_958_981
    for name, model in found.items():
        assert set(model["forms"]) == {"plain"} | ({"on-lungs"} & {*_lungs(name)})


def _lungs(name: str) -> tuple[str, ...]:
    return ("on-lungs",) if name in chest_names() else ()


def test_weights_of_both_forms(
    ce: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A form on lungs needs the lungs' weights too."""
    monkeypatch.setattr(weights, "CLONE_FOLDER", tmp_path / "clone")
    folder = tmp_path / "w"
    folder.mkdir()
    for name in ("resnet50-224", "resnet50-224-lung-crop"):
        (folder / f"{name}.safetensors").touch()

    def forms() -> dict[str, dict[str, str | None]]:
        told = json.loads(ce("models", "--json", "--weights", folder).out)["models"]
        (one,) = (m["forms"] for m in told if m["name"] == "resnet50-224")
        return dict(one)

    assert forms()["plain"]["weights"] == str(folder / "resnet50-224.safetensors")
    assert forms()["on-lungs"]["weights"] is None
    (folder / "lungs-128.safetensors").touch()
    assert forms()["on-lungs"]["weights"] == str(folder / "resnet50-224-lung-crop.safetensors")


def test_a_folder_that_is_not_there_is_an_error(ce: Callable[..., Any], tmp_path: Path) -> None:
    ran = ce("models", "--weights", tmp_path / "none")
    assert ran.code == 2
    assert "does not exist" in ran.err


def test_json_says_where_published_figures_are_wrong(ce: Callable[..., Any]) -> None:
    found = json.loads(ce("models", "--json").out)
    wrong = {m["name"] for m in found["models"] if m.get("published", {}).get("note")}
    assert len(wrong) == 5
    assert "mobilenet-0.25-192" in wrong
    assert "three of the four" in found["note"]


def test_the_published_table_marks_them(ce: Callable[..., Any]) -> None:
    ran = ce("models", "--published")
    assert ran.out.count("*") == 5 + 2
    assert "misprint of 30" in ran.out


def test_an_unknown_model_is_refused(ce: Callable[..., Any]) -> None:
    ran = ce("train", "mobilenet-9", "--data", ".")
    assert ran.code == 2
    assert ran.err.startswith("error: no model 'mobilenet-9'")
