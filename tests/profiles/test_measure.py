"""Costs are measured in fresh processes and kept beside the bundle."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from clinicedge.profiles.costs import CostReport, LatencyRecord, cost, keep
from clinicedge.profiles.devices import device
from clinicedge.profiles.machine import this_machine
from clinicedge.profiles.measure import Cell, Rounds, cells, interleave, sample
from clinicedge.profiles.profiling import measure_bundle
from clinicedge.profiles.worker import Job, Sample
from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.engines import engines
from clinicedge.runtime.errors import EngineError, OutputError
from clinicedge.runtime.records import from_json, to_json

QUICK = Rounds(rounds=2, seconds=0.02, runs=10)


def silent(_done: int, _total: int, _what: str) -> None:
    pass


def test_every_artifact_has_a_cell_for_each_engine_of_its_format(bundle: Bundle) -> None:
    found, skipped = cells(bundle, (1, 2))
    installed = [n for n, e in engines().items() if e.version() is not None]
    expected = {
        (a.id, n, t)
        for a in bundle.manifest.artifacts
        for n in installed
        if a.format in engines()[n].formats
        for t in (1, 2)
    }
    assert {(c.artifact, c.engine, c.threads) for c in found} == expected
    assert all(c.validated for c in found)
    assert all(s.engine not in installed for s in skipped)


def test_bf16_is_a_row_of_its_own_and_marked(bundle: Bundle) -> None:
    int8 = bundle.artifact("openvino/int8-guarded")
    fp32 = replace(int8, id="openvino/fp32", recipe="fp32", precision="fp32", computes=("f32",))
    both = replace(bundle, manifest=replace(bundle.manifest, artifacts=(int8, fp32)))
    plain, _ = cells(both, (1,))
    more, _ = cells(both, (1,), bf16=True)
    extra = set(more) - set(plain)
    assert {(c.artifact, c.engine, c.compute, c.validated) for c in extra} == {
        ("openvino/fp32", "openvino", "bf16", False)
    }


def test_rounds_are_interleaved_and_start_elsewhere() -> None:
    wanted = [Cell(name, "e", "f32", 1) for name in "abc"]
    asked: list[tuple[str, int]] = []
    steps: list[tuple[int, int]] = []
    interleave(
        wanted,
        3,
        lambda cell, number: asked.append((cell.artifact, number)),
        lambda done, total, _what: steps.append((done, total)),
    )
    assert [name for name, _ in asked] == list("abcbcacab")
    assert [number for _, number in asked] == [0] * 3 + [1] * 3 + [2] * 3
    assert steps == [(n, 9) for n in range(10)]


def test_a_bundle_is_measured_kept_and_read_back(bundle: Bundle) -> None:
    small = replace(
        bundle, manifest=replace(bundle.manifest, artifacts=bundle.manifest.artifacts[:2])
    )
    steps: list[int] = []
    report = measure_bundle(
        small, device("laptop"), 1, QUICK, lambda done, _total, _what: steps.append(done)
    )
    assert not report.skipped
    assert steps == sorted(steps)
    assert report.machine == this_machine()
    for one in report.costs:
        assert one.bytes == small.artifact(one.artifact).bytes
        assert (one.rounds, one.threads) == (2, 1)
        assert 10 <= one.runs <= 20
        assert 0 < one.p50_ms <= one.p90_ms <= one.p99_ms
        assert one.load_ms > 0
        assert one.import_ms > 0
        assert 20 < one.peak_rss_mb < 400
        assert one.over_budget == ()
    paths = keep(small, report)
    assert {p.name for p in paths} == {f"{a.sha256}-latency.json" for a in small.manifest.artifacts}
    record = from_json(LatencyRecord, json.loads(paths[0].read_bytes()), "record")
    assert record.entries[0].costs == tuple(
        c for c in report.costs if c.artifact_sha256 == record.artifact_sha256
    )


def a_report(bundle: Bundle) -> CostReport:
    artifact = bundle.manifest.artifacts[0]
    cell = Cell(artifact.id, "onnxruntime", artifact.computes[0], 1)
    taken = Sample("e 1", "cpu", "f32", 1, 10.0, 20.0, 3.0, (1.0, 2.0, 3.0), 40.0, 50.0)
    later = replace(taken, steady_ms=(2.0, 4.0, 6.0), load_ms=30.0, peak_rss_mb=60.0)
    one = cost(bundle, cell, [taken, later], device("laptop").budget)
    return CostReport(
        1, bundle.manifest.name, bundle.id, "laptop", this_machine(), "now", 0.0, (one,), ()
    )


def test_rounds_are_put_together(bundle: Bundle) -> None:
    one = a_report(bundle).costs[0]
    assert (one.load_ms, one.peak_rss_mb, one.runs) == (25.0, 60.0, 6)
    assert one.p50_ms == 2.5
    assert one.round_p50_ms == (2.0, 4.0)


def test_other_machines_entries_stay(bundle: Bundle) -> None:
    mine = a_report(bundle)
    pi = replace(mine, machine=replace(mine.machine, id="0" * 16))
    keep(bundle, pi)
    keep(bundle, mine)
    path = keep(bundle, replace(mine, date="later"))[0]
    record = from_json(LatencyRecord, json.loads(path.read_bytes()), "record")
    assert [(e.machine.id, e.date) for e in record.entries] == [
        ("0" * 16, "now"),
        (mine.machine.id, "later"),
    ]


def test_an_unwritable_measurements_folder_is_said(bundle: Bundle) -> None:
    (bundle.folder / "measurements").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"):
        keep(bundle, a_report(bundle))


def test_what_exceeds_the_budget_is_named(bundle: Bundle) -> None:
    artifact = bundle.manifest.artifacts[0]
    tight = replace(
        device("laptop").budget, latency_ms=0.5, peak_rss_mb=10.0, bundle_mb=artifact.bytes / 2e6
    )
    taken = Sample("e 1", "cpu", "f32", 1, 1.0, 1.0, 1.0, (1.0,), 40.0, 50.0)
    cell = Cell(artifact.id, "onnxruntime", artifact.computes[0], 1)
    words = cost(bundle, cell, [taken], tight).over_budget
    assert [w.split(" ")[0] for w in words] == ["p90", "peak", "size"]
    assert words[0] == "p90 1 ms, budget 0.5 ms"


@pytest.fixture
def job(bundle: Bundle) -> Callable[..., Job]:
    def make(artifact: str = "onnx/int8-guarded", engine: str = "onnxruntime") -> Job:
        return Job(str(bundle.folder), artifact, engine, "int8", 1, 0.01, 5)

    return make


def worker(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "clinicedge.profiles.worker"],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_worker_answers_one_json_document(job: Callable[..., Job]) -> None:
    done = worker(json.dumps(to_json(job())))
    assert done.returncode == 0, done.stderr
    taken = from_json(Sample, json.loads(done.stdout), "sample")
    assert taken.compute == "int8"
    assert len(taken.steady_ms) == 5
    assert taken.rss_mb <= taken.peak_rss_mb


def test_the_worker_refuses_in_one_sentence(job: Callable[..., Job]) -> None:
    for text in ('{"bundle": "nowhere"}', json.dumps(to_json(job(artifact="onnx/none")))):
        done = worker(text)
        assert done.returncode == 2
        assert len(done.stderr.strip().splitlines()) == 1
        assert done.stdout == ""


def test_a_failing_process_is_an_engine_error(bundle: Bundle) -> None:
    graph = bundle.artifact("onnx/int8-guarded").graphs[0]
    (bundle.folder / graph.files[0].path).write_bytes(b"no model")
    with pytest.raises(EngineError, match="onnx/int8-guarded in onnxruntime"):
        sample(bundle, Cell("onnx/int8-guarded", "onnxruntime", "int8", 1), 0.01, 5)
