"""From a film to a typed answer, on the handmade bundle and the shipped one."""

import hashlib
import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.runtime import CAUTION, Bundle, Film, SessionOptions, open_session
from clinicedge.runtime.acceptance import check_acceptance
from clinicedge.runtime.classifier import Classifier, as_classifier
from clinicedge.runtime.engines import engines, require
from clinicedge.runtime.errors import (
    AcceptanceError,
    ArtifactError,
    EngineFallbackError,
    EngineMissingError,
    OutsideUseError,
    TensorError,
)
from clinicedge.runtime.predictor import probabilities
from clinicedge.runtime.spec import OutputSpec


def classifier(bundle: Bundle, threads: int = 0) -> Classifier:
    return as_classifier(bundle.predictor(threads=threads))


def test_a_prediction_carries_all_that_the_page_must_show(handmade: Bundle, film: Film) -> None:
    answer = classifier(handmade, 1).predict(film)
    assert answer.positive == (answer.score >= answer.threshold)
    assert answer.label == ("PNEUMONIA" if answer.positive else "NORMAL")
    assert dict(answer.probabilities)["PNEUMONIA"] == answer.score
    assert math.isclose(sum(p for _, p in answer.probabilities), 1.0)
    assert answer.report.bundle_id == handmade.id
    assert answer.report.artifact_sha256 == handmade.artifact("onnx/fp32").sha256
    assert answer.report.session.engine == "onnxruntime"
    assert answer.report.session.threads == 1
    assert answer.caution == CAUTION


def test_the_score_is_the_networks(handmade: Bundle, film: Film) -> None:
    predictor = classifier(handmade)
    outputs = predictor.run(film)
    head = handmade.manifest.head
    assert head is not None
    pooled = outputs["features"][0].mean(axis=(1, 2))
    logits = np.asarray(head.weight) @ pooled + np.asarray(head.bias)
    np.testing.assert_allclose(outputs["logits"][0], logits, atol=1e-4)
    expected = 1.0 / (1.0 + math.exp(logits[0] - logits[1]))
    assert math.isclose(predictor.predict(film).score, expected, abs_tol=1e-5)


def test_a_score_at_the_threshold_is_positive(
    handmade: Bundle, film: Film, rewrite: Callable[..., Bundle]
) -> None:
    score = classifier(handmade).predict(film).score
    at = replace(handmade.manifest.thresholds[0], value=score)
    bundle = rewrite(handmade, thresholds=(at,), acceptance=handmade.manifest.acceptance)
    assert classifier(bundle).predict(film).positive


def test_boxes_are_refused(handmade: Bundle, film: Film) -> None:
    with pytest.raises(TensorError, match="found 1 boxes, expected none"):
        handmade.predictor().predict(film, boxes=((0, 0, 1, 1),))


def _declaring(film: Film, modality: str | None, body_part: str | None) -> Film:
    source = replace(film.source, modality=modality, body_part=body_part)
    return replace(film, source=source)


@pytest.mark.parametrize(
    ("modality", "body_part"),
    [(None, None), ("CR", None), ("DX", "CHEST"), ("DR", "THORAX"), ("RG", "chest pa"), ("DX", "")],
)
def test_films_that_declare_the_intended_use_pass(
    handmade: Bundle, film: Film, modality: str | None, body_part: str | None
) -> None:
    handmade.predictor().predict(_declaring(film, modality, body_part))


@pytest.mark.parametrize(
    ("modality", "body_part", "found"),
    [
        ("MR", "CHEST", "modality MR"),
        ("OT", None, "modality OT"),
        ("DX", "HAND", "body part HAND"),
        ("CR", "KNEE AP", "body part KNEE AP"),
    ],
)
def test_films_that_declare_another_use_are_refused(
    handmade: Bundle, film: Film, modality: str, body_part: str | None, found: str
) -> None:
    with pytest.raises(OutsideUseError, match=f"declares {found}; 'handmade' is for CR, DX"):
        handmade.predictor().predict(_declaring(film, modality, body_part))


def test_wishes_that_cannot_be_met(handmade: Bundle) -> None:
    with pytest.raises(EngineMissingError, match="no engine 'tensorrt'"):
        handmade.predictor(engine="tensorrt")
    with pytest.raises(ArtifactError, match="nothing for engine 'auto' and precision 'int8'"):
        handmade.predictor(precision="int8")
    with pytest.raises(ArtifactError, match="it has onnx/fp32"):
        handmade.predictor(engine="openvino")


def test_a_missing_engine_tells_the_words_to_install_it(
    handmade: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(engines()["onnxruntime"]), "version", lambda self: None)
    with pytest.raises(EngineMissingError, match=r"pip install 'clinicedge\[onnx\]'"):
        require("onnxruntime")
    with pytest.raises(EngineMissingError, match="onnxruntime"):
        handmade.predictor()


def test_a_precision_that_the_engine_cannot_keep_is_refused(handmade: Bundle) -> None:
    with pytest.raises(EngineFallbackError, match="asked for bf16"):
        open_session(handmade.files("onnx/fp32"), options=SessionOptions("bf16"))
    with pytest.raises(EngineFallbackError, match="no device 'tpu'"):
        open_session(handmade.files("onnx/fp32"), options=SessionOptions("f32", device="tpu"))


def test_a_silent_fall_back_is_an_error_unless_allowed(handmade: Bundle) -> None:
    """This machine's ONNX Runtime has no CUDA."""
    with pytest.raises(EngineFallbackError, match="asked for CUDAExecutionProvider"):
        open_session(handmade.files("onnx/fp32"), options=SessionOptions("f32", device="cuda"))
    options = SessionOptions("f32", device="cuda", allow_fallback=True)
    report = open_session(handmade.files("onnx/fp32"), options=options).report
    assert report.device == "CPUExecutionProvider"
    assert "asked for CUDAExecutionProvider" in report.notes[0]


def test_tensors_of_another_shape_name_or_dtype_are_refused(handmade: Bundle) -> None:
    session = open_session(handmade.files("onnx/fp32"))
    good = np.zeros((1, 3, 32, 32), np.float32)
    with pytest.raises(TensorError, match=r"\(1, 3, 16, 16\), expected float32 \(1, 3, 32, 32\)"):
        session.run({"film": good[:, :, :16, :16]})
    with pytest.raises(TensorError, match="float64"):
        session.run({"film": good.astype(np.float64)})  # type: ignore[dict-item]
    with pytest.raises(TensorError, match="expected 'film'"):
        session.run({"image": good})
    with pytest.raises(TensorError):
        session.run({"film": good, "more": good})


def test_acceptance_passes_and_is_remembered(handmade: Bundle) -> None:
    first = check_acceptance(handmade, "onnx/fp32")
    assert first.passed
    assert len(first.films) == 2
    assert check_acceptance(handmade, "onnx/fp32") == first


def test_a_machine_that_answers_otherwise_is_refused(
    handmade: Bundle, rewrite: Callable[..., Bundle]
) -> None:
    acceptance = handmade.manifest.acceptance
    assert acceptance is not None
    film = acceptance.films[0]
    off = replace(film.expected[0], values=tuple(v + 0.5 for v in film.expected[0].values))
    wrong = replace(acceptance, films=(replace(film, expected=(off,)), *acceptance.films[1:]))
    bundle = rewrite(handmade, acceptance=wrong)
    result = check_acceptance(bundle, "onnx/fp32")
    assert not result.passed
    assert "scores differ by 0.5" in result.explain()
    with pytest.raises(AcceptanceError, match="1 of 2 films failed"):
        bundle.predictor()


def test_other_preprocessing_bits_are_noticed(
    handmade: Bundle, rewrite: Callable[..., Bundle]
) -> None:
    assert handmade.manifest.input is not None
    other = replace(handmade.manifest.input, filter="bicubic")
    result = check_acceptance(rewrite(handmade, input=other), "onnx/fp32")
    assert not result.passed
    assert "preprocessed pixels differ" in result.explain()


def test_a_bundle_without_acceptance_films_is_not_used(
    handmade: Bundle, rewrite: Callable[..., Bundle]
) -> None:
    with pytest.raises(AcceptanceError, match="no acceptance films"):
        rewrite(handmade, acceptance=None).predictor()


def test_a_strangers_engine_is_found_by_its_entry_point(
    handmade: Bundle, film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installed package with an entry point is all it takes; a wrong one is passed over."""
    info = tmp_path / "plug" / "stranger-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[clinicedge.engines]\nstranger = stranger:ENGINE\n")
    (tmp_path / "plug" / "stranger.py").write_text(
        "from clinicedge.runtime.engines.ort import ENGINE as ORT\n"
        "class Shifted:\n"
        "    def __init__(self, inner): self.inner = inner\n"
        "    def __getattr__(self, name): return getattr(self.inner, name)\n"
        "    def run(self, tensors):\n"
        "        return {k: v + 1 for k, v in self.inner.run(tensors).items()}\n"
        "class Engine:\n"
        "    name = 'stranger'; formats = ('onnx',)\n"
        "    def version(self): return 'stranger 1'\n"
        "    def open(self, files, graph, options):\n"
        "        return Shifted(ORT.open(files, graph, options))\n"
        "ENGINE = Engine()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "plug"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "plug"))
    engines.cache_clear()
    try:
        assert "stranger" in engines()
        order = ("stranger", "onnxruntime")
        report = handmade.predictor(order=order).predict(film).report
        assert report.session.engine == "onnxruntime"
        assert report.session.notes[0].startswith("passed over: onnx/fp32 in stranger 1")
        assert "2 of 2 films failed" in report.session.notes[0]
    finally:
        monkeypatch.undo()
        engines.cache_clear()


def test_neither_torch_nor_tensorflow_is_ever_loaded(handmade: Bundle, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "import clinicedge.runtime as r, clinicedge.edge_server\n"
        "for name in r.__all__: getattr(r, name)\n"
        f"r.load({str(handmade.folder)!r}).predictor()\n"
        "heavy = {'torch', 'tensorflow', 'keras', 'nncf', 'onnx'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def _output(activation: str, labels: tuple[str, ...]) -> OutputSpec:
    return OutputSpec("o", "logits", (len(labels),), activation, labels, None)  # type: ignore[arg-type]


@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=6))
def test_probabilities_are_probabilities(logits: list[float]) -> None:
    labels = tuple(map(str, range(len(logits))))
    soft = probabilities(logits, _output("softmax", labels))
    assert math.isclose(sum(soft), 1.0, rel_tol=1e-9)
    for values in (soft, probabilities(logits, _output("sigmoid", labels))):
        assert all(0.0 <= v <= 1.0 for v in values)


def test_the_tensor_is_the_recorded_one(handmade: Bundle) -> None:
    from clinicedge.runtime import read_film

    acceptance = handmade.manifest.acceptance
    assert acceptance is not None
    film = read_film(handmade.folder / acceptance.films[0].file.path)
    tensor = classifier(handmade).tensor(film)
    assert hashlib.sha256(tensor.tobytes()).hexdigest() == acceptance.films[0].tensor_sha256
