"""A map asked for through a predictor: every kind of answer, and everything that is refused."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_bundles as tiny
from tiny_bundles import Scores

from clinicedge.runtime import Bundle, Explanation, Film, Predictor
from clinicedge.runtime.errors import ArtifactError, ExplanationError, TensorError
from clinicedge.runtime.explanations import (
    METHODS,
    MapRequest,
    bundle_offers,
    check_request,
    explain,
    offers,
)
from clinicedge.runtime.explanations.making import ONE_GREY
from clinicedge.runtime.explanations.records import MAX_PASSES
from clinicedge.runtime.heat_maps import on_film
from clinicedge.runtime.lungs import CropRule
from clinicedge.runtime.manifest import DiscrepancyRule, PipelineRules, Threshold
from clinicedge.runtime.predictor import ModelPredictor
from clinicedge.runtime.spec import ExplanationSpec

QUICK = 24
FOR_SCORES = tuple(m for m in METHODS if m not in ("probability", "seg-eigen-cam"))
CLOSED = ("eigen-cam", "grad-cam", "grad-cam++", "hirescam", "eigen-grad-cam")


def halves(left: int = 230, right: int = 40) -> Film:
    """A bright and a dark half."""
    return tiny.film(np.hstack([np.full((40, 24), left), np.full((40, 24), right)]))


def ask(predictor: Predictor, film: Film, method: str, label: str | None = None) -> Explanation:
    return predictor.explain(film, MapRequest(method, label, QUICK))


def offered(predictor: Predictor) -> set[str]:
    return {o.method for o in offers(predictor) if o.available}


@pytest.fixture
def classifier(tmp_path: Path) -> Predictor:
    return tiny.binary(tmp_path / "binary").predictor(threads=1)


def without_head(folder: Path) -> Bundle:
    """A network of features whose head is said to be something else than pooling and a layer."""
    bundle = tiny.binary(folder)
    spec = ExplanationSpec("features", "relu", pooling_linear_head=False)
    return tiny.write(folder, replace(bundle.manifest, explanation=spec, head=None))


def without_features(folder: Path) -> Bundle:
    bundle = tiny.binary(folder)
    return tiny.write(folder, replace(bundle.manifest, explanation=None, head=None))


def mask_with_features(folder: Path) -> Bundle:
    """Its own mask stands for the feature map, one channel."""
    bundle = tiny.masks(folder)
    spec = ExplanationSpec("mask", "mask", pooling_linear_head=False)
    return tiny.write(folder, replace(bundle.manifest, explanation=spec))


@pytest.mark.parametrize("method", FOR_SCORES)
def test_every_method_finds_the_bright_half_for_pneumonia(
    classifier: Predictor, method: str
) -> None:
    told = ask(classifier, halves(), method)
    assert (told.method, told.label, told.sign) == (method, "PNEUMONIA", 1)
    assert told.map.dtype == np.float32
    assert (told.map.min(), told.map.max()) == (0.0, 1.0)
    values = on_film(told, halves(), classifier.input)
    assert values.shape == (40, 48)
    assert values[:, :20].mean() > 2 * values[:, 28:].mean()


@pytest.mark.parametrize("method", FOR_SCORES)
def test_the_other_class_turns_the_map(classifier: Predictor, method: str) -> None:
    told = ask(classifier, halves(), method, "NORMAL")
    assert told.label == "NORMAL"
    values = on_film(told, halves(), classifier.input)
    assert values[:, 28:].mean() > 2 * values[:, :20].mean()


@pytest.mark.parametrize("method", FOR_SCORES)
def test_the_same_question_has_the_same_answer(classifier: Predictor, method: str) -> None:
    once, again = (ask(classifier, tiny.noise(1), method) for _ in range(2))
    assert (once.map == again.map).all()


def test_how_often_the_network_was_asked_is_told(classifier: Predictor) -> None:
    passes = {m: ask(classifier, tiny.noise(1), m).passes for m in FOR_SCORES}
    some = {"score-cam": 2, "rise": QUICK, "occlusion": 4 * 4 + 1}
    assert passes == dict.fromkeys(CLOSED, 0) | some
    seen: list[tuple[int, int]] = []
    classifier.explain(
        tiny.noise(1), MapRequest("rise", None, 5, lambda done, total: seen.append((done, total)))
    )
    assert seen == [(n, 5) for n in range(1, 6)]


def test_findings_have_a_map_each(tmp_path: Path) -> None:
    predictor = tiny.findings(tmp_path).predictor(threads=1)
    film = halves()
    for method in FOR_SCORES:
        bright, dark = (ask(predictor, film, method, label).map for label in predictor.labels)
        half = bright.shape[1] // 2
        assert bright[:, :half].mean() > bright[:, half:].mean(), method
        assert dark[:, :half].mean() < dark[:, half:].mean(), method


def test_a_head_without_rows_is_asked_which_half_keeps_the_score(tmp_path: Path) -> None:
    predictor = without_head(tmp_path).predictor(threads=1)
    assert offered(predictor) == {"eigen-cam", "score-cam", "rise", "occlusion"}
    for label, bright in (("PNEUMONIA", True), ("NORMAL", False)):
        told = ask(predictor, halves(), "eigen-cam", label)
        assert told.passes == 2
        assert bool(told.map[:, :4].mean() > told.map[:, 4:].mean()) is bright


def test_masks_offer_probability_and_black_boxes(tmp_path: Path) -> None:
    predictor = tiny.masks(tmp_path).predictor(threads=1)
    assert offered(predictor) == {"probability", "rise", "occlusion"}
    for method in ("rise", "occlusion"):
        told = ask(predictor, tiny.chest(), method)
        assert told.label == "LUNG"
        values = on_film(told, tiny.chest(), predictor.input)
        lungs = tiny.chest().pixels > 127
        assert values[lungs].mean() > values[~lungs].mean()


@pytest.mark.parametrize("method", ["seg-eigen-cam", "score-cam", "probability", "rise"])
def test_a_mask_with_features_is_explained_by_what_it_outlines(tmp_path: Path, method: str) -> None:
    predictor = mask_with_features(tmp_path).predictor(threads=1)
    assert method in offered(predictor)
    assert "eigen-cam" not in offered(predictor)
    film = tiny.chest()
    values = on_film(ask(predictor, film, method), film, predictor.input)
    lungs = film.pixels > 127
    assert values[lungs].mean() > values[~lungs].mean()


def test_a_mask_of_nothing_is_explained_by_its_most_likely_place(tmp_path: Path) -> None:
    predictor = mask_with_features(tmp_path).predictor(threads=1)
    film = halves(left=100, right=20)
    told = ask(predictor, film, "seg-eigen-cam")
    assert "Nothing is outlined" in told.note
    assert told.map[:, :12].mean() > told.map[:, 20:].mean()


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("method", FOR_SCORES)
def test_a_film_of_one_grey_gives_a_flat_map(
    classifier: Predictor, method: str, level: int
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = ask(classifier, tiny.film(np.full((40, 48), level)), method)
    assert (told.sign, told.note) == (0, ONE_GREY)
    assert not told.map.any()


def test_a_class_that_does_not_exist_is_refused_by_every_kind(tmp_path: Path) -> None:
    bundles = (
        tiny.binary(tmp_path / "a"),
        tiny.findings(tmp_path / "b"),
        tiny.masks(tmp_path / "c"),
    )
    for bundle in bundles:
        predictor = bundle.predictor(threads=1)
        known = ", ".join(predictor.labels)
        with pytest.raises(ExplanationError, match=f"no class 'TUMOR'; it has {known}"):
            predictor.explain(tiny.noise(1), MapRequest(label="TUMOR"))
        with pytest.raises(ExplanationError, match="no class 'TUMOR'"):
            check_request(predictor, MapRequest(label="TUMOR"))


def test_a_model_without_features_says_what_it_offers(tmp_path: Path) -> None:
    predictor = without_features(tmp_path).predictor(threads=1)
    for method in ("eigen-cam", "grad-cam", "score-cam", None):
        with pytest.raises(ExplanationError, match=r"no feature map.*It offers rise, occlusion"):
            predictor.explain(tiny.noise(1), MapRequest(method))
    assert ask(predictor, halves(), "rise").sign == 1
    assert issubclass(ExplanationError, ArtifactError)


def test_an_unknown_method_and_too_many_passes_are_refused(classifier: Predictor) -> None:
    with pytest.raises(ExplanationError, match=r"no method 'gradcam'.*offers eigen-cam, grad-cam"):
        explain(classifier, tiny.noise(1), "gradcam")
    for passes in (-1, MAX_PASSES + 1):
        with pytest.raises(ExplanationError, match=f"found {passes} passes; expected 1 to 4096"):
            check_request(classifier, MapRequest("rise", passes=passes))
    with pytest.raises(ExplanationError, match="answers with scores, not with a mask"):
        explain(classifier, tiny.noise(1), "probability")


def test_values_that_are_no_numbers_are_an_error(
    classifier: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(classifier, ModelPredictor)
    outputs = dict(classifier.run_tensor(classifier.tensor(halves())))
    outputs["features"] = np.full_like(outputs["features"], np.nan)
    monkeypatch.setattr(classifier, "run_tensor", lambda _: outputs)
    with pytest.raises(TensorError, match="no numbers; expected logits and features"):
        classifier.explain(halves())


def test_the_manifest_names_the_usual_method(tmp_path: Path) -> None:
    bundle = tiny.binary(tmp_path)
    chosen = tiny.write(tmp_path, replace(bundle.manifest, explanation_method="grad-cam"))
    assert chosen.predictor(threads=1).explain(halves()).method == "grad-cam"
    assert bundle.predictor(threads=1).explain(halves()).method == "eigen-cam"


def test_offers_say_why_not(tmp_path: Path) -> None:
    bundle = without_features(tmp_path)
    told = {o.method: o for o in bundle_offers(bundle)}
    assert tuple(told) == tuple(METHODS)
    assert told["rise"].available
    assert not told["rise"].why
    assert "it gives features, logits and no feature map" in told["grad-cam"].why
    assert all(bool(o.why) != o.available and o.source for o in told.values())
    assert told == {o.method: o for o in offers(bundle.predictor(threads=1))}


@pytest.fixture
def lungs(tmp_path: Path) -> Bundle:
    return tiny.masks(tmp_path / "lungs")


def test_an_on_lungs_pipeline_explains_on_its_crop(tmp_path: Path, lungs: Bundle) -> None:
    inner = tiny.binary(tmp_path / "c", "tiny-lung-crop", Scores(region="lungs"))
    bundle = tiny.on_lungs(tmp_path / "p", inner, lungs, CropRule(min_confidence=0.5))
    predictor, film = bundle.predictor(threads=1), tiny.chest()
    assert {o.method for o in bundle_offers(bundle) if o.available} == offered(predictor)
    assert offered(predictor) == set(FOR_SCORES)
    told = ask(predictor, film, "grad-cam", "PNEUMONIA")
    answer = predictor.predict(film)
    assert told.crop == answer.crop  # type: ignore[union-attr]
    assert told.report.model == bundle.manifest.name
    with pytest.raises(ExplanationError, match="no class 'LUNG'"):
        check_request(predictor, MapRequest(label="LUNG"))


def test_a_cascade_explains_what_each_member_answers(tmp_path: Path) -> None:
    first, second = tiny.binary(tmp_path / "a"), tiny.findings(tmp_path / "b")
    rules = PipelineRules("cascade", None, DiscrepancyRule(0.1, 0.2, 1, 2), None)
    bundle = tiny.pipeline(
        tmp_path / "p", "tiny-cascade", rules, [("first", first), ("second", second)]
    )
    predictor, film = bundle.predictor(threads=1), halves()
    for label, bright in (("PNEUMONIA", True), ("NORMAL", False), ("VIRAL", False)):
        told = ask(predictor, film, "grad-cam", label)
        assert (told.label, told.report.model) == (label, "tiny-cascade")
        assert bool(told.map[:, :4].mean() > told.map[:, 4:].mean()) is bright
    with pytest.raises(ExplanationError, match="NORMAL, PNEUMONIA, BACTERIAL, VIRAL"):
        predictor.explain(film, MapRequest(label="TUMOR"))
    with pytest.raises(ExplanationError, match="NORMAL, PNEUMONIA, BACTERIAL, VIRAL"):
        offers(predictor, "TUMOR")


def test_an_ensemble_explains_with_its_first_member(tmp_path: Path) -> None:
    members = [("member", tiny.binary(tmp_path / n, n)) for n in ("one", "two")]
    threshold = Threshold("onnx/fp32", "f32", "PNEUMONIA", 0.5, "by hand", "noise", "select", 1)
    rules = PipelineRules("ensemble", None, None, threshold)
    bundle = tiny.pipeline(tmp_path / "p", "tiny-ensemble", rules, members)
    told = ask(bundle.predictor(threads=1), halves(), "score-cam", "NORMAL")
    assert (told.method, told.label) == ("score-cam", "NORMAL")
    assert "Map of 'one'" in told.note


@pytest.mark.parametrize("method", FOR_SCORES)
def test_a_phantom_is_explained_in_range(handmade: Bundle, phantom_film: Film, method: str) -> None:
    told = ask(handmade.predictor(), phantom_film, method)
    assert told.map.min() >= 0
    assert told.map.max() <= 1
    assert told.sign in (0, 1)


def counted(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the networks as they run."""
    ran: list[str] = []
    run = ModelPredictor.run_tensor

    def told(self: ModelPredictor, tensor: np.ndarray) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
        ran.append(self.report.model)
        return run(self, tensor)

    monkeypatch.setattr(ModelPredictor, "run_tensor", told)
    return ran


def test_the_film_just_answered_is_not_run_again(
    classifier: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, other = halves(), halves(40, 230)
    expected = [ask(classifier, f, "eigen-cam").map for f in (film, other)]
    ran = counted(classifier, monkeypatch)
    classifier.predict(film)
    assert np.array_equal(ask(classifier, film, "eigen-cam").map, expected[0])
    assert len(ran) == 1
    assert np.array_equal(ask(classifier, other, "eigen-cam").map, expected[1])
    assert len(ran) == 2
    assert np.array_equal(ask(classifier, film, "eigen-cam").map, expected[0])
    assert len(ran) == 2, "a map alone is not what is remembered"


def test_nor_is_a_film_whose_pixels_are_the_same_but_which_is_another(
    classifier: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = counted(classifier, monkeypatch)
    classifier.predict(halves())
    ask(classifier, halves(), "grad-cam")
    assert len(ran) == 2
