"""A whole conversion of the network that static INT8 brings to chance; films that cannot
calibrate."""

from dataclasses import replace
from pathlib import Path

import dead_units
import numpy as np
import pytest

from clinicedge.convert import Conversion, ConvertOptions, convert_model
from clinicedge.convert.films import ConversionFilms, FilmSet
from clinicedge.convert.guard.calibration import refuse_films
from clinicedge.convert.guard.speed import known_speed
from clinicedge.convert.recipes import Recipe, chosen, defaults_of
from clinicedge.profiles.splits import key_hash
from clinicedge.runtime import load
from clinicedge.runtime.errors import ConversionError, DataError, OverlapError
from clinicedge.runtime.guarding import Guarding
from clinicedge.runtime.manifest import Artifact

GUARD = 24


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> ConvertOptions:
    root = tmp_path_factory.mktemp("guarded")
    data = dead_units.write_folder(root / "halves", {"train": 24, "select": 16, "guard": GUARD})
    recipes = ("fp32", "int8-guarded", "int8-static", "int8-dynamic")
    return ConvertOptions(
        root / "bundles", ("onnx",), (), recipes, data, calibration_films=24, trials=10
    )


@pytest.fixture(scope="module")
def done(options: ConvertOptions) -> Conversion:
    return convert_model(dead_units.source(), options)


@pytest.fixture(scope="module")
def guarded(done: Conversion) -> Artifact:
    return load(done.folder).artifact("onnx/int8-guarded")


@pytest.fixture(scope="module")
def guard(guarded: Artifact) -> Guarding:
    assert guarded.guard is not None
    return guarded.guard


def test_plain_int8_that_fell_to_chance_is_not_written_and_the_reason_is(done: Conversion) -> None:
    (failed,) = done.failed
    assert failed.artifact == "onnx/int8-static"
    found = ("sensitivity loses 1.0", "interval", "allowed", "int8-guarded leaves layers in float")
    for words in found:
        assert words in failed.reason
    assert {a.recipe for a in done.manifest.artifacts} == {"fp32", "int8-guarded", "int8-dynamic"}
    assert done.manifest.defaults == {"fp32": "fp32", "int8": "int8-guarded"}
    assert done.manifest.guard == dead_units.SPEC.budget


def test_the_guarded_one_left_the_layer_in_float_and_keeps_the_budget(
    guarded: Artifact, guard: Guarding, done: Conversion
) -> None:
    *tail, left = guarded.float_layers
    assert all(layer.bytes_added is None for layer in tail)
    assert left.name == "node_linear_1"
    assert left.snr_db is not None
    assert left.snr_db < 10
    assert left.bytes_added == guarded.bytes - guard.plain_bytes
    assert (guard.data, guard.part, guard.n_films) == ("halves", "guard", GUARD)
    assert {loss.figure for loss in guard.losses} == {"sensitivity", "specificity", "auc"}
    assert all(loss.value <= loss.allowed for loss in guard.losses)
    first, *_, last = guard.trials
    assert (first.float_layers, last.float_layers) == (0, 1)
    assert first.worst is not None
    assert last.worst is not None
    assert first.worst > 1 >= last.worst
    assert len(guard.trials) <= guard.limit == 10
    assert 0 < guard.float_share < 0.05
    assert any("back in float to keep the budget: node_linear_1" in note for note in done.notes)


def test_what_was_timed_lies_beside_the_manifest(done: Conversion, guarded: Artifact) -> None:
    speed = known_speed(done.folder, guarded)
    assert speed is not None
    assert speed.fp32_ms > 0
    assert speed.kept > 0
    assert b"plain_ms" not in (done.folder / "bundle.json").read_bytes()


def test_calibrated_recipes_name_their_films_and_dynamic_has_none(
    done: Conversion, guarded: Artifact
) -> None:
    assert guarded.calibration is not None
    assert guarded.calibration.method.startswith("minimum and maximum; onnxruntime")
    dynamic = load(done.folder).artifact("onnx/int8-dynamic")
    assert dynamic.calibration is None
    assert dynamic.guard is not None
    assert dynamic.guard.limit == len(dynamic.guard.trials) == 1
    assert "x86-64 AVX2" in guarded.safe_on


def test_a_search_that_was_interrupted_goes_on_where_it_stopped(
    done: Conversion, options: ConvertOptions
) -> None:
    again = convert_model(dead_units.source(), options)
    assert again.made == ()
    assert again.unchanged
    assert again.failed == done.failed


def test_a_format_without_means_says_so(options: ConvertOptions, tmp_path: Path) -> None:
    only = replace(options, out=tmp_path, formats=("tflite",), recipes=("int8-static-u8",))
    with pytest.raises(ConversionError, match="tflite files have no means for int8-static-u8"):
        convert_model(dead_units.source(), only)


def _films(calibration: FilmSet) -> ConversionFilms:
    select, guard = dead_units.films("select", 8, 0), dead_units.films("guard", 8, 1)
    return ConversionFilms(calibration, select, guard, ())


@pytest.mark.parametrize("count", [0, 1, 7])
def test_too_few_calibration_films(count: int) -> None:
    films = dead_units.films("train", count, 1)
    with pytest.raises(DataError, match=rf"are {count}, {count} of them different; .*at least 8"):
        refuse_films(_films(films), dead_units.SPEC)


def test_identical_calibration_films() -> None:
    films = dead_units.films("train", 20, 1)
    same = replace(films, pixels=np.repeat(films.pixels[:1], 20, axis=0))
    with pytest.raises(DataError, match="are 20, 1 of them different"):
        refuse_films(_films(same), dead_units.SPEC)


def test_films_of_another_size() -> None:
    films = dead_units.films("train", 20, 1)
    small = replace(films, pixels=films.pixels[:, ::2, ::2])
    with pytest.raises(DataError, match="films are 32 x 32, 'dead-units' takes 64 x 64"):
        refuse_films(_films(small), dead_units.SPEC)


def test_a_patient_who_calibrates_and_judges() -> None:
    films = dead_units.films("train", 20, 1)
    shared = replace(films, patients=("guard/3", *films.patients[1:]))
    with pytest.raises(OverlapError, match=f"1 patients .*{key_hash('guard/3')}"):
        refuse_films(_films(shared), dead_units.SPEC)
    refuse_films(_films(films), dead_units.SPEC)


def test_recipes_by_name_beside_those_of_the_precisions() -> None:
    assert chosen(("onnx",), ("int8", "fp32")) == (
        Recipe("onnx", "fp32"),
        Recipe("onnx", "int8-guarded"),
    )
    named = chosen(("tflite",), (), ("int8-dynamic",))
    assert named == (Recipe("tflite", "int8-dynamic"),)
    assert defaults_of(named) == {"int8": "int8-dynamic"}
    assert defaults_of((*named, Recipe("onnx", "int8-guarded"))) == {"int8": "int8-guarded"}
    with pytest.raises(ConversionError, match="recipe 'int9'; expected some of fp32"):
        chosen(("onnx",), (), ("int9",))
    with pytest.raises(ConversionError, match="precision none"):
        chosen(("onnx",), ())
