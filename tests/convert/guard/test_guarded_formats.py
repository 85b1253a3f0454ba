"""TFLite and OpenVINO fall to chance as ONNX does, and the same search mends them."""

from pathlib import Path

import dead_units
import pytest

from clinicedge.convert import Conversion, ConvertOptions, convert_model
from clinicedge.convert.guard import openvino_driver
from clinicedge.runtime import load
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.guarding import Guarding
from clinicedge.runtime.manifest import Format

GUARD = 24


def _converted(format_: Format, root: Path) -> Conversion:
    data = dead_units.write_folder(root / "halves", {"train": 24, "select": 16, "guard": GUARD})
    recipes = ("fp32", "int8-static", "int8-guarded")
    wish = ConvertOptions(root, (format_,), (), recipes, data, calibration_films=24, trials=12)
    return convert_model(dead_units.source(), wish)


def _mended(format_: Format, done: Conversion) -> tuple[Guarding, str]:
    """How, and the layer in float; after what must hold in every format."""
    (failed,) = done.failed
    assert failed.artifact == f"{format_}/int8-static"
    assert failed.reason.startswith("against FP32, ")
    assert "int8-guarded leaves layers in float" in failed.reason
    bundle = load(done.folder)
    assert [a.recipe for a in bundle.manifest.artifacts] == ["fp32", "int8-guarded"]
    fp32, guarded = bundle.manifest.artifacts
    (left,) = (layer for layer in guarded.float_layers if layer.bytes_added is not None)
    assert left.snr_db is not None
    assert left.snr_db < 10
    assert guarded.guard is not None
    first, *_, last = (t for t in guarded.guard.trials if t.worst is not None)
    assert (first.float_layers, last.float_layers) == (0, 1)
    assert (first.worst or 0.0) > 1 >= (1.0 if last.worst is None else last.worst)
    assert (last.draft, last.bytes) == (False, guarded.bytes)
    assert guarded.accuracy[0].sensitivity.value > 0.8 < guarded.accuracy[0].specificity.value
    assert guarded.accuracy[0].auc.value >= fp32.accuracy[0].auc.value - 0.005
    result = check_acceptance(bundle, guarded.id, cache=False)
    assert result.passed, result.explain()
    return guarded.guard, left.name


def test_tflite(tmp_path: Path) -> None:
    done = _converted("tflite", tmp_path)
    guard, layer = _mended("tflite", done)
    assert layer == "1"
    assert "sensitivity loses" in done.failed[0].reason
    assert len(guard.trials) <= 6


@pytest.mark.slow
def test_openvino_by_drafts_of_every_method(tmp_path: Path, every_method: None) -> None:
    """Its ranks survive the noise better: not sensitivity, the AUC is lost."""
    done = _converted("openvino", tmp_path)
    guard, layer = _mended("openvino", done)
    assert layer.startswith("node_linear_1")
    assert "auc loses" in done.failed[0].reason
    drafted = [t.method for t in guard.trials if t.draft and t.snr_db is not None]
    assert drafted == list(openvino_driver.METHODS)
    assert any(t.draft and t.float_layers for t in guard.trials)
