"""When an opinion and an answer differ: levels, reasons, borders."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clinicedge.runtime.discrepancy import Discrepancy, Opinion, Reason, discrepancy
from clinicedge.runtime.errors import OpinionError
from clinicedge.runtime.findings import decide, main_finding
from clinicedge.runtime.manifest import DiscrepancyRule
from clinicedge.runtime.predictions import (
    CascadeResult,
    Classification,
    Findings,
    RunReport,
    SessionReport,
    Timing,
)

SESSION = SessionReport("onnxruntime", "onnxruntime 1", "cpu", "f32", 1)
REPORT = RunReport("net", "1.0.0", "b" * 64, "onnx/fp32", "a" * 64, SESSION)
TIMING = Timing(1.0, 2.0)
RULE = DiscrepancyRule(0.125, 0.25, 1, 2)
LABELS = ("Bronchitis", "Bronchiolitis", "Pneumonia")


def first(score: float, threshold: float = 0.5) -> Classification:
    positive = score >= threshold
    return Classification(
        label="PNEUMONIA" if positive else "NORMAL",
        positive=positive,
        positive_label="PNEUMONIA",
        score=score,
        threshold=threshold,
        probabilities=(("NORMAL", 1.0 - score), ("PNEUMONIA", score)),
        report=REPORT,
        timing=TIMING,
    )


def second(*scores: float) -> Findings:
    thresholds = dict.fromkeys(LABELS, 0.5)
    found = decide(dict(zip(LABELS, scores, strict=True)), thresholds)
    return Findings(found, main_finding(found), REPORT, TIMING)


def cascade(score: float, *scores: float) -> CascadeResult:
    more = second(*scores) if scores else None
    return CascadeResult(first(score), more, REPORT, TIMING)


def only(found: Discrepancy) -> Reason:
    (reason,) = found.reasons
    assert found.level == reason.level
    return reason


@pytest.mark.parametrize(
    ("score", "level"),
    [
        (0.5, "none"),
        (0.62, "none"),
        (0.625, "notice"),
        (0.74, "notice"),
        (0.75, "warning"),
        (1.0, "warning"),
    ],
)
def test_a_contrary_opinion_counts_by_the_distance_from_the_threshold(
    score: float, level: str
) -> None:
    found = discrepancy(first(score), Opinion("NORMAL"), RULE)
    assert found.level == level
    if level == "none":
        assert found.reasons == ()
        return
    reason = only(found)
    assert reason.code == "contrary-opinion"
    assert reason.value == pytest.approx(score - 0.5)
    assert reason.limit == (0.125 if level == "notice" else 0.25)
    assert (reason.opinion, reason.answer) == (("NORMAL",), ("PNEUMONIA",))
    assert "You said NORMAL, the answer is PNEUMONIA" in reason.message


def test_it_counts_on_both_sides_and_from_the_answers_own_threshold() -> None:
    assert discrepancy(first(0.1), Opinion("PNEUMONIA"), RULE).level == "warning"
    low = first(0.2, threshold=0.15)
    assert low.positive
    assert discrepancy(low, Opinion("NORMAL"), RULE) == Discrepancy("none", ())


@given(st.floats(0, 1), st.floats(0.01, 0.99), st.sampled_from(["NORMAL", "PNEUMONIA", None]))
def test_the_same_opinion_and_no_opinion_never_differ(
    score: float, threshold: float, said: str | None
) -> None:
    answer = first(score, threshold)
    opinion = Opinion(answer.label if said is not None else None)
    assert discrepancy(answer, opinion, RULE) == Discrepancy("none", ())


@given(st.floats(0, 1), st.floats(0, 1))
def test_farther_from_the_threshold_is_never_a_lower_level(one: float, other: float) -> None:
    order = ["none", "notice", "warning"]
    near, far = sorted((one, other), key=lambda s: abs(s - 0.5))
    levels = []
    for score in (near, far):
        answer = first(score)
        contrary = "NORMAL" if answer.positive else "PNEUMONIA"
        levels.append(order.index(discrepancy(answer, Opinion(contrary), RULE).level))
    assert levels == sorted(levels)


def test_another_main_finding_counts_by_how_sure_the_answer_is() -> None:
    rule = DiscrepancyRule(0.125, 0.25, 9, 9)
    said = Opinion("PNEUMONIA", ("Bronchitis",))
    assert discrepancy(cascade(0.9, 0.1, 0.2, 0.6), said, rule).level == "none"
    notice = only(discrepancy(cascade(0.9, 0.1, 0.2, 0.7), said, rule))
    assert (notice.code, notice.level, notice.limit) == ("different-main-finding", "notice", 0.125)
    assert notice.value == pytest.approx(0.2)
    warning = only(discrepancy(cascade(0.9, 0.1, 0.2, 0.9), said, rule))
    assert (warning.level, warning.limit) == ("warning", 0.25)
    assert (warning.opinion, warning.answer) == (("Bronchitis",), ("Pneumonia",))


def test_it_is_at_most_a_notice_where_the_answer_has_the_clinicians_finding_too() -> None:
    rule = DiscrepancyRule(0.125, 0.25, 9, 9)
    found = discrepancy(cascade(0.9, 0.6, 0.2, 0.9), Opinion("PNEUMONIA", ("Bronchitis",)), rule)
    assert only(found).level == "notice"
    assert only(found).answer == ("Pneumonia", "Bronchitis")


def test_the_same_main_finding_or_none_on_either_side_is_no_difference() -> None:
    rule = DiscrepancyRule(0.0, 0.0, 9, 9)
    for answer, said in (
        (cascade(0.9, 0.9, 0.1, 0.1), ("Bronchitis",)),
        (cascade(0.9, 0.9, 0.1, 0.1), ()),
        (cascade(0.9, 0.1, 0.1, 0.1), ("Bronchitis",)),
    ):
        assert discrepancy(answer, Opinion("PNEUMONIA", said), rule) == Discrepancy("none", ())


@pytest.mark.parametrize(
    ("said", "count", "level"),
    [
        (("Pneumonia",), 0, "none"),
        (("Pneumonia", "Bronchitis"), 1, "notice"),
        (("Pneumonia", "Bronchitis", "Bronchiolitis"), 2, "warning"),
        ((), 1, "notice"),
    ],
)
def test_findings_that_one_side_has_alone_are_counted(
    said: tuple[str, ...], count: int, level: str
) -> None:
    found = discrepancy(cascade(0.9, 0.1, 0.2, 0.55), Opinion("PNEUMONIA", said), RULE)
    assert found.level == level
    if count:
        reason = only(found)
        assert (reason.code, reason.value) == ("findings-disagree", float(count))
        assert reason.limit == (1.0 if level == "notice" else 2.0)


def test_a_second_stage_that_did_not_run_found_nothing() -> None:
    found = discrepancy(cascade(0.45), Opinion(None, ("Pneumonia", "Bronchitis")), RULE)
    reason = only(found)
    assert (reason.code, reason.level, reason.answer) == ("findings-disagree", "warning", ())
    assert discrepancy(cascade(0.45), Opinion(None, ()), RULE).level == "none"
    assert discrepancy(cascade(0.45), Opinion(None, None), RULE).level == "none"


def test_the_level_is_the_highest_of_all_reasons() -> None:
    found = discrepancy(cascade(0.65, 0.1, 0.2, 0.9), Opinion("NORMAL", ()), RULE)
    assert {r.code: r.level for r in found.reasons} == {
        "contrary-opinion": "notice",
        "findings-disagree": "notice",
    }
    assert found.level == "notice"
    found = discrepancy(cascade(0.65, 0.1, 0.2, 0.9), Opinion("NORMAL", ("Bronchitis",)), RULE)
    assert {r.code: r.level for r in found.reasons} == {
        "contrary-opinion": "notice",
        "different-main-finding": "warning",
        "findings-disagree": "warning",
    }
    assert found.level == "warning"


def test_findings_do_not_matter_to_a_single_classifier() -> None:
    assert discrepancy(first(0.9), Opinion("PNEUMONIA", ("Anything",)), RULE).level == "none"


def test_labels_that_the_answer_does_not_know_are_refused() -> None:
    with pytest.raises(OpinionError, match=r"the opinion is 'WELL'; 'net' knows NORMAL, PNEUMONIA"):
        discrepancy(first(0.9), Opinion("WELL"), RULE)
    with pytest.raises(OpinionError, match="has the findings 'Flu'"):
        discrepancy(cascade(0.9, 0.1, 0.1, 0.9), Opinion(None, ("Flu",)), RULE)
