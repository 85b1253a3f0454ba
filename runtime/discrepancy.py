"""Does the clinician's first opinion differ from the answer so far that both should look again?

Three things are compared, each with the levels that the pipeline's manifest names:

- a contrary label: how far the score lies from its threshold;
- another main finding: how far the answer's main finding lies above its threshold; at most a
  notice where the answer also has the clinician's;
- how many findings one has and the other has not.

An opinion that was not given, or is unsure, differs from nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from .errors import OpinionError
from .manifest import DiscrepancyRule
from .predictions import CascadeResult, Classification, Findings

Level = Literal["none", "notice", "warning"]
Code = Literal["contrary-opinion", "different-main-finding", "findings-disagree"]
_ORDER: tuple[Level, ...] = ("none", "notice", "warning")


@dataclass(frozen=True)
class Opinion:
    """What a clinician said before the answer.

    Attributes:
        label: of the first answer; None where unsure or not given.
        findings: the main one first; () says that there are none, None that nothing was said.
    """

    label: str | None
    findings: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Reason:
    """One difference.

    Attributes:
        value: what was measured: a distance of probabilities, or a count.
        limit: of the level that it reached.
        opinion, answer: the labels that each side has, the main one first.
        message: a sentence for the reader.
    """

    code: Code
    level: Level
    value: float
    limit: float
    opinion: tuple[str, ...]
    answer: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class Discrepancy:
    """The highest level of the reasons; "none" without one."""

    level: Level
    reasons: tuple[Reason, ...]


def discrepancy(
    result: CascadeResult | Classification, opinion: Opinion, rule: DiscrepancyRule
) -> Discrepancy:
    """Compare an opinion with an answer.

    Raises:
        OpinionError: the opinion names a label that the answer does not know.
    """
    first = result.first if isinstance(result, CascadeResult) else result
    _check_label(opinion, first)
    reasons = list(_contrary(first, opinion, rule))
    if isinstance(result, CascadeResult) and opinion.findings is not None:
        _check_findings(opinion.findings, result.second)
        reasons += _other_main(opinion.findings, result.second, rule)
        reasons += _count(opinion.findings, result.second, rule)
    levels: list[Level] = ["none", *(reason.level for reason in reasons)]
    return Discrepancy(max(levels, key=_ORDER.index), tuple(reasons))


def _check_label(opinion: Opinion, first: Classification) -> None:
    known = [label for label, _ in first.probabilities]
    if opinion.label is not None and opinion.label not in known:
        raise OpinionError(
            f"the opinion is {opinion.label!r}; '{first.report.model}' knows {', '.join(known)}. "
            "Choose one of them, or none for unsure."
        )


def _check_findings(said: tuple[str, ...], second: Findings | None) -> None:
    if second is None:
        return
    known = [f.label for f in second.findings]
    strange = [label for label in said if label not in known]
    if strange:
        raise OpinionError(
            f"the opinion has the findings {', '.join(map(repr, strange))}; "
            f"'{second.report.model}' knows {', '.join(known)}. Choose among them."
        )


def _reached(value: float, notice: float, warning: float) -> tuple[Level, float]:
    if value >= warning:
        return "warning", warning
    return ("notice", notice) if value >= notice else ("none", notice)


def _contrary(first: Classification, opinion: Opinion, rule: DiscrepancyRule) -> Iterator[Reason]:
    if opinion.label is None or opinion.label == first.label:
        return
    distance = abs(first.score - first.threshold)
    level, limit = _reached(distance, rule.margin_notice, rule.margin_warning)
    if level == "none":
        return
    yield Reason(
        code="contrary-opinion",
        level=level,
        value=distance,
        limit=limit,
        opinion=(opinion.label,),
        answer=(first.label,),
        message=f"You said {opinion.label}, the answer is {first.label}: the score "
        f"{first.score:.2f} lies {distance:.2f} from the threshold {first.threshold:.2f}.",
    )


def _other_main(
    said: tuple[str, ...], second: Findings | None, rule: DiscrepancyRule
) -> Iterator[Reason]:
    if second is None or second.main is None or not said or said[0] == second.main:
        return
    positive = _positive(second)
    main = next(f for f in second.findings if f.label == second.main)
    distance = main.score - main.threshold
    level, limit = _reached(distance, rule.margin_notice, rule.margin_warning)
    if level == "warning" and said[0] in positive:
        level, limit = "notice", rule.margin_notice
    if level == "none":
        return
    yield Reason(
        code="different-main-finding",
        level=level,
        value=distance,
        limit=limit,
        opinion=said,
        answer=positive,
        message=f"Your main finding is {said[0]}, the answer's is {second.main}: its score "
        f"{main.score:.2f} lies {distance:.2f} above the threshold {main.threshold:.2f}.",
    )


def _count(
    said: tuple[str, ...], second: Findings | None, rule: DiscrepancyRule
) -> Iterator[Reason]:
    # Where the first answer is negative, the second model did not run: it found nothing.
    found = _positive(second) if second is not None else ()
    differ = sorted(set(said) ^ set(found))
    level, limit = _reached(len(differ), rule.findings_notice, rule.findings_warning)
    if level == "none":
        return
    yield Reason(
        code="findings-disagree",
        level=level,
        value=float(len(differ)),
        limit=float(limit),
        opinion=said,
        answer=found,
        message=f"{len(differ)} of the findings are yours or the answer's alone: "
        f"{', '.join(differ)}.",
    )


def _positive(second: Findings) -> tuple[str, ...]:
    """Labels of the positive findings, the main one first."""
    found = [f for f in second.findings if f.positive]
    found.sort(key=lambda f: f.threshold - f.score)
    return tuple(f.label for f in found)
