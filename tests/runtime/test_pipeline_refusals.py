"""Pipelines that are refused: members missing, exchanged or misfitting; manifests that contradict
themselves."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_bundles as tiny
from tiny_bundles import Mask
from tiny_pipelines import CASCADE, CROPPED, RULE, ensemble_rules

from clinicedge.runtime import Bundle, load
from clinicedge.runtime.errors import (
    ArtifactError,
    IntegrityError,
    OutsideUseError,
    SchemaError,
    TensorError,
)
from clinicedge.runtime.lungs import CropRule
from clinicedge.runtime.manifest import DiscrepancyRule, PipelineRules


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
