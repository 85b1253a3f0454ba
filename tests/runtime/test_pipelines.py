"""Pipelines: what they answer, what they carry, and what they refuse."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_bundles as tiny
from tiny_bundles import Mask, Scores

from clinicedge.runtime import Bundle, CascadeResult, Classification, Film, Findings, load
from clinicedge.runtime.cascade import Cascade
from clinicedge.runtime.errors import (
    ArtifactError,
    IntegrityError,
    NoLungsError,
    OutsideUseError,
    SchemaError,
    TensorError,
    WholeFilmError,
)
from clinicedge.runtime.heat_maps import on_film, overlay
from clinicedge.runtime.lungs import Box, CropRule
from clinicedge.runtime.manifest import DiscrepancyRule, PipelineRules, Threshold
from clinicedge.runtime.on_lungs import OnLungs
from clinicedge.runtime.selection import Wish, open_model

CROPPED = Scores(region="lungs")
RULE = DiscrepancyRule(0.1, 0.3, 1, 2)
CASCADE = PipelineRules("cascade", None, RULE, None)


def ensemble_rules(value: float = 0.5) -> PipelineRules:
    own = Threshold("onnx/fp32", "f32", "PNEUMONIA", value, "by hand", "noise", "select", 1)
    return PipelineRules("ensemble", None, None, own)


@pytest.fixture
def lungs(tmp_path: Path) -> Bundle:
    return tiny.masks(tmp_path / "lungs", "tiny-lungs")


@pytest.fixture
def on_lungs(tmp_path: Path, lungs: Bundle) -> Bundle:
    classifier = tiny.binary(tmp_path / "crop", "tiny-lung-crop", CROPPED)
    return tiny.on_lungs(tmp_path / "on-lungs", classifier, lungs)


@pytest.fixture
def cascade(tmp_path: Path, on_lungs: Bundle, lungs: Bundle) -> Bundle:
    net = Scores(("BACTERIAL", "VIRAL"), (4.0, -4.0), (0.0, 0.0), (0.5, 0.5), "lungs")
    types = tiny.findings(tmp_path / "types", "types-lung-crop", net)
    second = tiny.on_lungs(tmp_path / "types-on-lungs", types, lungs)
    return tiny.pipeline(
        tmp_path / "cascade", "tiny-cascade", CASCADE, [("first", on_lungs), ("second", second)]
    )


def sigmoid(logit: float) -> float:
    return 1.0 / (1.0 + math.exp(-logit))


def mean_brightness(pixels: np.ndarray) -> float:
    return float(pixels.mean()) / 127.5 - 1.0


def test_the_classifier_sees_the_lungs_in_the_films_own_resolution(on_lungs: Bundle) -> None:
    predictor = on_lungs.predictor(threads=1)
    film = tiny.chest(outside=30)
    answer = predictor.predict(film)
    assert isinstance(answer, Classification)
    box = answer.crop
    assert isinstance(box, Box)
    # The fields reach from column 20 to 140 and from row 20 to 100; 5 % are added on each side.
    found = np.array([box.x0, box.y0, box.x1, box.y1])
    assert np.abs(found - [14, 16, 146, 104]).max() <= 5
    inside = film.pixels[box.y0 : box.y1, box.x0 : box.x1]
    assert answer.score == pytest.approx(sigmoid(6.0 * mean_brightness(inside)), abs=0.02)


def test_the_answer_names_the_pipeline_and_all_its_members(on_lungs: Bundle) -> None:
    predictor = on_lungs.predictor(threads=1)
    answer = predictor.predict(tiny.chest())
    assert isinstance(answer, Classification)
    report = answer.report
    assert (report.model, report.bundle_id) == ("tiny-on-lungs", on_lungs.id)
    assert report.artifact == "onnx/fp32"
    assert report.session.engine == "onnxruntime"
    assert [(m.role, m.report.model) for m in answer.members] == [
        ("lungs", "tiny-lungs"),
        ("classifier", "tiny-lung-crop"),
    ]
    assert answer.timing.inference_ms > 0
    assert [part.role for part in predictor.parts] == ["lungs", "classifier"]
    assert predictor.kind == "classification"
    assert predictor.labels == tiny.BINARY
    assert predictor.positive_label == "PNEUMONIA"
    assert dict(predictor.thresholds) == {"PNEUMONIA": 0.5}


def test_other_artifacts_of_the_members_give_another_hash(tmp_path: Path, lungs: Bundle) -> None:
    both = ("onnx", "openvino")
    classifier = tiny.binary(tmp_path / "c", "tiny-lung-crop", CROPPED, both)  # type: ignore[arg-type]
    masks = tiny.masks(tmp_path / "m", "tiny-lungs", formats=both)  # type: ignore[arg-type]
    bundle = tiny.on_lungs(tmp_path / "p", classifier, masks)
    hashes, scores = set(), []
    for engine in ("onnxruntime", "openvino"):
        predictor = bundle.predictor(engine, threads=1)
        hashes.add(predictor.report.artifact_sha256)
        answer = predictor.predict(tiny.chest())
        assert isinstance(answer, Classification)
        assert {m.report.session.engine for m in answer.members} == {engine}
        scores.append(answer.score)
    assert len(hashes) == 2
    assert scores[0] == pytest.approx(scores[1], abs=1e-3)
    again = bundle.predictor("openvino", threads=1).report.artifact_sha256
    assert again in hashes


def test_no_lungs_no_score(on_lungs: Bundle) -> None:
    predictor = on_lungs.predictor(threads=1)
    for grey in (0, 255):
        film = tiny.film(np.full((90, 90), grey, np.uint8))
        for ask in (predictor.predict, predictor.explain):
            with pytest.raises(NoLungsError, match="No score is given"):
                ask(film)
    assert isinstance(predictor.predict(tiny.chest()), Classification)


def test_the_lungs_of_a_film_are_searched_once(
    on_lungs: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = on_lungs.predictor(threads=1)
    assert isinstance(predictor, OnLungs)
    segmenter = predictor._finder.segmenter
    asked: list[Film] = []
    search = segmenter.probabilities

    def counted(film: Film) -> object:
        asked.append(film)
        return search(film)

    monkeypatch.setattr(segmenter, "probabilities", counted)
    film, other = tiny.chest(), tiny.chest()
    first = predictor.predict(film)
    predictor.explain(film)
    assert predictor.predict(film).timing.inference_ms <= first.timing.inference_ms * 100
    assert len(asked) == 1
    predictor.predict(other)
    assert len(asked) == 2
    assert predictor.find(other).box == first.crop  # type: ignore[union-attr]


def test_the_map_lies_inside_the_crop_and_nowhere_else(on_lungs: Bundle) -> None:
    predictor = on_lungs.predictor(threads=1)
    film = tiny.chest(outside=20)
    told = predictor.explain(film)
    box = told.crop
    assert box == predictor.predict(film).crop  # type: ignore[union-attr]
    assert box is not None
    assert told.report.model == "tiny-on-lungs"
    values = on_film(told, film, predictor.input)
    assert values.shape == film.pixels.shape
    inside = np.zeros(values.shape, bool)
    inside[box.y0 : box.y1, box.x0 : box.x1] = True
    assert values[~inside].max() == 0.0
    assert values[inside].max() > 0.9
    drawn = overlay(film, values)
    assert (drawn[~inside] == film.pixels[~inside][:, None]).all()


def test_a_cascade_asks_the_second_only_where_the_first_is_positive(cascade: Bundle) -> None:
    predictor = cascade.predictor(threads=1)
    ill = predictor.predict(tiny.chest(lungs=250, outside=60))
    assert isinstance(ill, CascadeResult)
    assert ill.first.positive
    assert isinstance(ill.second, Findings)
    assert ill.second.main == "BACTERIAL"
    assert [m.role for m in ill.members] == [
        *("first", "first/lungs", "first/classifier"),
        *("second", "second/lungs", "second/classifier"),
    ]
    assert ill.timing.inference_ms == pytest.approx(
        ill.first.timing.inference_ms + ill.second.timing.inference_ms
    )
    well = predictor.predict(tiny.chest(lungs=180, outside=0))
    assert isinstance(well, CascadeResult)
    assert not well.first.positive
    assert well.second is None
    assert [m.role for m in well.members] == ["first", "first/lungs", "first/classifier"]
    assert ill.report == well.report
    assert predictor.kind == "cascade"
    assert predictor.explain(tiny.chest()).report.model == "tiny-cascade"


def test_both_stages_share_one_search_for_the_lungs(cascade: Bundle) -> None:
    predictor = cascade.predictor(threads=1)
    assert isinstance(predictor, Cascade)
    first, second = (part.predictor for part in predictor.parts)
    assert isinstance(first, OnLungs)
    assert isinstance(second, OnLungs)
    assert first._finder is second._finder
    answer = predictor.predict(tiny.chest(lungs=250, outside=60))
    assert answer.second is not None
    assert answer.second.crop == answer.first.crop


def test_an_ensemble_means_the_probabilities_and_has_its_own_threshold(tmp_path: Path) -> None:
    nets = [Scores(slopes=(-s, s)) for s in (1.0, 2.0, 3.0)]
    members = [tiny.binary(tmp_path / str(i), f"m{i}", net) for i, net in enumerate(nets)]
    bundle = tiny.pipeline(
        tmp_path / "e", "tiny-ensemble", ensemble_rules(0.9), [("member", m) for m in members]
    )
    predictor = bundle.predictor(threads=1)
    film = tiny.noise(4)
    answer = predictor.predict(film)
    assert isinstance(answer, Classification)
    alone = [as_score(m, film) for m in members]
    assert answer.score == pytest.approx(sum(alone) / 3)
    assert sum(p for _, p in answer.probabilities) == pytest.approx(1.0)
    assert answer.threshold == 0.9
    assert answer.positive == (answer.score >= 0.9)
    assert answer.label == ("PNEUMONIA" if answer.positive else "NORMAL")
    assert [m.role for m in answer.members] == ["m0", "m1", "m2"]
    assert "one of 3 members" in predictor.explain(film).note


def as_score(bundle: Bundle, film: Film) -> float:
    answer = bundle.predictor(threads=1).predict(film)
    assert isinstance(answer, Classification)
    return answer.score


def test_an_ensemble_of_findings(tmp_path: Path) -> None:
    labels = ("A", "B")
    nets = [Scores(labels, (s, -s), (0.0, 0.0), (0.5, 0.5)) for s in (1.0, 4.0)]
    members = [tiny.findings(tmp_path / str(i), f"m{i}", n) for i, n in enumerate(nets)]
    rules = PipelineRules("ensemble", None, None, None)
    roles = [("member", m) for m in members]
    bundle = tiny.pipeline(tmp_path / "e", "both", rules, roles, "findings")
    with pytest.raises(ArtifactError, match="no threshold of its own for A, B"):
        bundle.predictor(threads=1)
    own = tuple(
        Threshold("onnx/fp32", "f32", label, value, "by hand", "noise", "select", 1)
        for label, value in (("A", 0.3), ("B", 0.2))
    )
    predictor = tiny.write(bundle.folder, replace(bundle.manifest, thresholds=own)).predictor()
    answer = predictor.predict(tiny.chest(lungs=200, outside=200))
    assert isinstance(answer, Findings)
    brightness = 200 / 127.5 - 1.0
    wanted = (sigmoid(brightness) + sigmoid(4 * brightness)) / 2
    assert answer.findings[0].score == pytest.approx(wanted, abs=1e-4)
    assert answer.main == "A"
    assert dict(predictor.thresholds) == {"A": 0.3, "B": 0.2}


def test_an_ensemble_says_when_its_threshold_was_set_with_other_artifacts(tmp_path: Path) -> None:
    both = ("onnx", "openvino")
    members = [tiny.binary(tmp_path / n, n, None, both) for n in "ab"]  # type: ignore[arg-type]
    bundle = tiny.pipeline(
        tmp_path / "e", "pair", ensemble_rules(), [("member", m) for m in members]
    )
    assert bundle.predictor("onnxruntime").report.session.notes == ()
    (note,) = bundle.predictor("openvino").report.session.notes
    assert note == "the ensemble's threshold was set with onnx/fp32; members run openvino/fp32"


def test_an_ensemble_of_lung_crop_models_is_a_classifier_of_the_pipeline(
    tmp_path: Path, lungs: Bundle
) -> None:
    members = [tiny.binary(tmp_path / n, f"{n}-lung-crop", CROPPED) for n in "ab"]
    both = tiny.pipeline(
        tmp_path / "e", "both-lung-crop", ensemble_rules(), [("member", m) for m in members]
    )
    with pytest.raises(WholeFilmError):
        both.predictor().predict(tiny.chest())
    predictor = tiny.on_lungs(tmp_path / "p", both, lungs).predictor(threads=1)
    answer = predictor.predict(tiny.chest())
    assert isinstance(answer, Classification)
    assert answer.crop is not None
    assert [m.role for m in answer.members] == [
        *("lungs", "classifier", "classifier/a-lung-crop", "classifier/b-lung-crop"),
    ]
    assert predictor.explain(tiny.chest()).crop == answer.crop


def test_models_lists_every_model_by_its_path(cascade: Bundle, lungs: Bundle) -> None:
    found = {path: bundle.manifest.name for path, bundle in cascade.models()}
    assert found == {
        "first/lungs": "tiny-lungs",
        "first/classifier": "tiny-lung-crop",
        "second/lungs": "tiny-lungs",
        "second/classifier": "types-lung-crop",
    }
    assert lungs.models() == (("", lungs),)
    assert lungs.members() == ()


def test_wishes_go_to_every_member(cascade: Bundle) -> None:
    with pytest.raises(ArtifactError, match="'tiny-lungs' has nothing for engine 'openvino'"):
        cascade.predictor("openvino")
    with pytest.raises(ArtifactError, match="is a pipeline and has no artifact 'onnx/fp32'"):
        cascade.artifact("onnx/fp32")
    with pytest.raises(ArtifactError, match="is a pipeline; expected a model"):
        open_model(cascade, Wish())


def test_boxes_and_films_of_another_use_are_refused(cascade: Bundle) -> None:
    predictor = cascade.predictor(threads=1)
    with pytest.raises(TensorError, match="expected none"):
        predictor.predict(tiny.chest(), boxes=((0.0, 0.0, 1.0, 1.0),))
    film = tiny.chest()
    hand = replace(film, source=replace(film.source, body_part="HAND"))
    for ask in (predictor.predict, predictor.explain):
        with pytest.raises(OutsideUseError, match="declares body part HAND; 'tiny-cascade'"):
            ask(hand)


def test_a_missing_member_is_named(on_lungs: Bundle) -> None:
    shutil.rmtree(on_lungs.folder / "members" / "tiny-lungs")
    for ask in (on_lungs.predictor, on_lungs.check_all, on_lungs.members, on_lungs.models):
        with pytest.raises(ArtifactError, match=r"names the member 'tiny-lungs' \(lungs\)"):
            ask()


def test_an_exchanged_member_is_refused(on_lungs: Bundle, cascade: Bundle) -> None:
    for bundle, path in (
        (on_lungs, "members/tiny-lungs"),
        (cascade, "members/tiny-on-lungs/members/tiny-lungs"),
    ):
        manifest = bundle.folder / path / "bundle.json"
        manifest.write_bytes(manifest.read_bytes() + b" ")
        with pytest.raises(IntegrityError, match=r"the member was changed or exchanged"):
            bundle.predictor()


def test_a_changed_file_of_a_member_is_found(cascade: Bundle) -> None:
    cascade.check_all()
    inner = cascade.folder / "members/tiny-on-lungs/members/tiny-lungs"
    (inner / "acceptance/00.png").write_bytes(b"x")
    with pytest.raises(IntegrityError, match="acceptance film of 'tiny-lungs'"):
        cascade.check_all()


def test_a_circle_is_refused(on_lungs: Bundle) -> None:
    member = on_lungs.folder / "members" / "tiny-lungs"
    shutil.rmtree(member)
    member.symlink_to(on_lungs.folder, target_is_directory=True)
    with pytest.raises(SchemaError, match="leads back to itself: a circle"):
        on_lungs.predictor()


def test_pipelines_too_deep_in_each_other_are_refused(tmp_path: Path) -> None:
    bundles = [tiny.binary(tmp_path / n, n) for n in "ab"]
    for depth in range(2, 5):
        other = tiny.binary(tmp_path / f"x{depth}", f"x{depth}")
        pair = [("member", bundles[0]), ("member", other)]
        bundles[0] = tiny.pipeline(tmp_path / f"p{depth}", f"p{depth}", ensemble_rules(), pair)
        if depth < 4:
            bundles[0].models()
    # p4 > p3 > p2 > a is four deep; one more is too many.
    bundles[0].predictor(threads=1)
    pair = [("member", bundles[0]), ("member", bundles[1])]
    with pytest.raises(SchemaError, match="expected at most 4 bundles inside each other"):
        tiny.pipeline(tmp_path / "p5", "p5", ensemble_rules(), pair).predictor()


def test_members_that_do_not_fit_together(tmp_path: Path, lungs: Bundle) -> None:
    whole = tiny.binary(tmp_path / "whole", "whole")
    cropped = tiny.binary(tmp_path / "cropped", "cropped", CROPPED)
    letterbox = tiny.masks(tmp_path / "letter", "letter", Mask(resize="letterbox"))
    found = tiny.findings(tmp_path / "found", "found")
    crop = PipelineRules("on-lungs", CropRule(), None, None)
    cases: list[tuple[PipelineRules, list[tuple[str, Bundle]], str]] = [
        (crop, [("lungs", lungs), ("classifier", whole)], "expected a classifier made for films"),
        (crop, [("lungs", whole), ("classifier", cropped)], "expected a segmentation model"),
        (crop, [("lungs", letterbox), ("classifier", cropped)], "expected a lung network"),
        (CASCADE, [("first", whole), ("second", cropped)], "its second member 'cropped' gives"),
        (CASCADE, [("first", found), ("second", found)], "its first member 'found' gives findings"),
        (ensemble_rules(), [("member", whole), ("member", found)], "of the same labels"),
        (ensemble_rules(), [("member", whole), ("member", cropped)], "same part of the film"),
        (ensemble_rules(), [("member", lungs), ("member", letterbox)], "expected classification"),
    ]
    for number, (rules, members, message) in enumerate(cases):
        if len({b.manifest.name for _, b in members}) < 2:
            twin = tiny.findings(tmp_path / "twin", "twin")
            members = [members[0], (members[1][0], twin)]
        bundle = tiny.pipeline(tmp_path / f"case{number}", "wrong", rules, members)
        with pytest.raises(ArtifactError, match=message):
            bundle.predictor(threads=1)


def test_members_that_read_films_differently_are_refused(tmp_path: Path, lungs: Bundle) -> None:
    from clinicedge.runtime.spec import DicomRules

    classifier = tiny.binary(tmp_path / "c", "c-lung-crop", CROPPED)
    assert classifier.manifest.input is not None
    other = replace(classifier.manifest.input, dicom=DicomRules("full-range"))
    classifier = tiny.write(classifier.folder, replace(classifier.manifest, input=other))
    with pytest.raises(ArtifactError, match="read the grey range of DICOM films differently"):
        tiny.on_lungs(tmp_path / "p", classifier, lungs).predictor()


Change = Callable[[Bundle], dict[str, object]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: {"pipeline": None}, "a pipeline needs `pipeline` and `members`"),
        (lambda b: {"members": ()}, "a pipeline needs `pipeline` and `members`"),
        (lambda b: {"members": b.manifest.members[:1]}, "of kind 'on-lungs' has roles"),
        (lambda b: {"members": (*b.manifest.members, b.manifest.members[0])}, "name occurs twice"),
        (
            lambda b: {
                "members": tuple(replace(m, name=f"a/{m.name}") for m in b.manifest.members)
            },
            "is no plain folder name",
        ),
        (
            lambda b: {"members": tuple(replace(m, name="..") for m in b.manifest.members[:1])},
            "leaves the bundle",
        ),
        (lambda b: {"pipeline": CASCADE}, "of kind 'cascade' has roles"),
        (lambda b: {"pipeline": ensemble_rules()}, "an ensemble has roles"),
        (
            lambda b: {"pipeline": PipelineRules("on-lungs", None, None, None)},
            "of kind 'on-lungs' needs `crop`",
        ),
        (
            lambda b: {"pipeline": PipelineRules("on-lungs", CropRule(), RULE, None)},
            "has no rule `discrepancy`",
        ),
        (
            lambda b: {"pipeline": PipelineRules("on-lungs", CropRule(margin=2.0), None, None)},
            "expected shares in 0..1",
        ),
        (lambda b: {"outputs": b.models()[0][1].manifest.outputs}, "has no input, outputs"),
    ],
)
def test_manifests_of_pipelines_that_contradict_themselves(
    on_lungs: Bundle, change: Change, message: str
) -> None:
    with pytest.raises(SchemaError, match=message):
        tiny.write(on_lungs.folder, replace(on_lungs.manifest, **change(on_lungs)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "rule",
    [
        DiscrepancyRule(-0.1, 0.3, 1, 2),
        DiscrepancyRule(0.4, 0.3, 1, 2),
        DiscrepancyRule(0.1, 0.3, 0, 2),
        DiscrepancyRule(0.1, 0.3, 3, 2),
    ],
)
def test_levels_of_discrepancy_in_the_wrong_order(cascade: Bundle, rule: DiscrepancyRule) -> None:
    rules = PipelineRules("cascade", None, rule, None)
    with pytest.raises(SchemaError, match="a notice not above a warning"):
        tiny.write(cascade.folder, replace(cascade.manifest, pipeline=rules))


def test_a_model_has_no_members_and_masks_have_labels(lungs: Bundle, on_lungs: Bundle) -> None:
    manifest = lungs.manifest
    with pytest.raises(SchemaError, match="a model has no `members`"):
        tiny.write(lungs.folder, replace(manifest, members=on_lungs.manifest.members))
    output = manifest.outputs[0]
    for wrong in (replace(output, labels=("LUNG", "RIB")), replace(output, shape=(32, 32))):
        with pytest.raises(SchemaError, match=r"expected \(labels, height, width\)"):
            tiny.write(lungs.folder, replace(manifest, outputs=(wrong,)))
    from clinicedge.runtime.spec import MaskRules

    for rule in (MaskRules(-0.1, 0, 0.0), MaskRules(0.1, -1, 0.0), MaskRules(0.1, 0, 0.5)):
        with pytest.raises(SchemaError, match="mask rules"):
            tiny.write(lungs.folder, replace(manifest, mask=rule))
    assert load(tiny.write(lungs.folder, manifest).folder).manifest == manifest
