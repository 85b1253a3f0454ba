"""Lungs that were found before are not searched for again, and change no figure."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_bundles import Scores, binary, chest, film, findings, masks, on_lungs, pipeline

from clinicedge.profiles.known_lungs import LungMemory
from clinicedge.runtime import Bundle, Film
from clinicedge.runtime.errors import NoLungsError
from clinicedge.runtime.manifest import PipelineRules
from clinicedge.runtime.predictions import Classification
from clinicedge.runtime.predictor import Predictor
from clinicedge.runtime.segmenter import Segmenter


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
