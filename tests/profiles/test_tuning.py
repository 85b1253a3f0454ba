"""Tuning measures, chooses among what may be chosen, and is taken by `auto`."""

from dataclasses import replace
from pathlib import Path

import pytest
import tiny_bundles as tiny

from clinicedge.profiles.measure import Rounds
from clinicedge.profiles.tuning import SAME_SPEED, table_path, thread_counts, tune
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.choices import Choice, read_choice, write_choice
from clinicedge.runtime.errors import AcceptanceError, OutputError

QUICK = Rounds(rounds=3, seconds=0.02, runs=10)


def silent(_done: int, _total: int, _what: str) -> None:
    pass


def only(bundle: Bundle, *ids: str) -> Bundle:
    artifacts = tuple(a for a in bundle.manifest.artifacts if a.id in ids)
    return replace(bundle, manifest=replace(bundle.manifest, artifacts=artifacts))


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, (1,)), (2, (1, 2)), (4, (1, 2, 4)), (6, (1, 2, 4, 6))]
)
def test_thread_counts(cores: int, counts: tuple[int, ...]) -> None:
    assert thread_counts(cores) == counts


def test_the_fastest_is_remembered_and_auto_takes_it(tmp_path: Path) -> None:
    bundle = tiny.binary(tmp_path / "two", formats=("onnx", "openvino"))
    result = tune(bundle, QUICK, silent, threads=(1,))
    assert {r.artifact for r in result.rows} == {"onnx/fp32", "openvino/fp32"}
    assert [r.p50_ms for r in result.rows] == sorted(r.p50_ms for r in result.rows)
    chosen = next(r for r in result.rows if r.artifact == result.choice.artifact)
    assert chosen.p50_ms <= SAME_SPEED * result.rows[0].p50_ms
    assert not result.rejected
    assert read_choice(bundle.id) == result.choice
    assert table_path(bundle.id).is_file()
    report = bundle.predictor().report
    assert report.artifact == result.choice.artifact
    assert report.session.threads == 1


def test_an_artifact_that_decides_otherwise_is_not_chosen(bundle: Bundle) -> None:
    both = only(bundle, "onnx/int8-guarded", "openvino/int8-guarded")
    first, second = both.manifest.artifacts
    worse = replace(first, parity=replace(first.parity, decision_agreement=0.97))
    changed = replace(both, manifest=replace(both.manifest, artifacts=(worse, second)))
    result = tune(changed, QUICK, silent, threads=(1,))
    assert result.choice.artifact == second.id
    assert [(r.artifact, "97.0%" in r.reason) for r in result.rejected] == [(first.id, True)]


def test_a_changed_file_is_not_chosen_and_nothing_left_is_an_error(bundle: Bundle) -> None:
    one = only(bundle, "onnx/int8-guarded")
    path = bundle.folder / one.manifest.artifacts[0].graphs[0].files[0].path
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(AcceptanceError, match="onnx/int8-guarded"):
        tune(one, QUICK, silent, threads=(1,))
    assert read_choice(bundle.id) is None


def test_an_unwritable_state_folder_is_refused_before_measuring(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("CLINICEDGE_STATE", str(tmp_path / "file"))
    steps: list[str] = []
    with pytest.raises(OutputError, match="cannot write"):
        tune(bundle, QUICK, lambda _done, _total, what: steps.append(what))
    assert not steps


def test_a_choice_for_another_engine_version_is_stale(bundle: Bundle) -> None:
    write_choice(bundle.id, Choice("openvino/int8-guarded", "int8", "openvino", 1, "openvino 0.0"))
    untuned = bundle.predictor(order=("onnxruntime",)).report.artifact
    assert untuned.startswith("onnx/")
