"""A whole conversion of the network that static INT8 brings to chance; films that cannot
calibrate."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import dead_units
import numpy as np
import pytest

import clinicedge.convert
from clinicedge.cli import main
from clinicedge.convert import Conversion, ConvertOptions, convert_model, notes
from clinicedge.convert.films import ConversionFilms, FilmSet
from clinicedge.convert.guard import onnx_driver
from clinicedge.convert.guard.calibration import refuse_films
from clinicedge.convert.guard.driver import PROCESSORS, Quantization
from clinicedge.convert.guard.search import CLEARLY_DB
from clinicedge.convert.guard.speed import MachineSpeed, known_speed
from clinicedge.convert.parity import Comparison, refuse_no_numbers
from clinicedge.convert.recipes import Recipe, chosen, defaults_of
from clinicedge.convert.steps import CACHE, Steps
from clinicedge.profiles.machine import this_machine
from clinicedge.profiles.splits import key_hash
from clinicedge.runtime import load
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.errors import ConversionError, DataError, OverlapError, ParityError
from clinicedge.runtime.guarding import Guarding
from clinicedge.runtime.manifest import Artifact
from clinicedge.runtime.records import to_json

GUARD = 24
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> ConvertOptions:
    root = tmp_path_factory.mktemp("guarded")
    data = dead_units.write_folder(root / "halves", {"train": 24, "select": 16, "guard": GUARD})
    recipes = ("fp32", "int8-guarded", "int8-static", "int8-dynamic")
    return ConvertOptions(
        root / "bundles",
        ("onnx",),
        (),
        recipes,
        data,
        calibration_films=24,
        trials=10,
        temperature=True,
        explain_quantization=True,
    )


@pytest.fixture(scope="module")
def done(options: ConvertOptions, every_method: None) -> Conversion:
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
    first, *_, last = (trial for trial in guard.trials if trial.worst is not None)
    assert (first.float_layers, last.float_layers) == (0, 1)
    assert first.worst is not None
    assert last.worst is not None
    assert first.worst > 1 >= last.worst
    assert len(guard.trials) <= guard.limit == 10
    assert 0 < guard.float_share < 0.05
    assert any("back in float to keep the budget: node_linear_1" in note for note in done.notes)


def test_several_methods_are_compared_by_the_noise_of_their_scores(
    guard: Guarding, guarded: Artifact, done: Conversion
) -> None:
    compared = {t.method: t.snr_db for t in guard.trials if t.snr_db is not None}
    assert set(compared) == set(onnx_driver.METHODS)
    assert len(set(compared.values())) > 1
    chosen_one = guard.trials[-1].method
    assert compared[chosen_one] >= max(compared.values()) - CLEARLY_DB
    assert guarded.calibration is not None
    assert guarded.calibration.method == onnx_driver.words(Quantization("int8-static", chosen_one))
    (note,) = (n for n in done.notes if "trials" in n)
    assert f": {len(guard.trials)} of at most 10 trials, calibration by {chosen_one}, not" in note


def test_what_was_timed_lies_beside_the_manifest(done: Conversion, guarded: Artifact) -> None:
    speed = known_speed(done.folder, guarded)
    assert speed is not None
    assert speed.machine == this_machine()
    assert min(speed.fp32_ms, speed.plain_ms, speed.guarded_ms) > 0
    assert notes.of_speed(guarded, speed) in done.notes
    assert b"plain_ms" not in (done.folder / "bundle.json").read_bytes()


@pytest.mark.parametrize(("guarded_ms", "kept"), [(2.0, 1.0), (2.35, 0.851), (2.5, 0.8)])
def test_the_note_says_where_less_than_85_percent_of_the_speed_up_is_kept(
    guarded: Artifact, guarded_ms: float, kept: float
) -> None:
    """Made-up timings: plain INT8 is five times as fast as FP32."""
    speed = MachineSpeed(this_machine(), "2026-01-01T00:00:00", 2, 10.0, 2.0, guarded_ms)
    assert speed.kept == pytest.approx(kept, abs=1e-3)
    assert speed.kept == pytest.approx((10.0 / guarded_ms) / (10.0 / 2.0))
    told = notes.of_speed(guarded, speed)
    assert f"10.00 ms of FP32 on this machine: {kept:.0%} of the speed-up" in told
    assert ("less than the 85% that it should be" in told) == (kept < 0.85)


def test_what_each_layer_loses_lies_beside_the_manifest(
    done: Conversion, guarded: Artifact
) -> None:
    reports = {report.artifact: report for report in done.quantization}
    assert set(reports) == {"onnx/int8-guarded", "onnx/int8-dynamic"}
    layers = reports[guarded.id].layers
    assert [x.name for x in layers if x.in_float] == ["node_linear_1", "node_Gemm_4"]
    assert all(layer.snr_db is not None for layer in layers)
    page = (done.folder / "report/quantization.html").read_text(encoding="utf-8")
    for artifact in map(load(done.folder).artifact, reports):
        kept = done.folder / "measurements" / f"{artifact.sha256}-quantization.json"
        assert json.loads(kept.read_bytes()) == to_json(reports[artifact.id])
        name = artifact.id.replace("/", "-")
        assert (done.folder / f"report/quantization-{name}.png").stat().st_size > 1000
        assert f"<h2>{artifact.id}</h2>" in page
    assert b"noise_added" not in (done.folder / "bundle.json").read_bytes()


def test_acceptance_passes_with_the_temperatures_of_the_manifest(done: Conversion) -> None:
    bundle = load(done.folder)
    fitted = {t.artifact: t.value for t in bundle.manifest.temperatures}
    assert set(fitted) == {a.id for a in bundle.manifest.artifacts}
    assert all(value != 1.0 for value in fitted.values())
    for artifact in bundle.manifest.artifacts:
        (score,) = artifact.reliability
        assert score.unscaled is not None
        result = check_acceptance(bundle, artifact.id, cache=False)
        assert result.passed, result.explain()


def test_the_command_shows_what_the_search_cost(
    done: Conversion, guard: Guarding, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """The command with its options, over the conversion that is made already."""
    asked: list[ConvertOptions] = []

    def made(_what: str, options: ConvertOptions, *_: object) -> Conversion:
        asked.append(options)
        return done

    monkeypatch.setattr(clinicedge.convert, "convert", made)
    words = ["convert", "dead-units", "--temperature", "--explain-quantization"]
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main([*words, "--json"])
    assert end.value.code == 1, "int8-static is missing"
    assert asked[0].temperature
    assert asked[0].explain_quantization
    found = json.loads(capsys.readouterr().out)
    searched = {record["artifact"]: record for record in found["guard"]}
    assert set(searched) == {"onnx/int8-guarded", "onnx/int8-dynamic"}
    record = searched["onnx/int8-guarded"]
    assert (record["model"], record["limit"]) == ("dead-units", 10)
    assert record["trials"] == to_json(guard.trials)
    assert record["calibration"].startswith("minimum and maximum")
    assert [r["artifact"] for r in found["quantization"]] == list(searched)
    assert [f["artifact"] for f in found["failed"]] == ["onnx/int8-static"]
    with pytest.raises(SystemExit):
        main(words)
    out = " ".join(capsys.readouterr().out.split())
    for told in ("of at most 10 trials, calibration by", "the layers that lose most", "lost AUC"):
        assert told in out


@pytest.fixture
def elsewhere(options: ConvertOptions, done: Conversion, tmp_path: Path) -> ConvertOptions:
    """Another folder for the bundle, with all steps of the conversion above in its cache."""
    shutil.copytree(options.out / CACHE, tmp_path / CACHE)
    return replace(options, out=tmp_path, explain_quantization=False)


def test_calibrated_recipes_name_their_films_and_dynamic_has_none(
    done: Conversion, guarded: Artifact
) -> None:
    assert guarded.calibration is not None
    assert guarded.calibration.method.startswith("minimum and maximum; onnxruntime")
    dynamic = load(done.folder).artifact("onnx/int8-dynamic")
    assert dynamic.calibration is None
    assert dynamic.guard is not None
    assert dynamic.guard.limit == len(dynamic.guard.trials) == 1
    assert guarded.safe_on == PROCESSORS


def test_a_search_that_was_interrupted_goes_on_where_it_stopped(
    done: Conversion, options: ConvertOptions
) -> None:
    again = convert_model(dead_units.source(), options)
    assert again.made == ()
    assert again.unchanged
    assert again.failed == done.failed


def test_an_int8_that_decides_otherwise_than_the_network_is_missing_alone(
    elsewhere: ConvertOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on guard films without labels: within the budget of two, but below the agreement."""
    known = Steps.compare

    def compare(steps: Steps, recipe: Recipe, *others: Any) -> Comparison:
        found = known(steps, recipe, *others)
        if recipe.name != "int8-guarded":
            return found
        return replace(found, parity=replace(found.parity, decision_agreement=0.875))

    monkeypatch.setattr(Steps, "compare", compare)
    found = convert_model(dead_units.source(), elsewhere)
    assert [a.recipe for a in load(found.folder).manifest.artifacts] == ["fp32", "int8-dynamic"]
    missing = {failed.artifact: failed.reason for failed in found.failed}
    assert set(missing) == {"onnx/int8-static", "onnx/int8-guarded"}
    assert "agreement 0.875, at least 0.9 expected" in missing["onnx/int8-guarded"]


def test_a_smaller_precision_without_numbers_is_missing_alone(
    elsewhere: ConvertOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Steps.compare

    def compare(steps: Steps, recipe: Recipe, *others: Any) -> Comparison:
        refuse_no_numbers(recipe.artifact_id, recipe.precision, recipe.precision != asked)
        return known(steps, recipe, *others)

    monkeypatch.setattr(Steps, "compare", compare)
    both = replace(elsewhere, recipes=("fp32", "fp16"))
    asked = "fp16"
    found = convert_model(dead_units.source(), both)
    (failed,) = found.failed
    assert failed.artifact == "onnx/fp16"
    assert "NaN or infinite" in failed.reason
    assert [a.id for a in load(found.folder).manifest.artifacts] == ["onnx/fp32"]
    asked = "fp32"
    with pytest.raises(ParityError, match="onnx/fp32: some of its outputs"):
        convert_model(dead_units.source(), both)


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
