"""Thresholds that bind to nothing, where convert binds every one."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny_bundles as tiny

from clinicedge.runtime.errors import SchemaError
from clinicedge.runtime.guarding import Budget


def test_a_new_bundle_whose_threshold_binds_to_nothing_is_refused(tmp_path: Path) -> None:
    """A budget is there since thresholds are bound: with one, "" is a hash that was taken out."""
    manifest = tiny.binary(tmp_path / "made").manifest
    with pytest.raises(SchemaError, match="bound to no artifact") as told:
        tiny.write(tmp_path / "new", replace(manifest, guard=Budget()))
    assert "threshold for 'PNEUMONIA' of onnx/fp32" in str(told.value)
    assert manifest.artifacts[0].sha256[:12] in str(told.value)
    own = tuple(
        replace(t, artifact_sha256=manifest.artifacts[0].sha256) for t in manifest.thresholds
    )
    tiny.write(tmp_path / "bound", replace(manifest, guard=Budget(), thresholds=own))


def test_a_bundle_from_before_budgets_opens(tmp_path: Path) -> None:
    made = tiny.binary(tmp_path / "made")
    assert {t.artifact_sha256 for t in made.manifest.thresholds} == {""}
    assert made.threshold("onnx/fp32", "f32", "PNEUMONIA") == 0.5
