"""Lungs that were found before are not searched for again, and change no figure."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_bundles import (
    BINARY,
    Scores,
    binary,
    chest,
    film,
    findings,
    masks,
    on_lungs,
    pipeline,
    write,
)

from clinicedge.profiles import known_lungs
from clinicedge.profiles.evaluate import evaluate
from clinicedge.profiles.evaluation import Question
from clinicedge.profiles.known_lungs import LungMemory
from clinicedge.runtime import Bundle, Film, load
from clinicedge.runtime.errors import NoLungsError
from clinicedge.runtime.manifest import PipelineRules
from clinicedge.runtime.predictions import Classification
from clinicedge.runtime.predictor import Predictor
from clinicedge.runtime.segmenter import Segmenter
from clinicedge.runtime.spec import DicomRules


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    classifier = binary(tmp_path / "c", "tiny-lung-crop", Scores(region="lungs"))
    return on_lungs(tmp_path / "pipe", classifier, masks(tmp_path / "lungs"))


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[Film]:
    asked: list[Film] = []
    search = Segmenter.probabilities

    def counted(self: Segmenter, film: Film) -> object:
        asked.append(film)
        return search(self, film)

    monkeypatch.setattr(Segmenter, "probabilities", counted)
    return asked


def answers(predictor: Predictor, films: list[Film]) -> list[object]:
    """Score and crop, or why there is neither."""
    told: list[object] = []
    for one in films:
        try:
            found = predictor.predict(one)
        except NoLungsError as err:
            told.append(str(err))
        else:
            assert isinstance(found, Classification)
            told.append((found.score, found.crop))
    return told


def test_what_was_found_once_is_found_again_without_a_search(
    bundle: Bundle, tmp_path: Path, searched: list[Film]
) -> None:
    films = [chest(), chest(height=130), film(np.full((40, 40), 20, np.uint8))]
    expected = answers(bundle.predictor(threads=1), films)
    memory = LungMemory(tmp_path / "memory")
    for searches in (3, 0):
        predictor = bundle.predictor(threads=1)
        (known,) = memory.attach(predictor)
        searched.clear()
        assert answers(predictor, [replace(f, pixels=f.pixels.copy()) for f in films]) == expected
        assert len(searched) == searches
        known.keep()
    assert isinstance(expected[2], str)
    (file,) = (tmp_path / "memory").iterdir()
    assert len(json.loads(file.read_bytes())) == 3


def test_a_map_finds_the_remembered_lungs_too(
    bundle: Bundle, tmp_path: Path, searched: list[Film]
) -> None:
    predictor = bundle.predictor(threads=1)
    (known,) = LungMemory(tmp_path / "memory").attach(predictor)
    crop = answers(predictor, [chest()])
    searched.clear()
    assert predictor.explain(chest()).crop == crop[0][1]  # type: ignore[index]
    assert not searched
    assert known.find(chest())[0].box == crop[0][1]  # type: ignore[index]


@pytest.mark.parametrize("spoiled", [b"", b"[]", b'{"key": [1, 2]}', b"\xff"])
def test_a_spoiled_file_only_means_another_search(
    bundle: Bundle, tmp_path: Path, spoiled: bytes, searched: list[Film]
) -> None:
    memory = LungMemory(tmp_path / "memory")
    for number in range(2):
        predictor = bundle.predictor(threads=1)
        (known,) = memory.attach(predictor)
        answers(predictor, [chest()])
        known.keep()
        (file,) = (tmp_path / "memory").iterdir()
        assert len(searched) == number + 1
        file.write_bytes(spoiled)


def test_other_threads_are_another_memory(bundle: Bundle, tmp_path: Path) -> None:
    memory = LungMemory(tmp_path / "memory")
    for threads in (1, 2):
        predictor = bundle.predictor(threads=threads)
        (known,) = memory.attach(predictor)
        answers(predictor, [chest()])
        known.keep()
    assert len(list((tmp_path / "memory").iterdir())) == 2


def full_range(bundle: Bundle) -> Bundle:
    """The same network, whose DICOM films are read without their window."""
    seen = bundle.manifest.input
    assert seen is not None
    changed = replace(seen, dicom=DicomRules("full-range"))
    return write(bundle.folder, replace(bundle.manifest, input=changed))


def test_another_input_or_search_is_another_memory(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is in the artifact's hash: the manifest tells the input, our code searches."""

    def remembered(on: Bundle) -> int:
        predictor = on.predictor(threads=1)
        (known,) = LungMemory(tmp_path / "memory").attach(predictor)
        answers(predictor, [chest()])
        known.keep()
        return len(list((tmp_path / "memory").iterdir()))

    assert (remembered(bundle), remembered(bundle)) == (1, 1)
    classifier, lungs = (full_range(load(tmp_path / name)) for name in ("c", "lungs"))
    assert remembered(on_lungs(tmp_path / "other", classifier, lungs)) == 2
    monkeypatch.setattr(known_lungs, "SEARCH_REVISION", 2)
    assert remembered(bundle) == 3


def test_a_fresh_memory_forgets_once_and_remembers_what_it_finds(
    bundle: Bundle, tmp_path: Path, searched: list[Film]
) -> None:
    def searches(memory: LungMemory, *films: Film) -> int:
        predictor = bundle.predictor(threads=1)
        (known,) = memory.attach(predictor)
        searched.clear()
        answers(predictor, list(films))
        known.keep()
        return len(searched)

    folder = tmp_path / "memory"
    assert searches(LungMemory(folder), chest(), chest(height=130)) == 2
    fresh = LungMemory(folder, fresh=True)
    assert [searches(fresh, chest()), searches(fresh, chest())] == [1, 0]
    assert searches(LungMemory(folder), chest(), chest(height=130)) == 1


def test_an_evaluation_that_breaks_off_keeps_what_it_found(
    bundle: Bundle, tmp_path: Path, searched: list[Film]
) -> None:
    data = tmp_path / "films"
    data.mkdir()
    rows = ["file,label,patient,split"]
    for number, label in enumerate(BINARY):
        Image.fromarray(chest(height=120 + number).pixels).save(data / f"{number}.png")
        rows.append(f"{number}.png,{label},p{number},test")
    (data / "manifest.csv").write_text("\n".join(rows))

    def stop(done: int, total: int, what: str) -> None:
        if what == "onnx/fp32" and done == total:
            raise KeyboardInterrupt

    memory, question = LungMemory(tmp_path / "memory"), Question(threads=1)
    with pytest.raises(KeyboardInterrupt):
        evaluate(bundle, data, question, stop, memory)
    assert len(searched) == 2
    evaluate(bundle, data, question, lambda *_: None, memory)
    assert len(searched) == 2


def test_every_stage_of_a_pipeline_remembers(bundle: Bundle, tmp_path: Path) -> None:
    crops = Scores(("BACTERIAL", "VIRAL"), (4.0, -4.0), (0.0, 0.0), (0.5, 0.5), region="lungs")
    other = findings(tmp_path / "d", "small-lung-crop", crops)
    stages = (
        ("first", bundle),
        ("second", on_lungs(tmp_path / "o", other, masks(tmp_path / "m"))),
    )
    rules = PipelineRules("cascade", None, None, None)
    predictor = pipeline(tmp_path / "both", "tiny-both", rules, stages).predictor(threads=1)
    assert len(LungMemory(tmp_path / "memory").attach(predictor)) == 2
    model = masks(tmp_path / "alone").predictor(threads=1)
    assert LungMemory(tmp_path / "memory").attach(model) == ()
