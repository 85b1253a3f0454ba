"""A clinic's own threshold on a running server: set, refused and cleared between two answers."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from clinicedge.runtime.bundle import Bundle
from clinicedge.runtime.files import write_atomic
from clinicedge.runtime.manifest import Threshold
from clinicedge.runtime.own_thresholds import (
    Wanted,
    clear_own,
    own_path,
    read_own,
    record_paths,
    set_own,
    stamps,
)
from clinicedge.runtime.records import dump_bytes

from .conftest import Box

WHEN = "2026-11-21T10:00:00+00:00"


@pytest.fixture
def rule(box: Box) -> Iterator[tuple[Bundle, Threshold]]:
    """The classifier behind the answers, and the threshold that decides; cleared afterwards."""
    served = box.server.desk.registry.models[0]
    model = served.predictor.parts[-1].predictor
    threshold = next(
        t for t in model.bundle.manifest.thresholds if t.artifact == model.report.artifact
    )
    yield model.bundle, threshold
    clear_own(model.bundle.manifest.name, threshold.artifact, threshold.compute, threshold.label)


def _wanted(made: Threshold, value: float) -> Wanted:
    return Wanted(made.artifact, made.compute, made.label, value, "our ward", "Dr Tran", 212)


def _told(case: dict[str, Any]) -> tuple[float, bool]:
    """The threshold of the answer, and whether it says whose it is."""
    answer = case["predictions"][0]
    notes = " ".join(answer["report"]["session"]["notes"])
    return answer["threshold"], "set on this device by Dr Tran" in notes


def test_it_holds_from_the_next_answer(
    box: Box, film_png: bytes, rule: tuple[Bundle, Threshold]
) -> None:
    bundle, made = rule
    served = box.server.desk.registry.models[0]
    assert _told(box.send(film_png)) == (made.value, False)
    first = served.predictor
    box.send(film_png)
    assert served.predictor is first, "opened again without need"
    for value in (0.125, 0.999):
        set_own(bundle, _wanted(made, value), WHEN)
        case = box.send(film_png)
        assert _told(case) == (value, True)
        answer = case["predictions"][0]
        assert answer["positive"] == (answer["score"] >= value)
    clear_own(bundle.manifest.name, made.artifact, made.compute, made.label)
    assert _told(box.send(film_png)) == (made.value, False)
    old = box.client.get(case["links"]["self"]).json()
    assert _told(old) == (0.999, True), "what was answered stays as it was answered"


def test_one_of_other_bytes_answers_nothing_until_it_is_cleared(
    box: Box, film_png: bytes, rule: tuple[Bundle, Threshold]
) -> None:
    bundle, made = rule
    before = box.send(film_png)
    name = (bundle.manifest.name, made.artifact, made.compute, made.label)
    set_own(bundle, _wanted(made, 0.25), WHEN)
    own = read_own(*name)
    assert own is not None
    record = {"schema": 1, "own": replace(own, artifact_sha256="0" * 64)}
    write_atomic(own_path(*name), dump_bytes(record))
    for _ in range(2):
        refused = box.post(film_png)
        assert refused.status_code == 409
        assert "Set it anew" in refused.json()["detail"]
    assert box.client.get("/api/v1/cases").json()["total"] == 1
    clear_own(*name)
    assert _told(box.send(film_png)) == _told(before)


def test_every_record_that_could_be_set_is_watched(
    box: Box, rule: tuple[Bundle, Threshold]
) -> None:
    bundle, made = rule
    served = box.server.desk.registry.models[0]
    watched = record_paths(served.bundle)
    assert len(set(watched)) == sum(
        len(model.manifest.thresholds) for _, model in served.bundle.models()
    )
    before = stamps(watched)
    assert set(before) == {None}
    set_own(bundle, _wanted(made, 0.25), WHEN)
    assert sum(stamp is not None for stamp in stamps(watched)) == 1
