"""Several models answer, their mean probability decides."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import cast

from .boxes import Boxes
from .bundle import Bundle
from .errors import ArtifactError
from .explanations.records import USUAL, MapRequest
from .film import Film
from .findings import decide, main_finding
from .manifest import Threshold
from .pipeline import CropPredictor, Pipeline, added, contributed
from .predictions import Classification, Explanation, Findings, Member
from .predictor import Part, Predictor

Answers = list[Classification | Findings]


class Ensemble(Pipeline):
    """Members of the same labels; the ensemble's own threshold on the mean of their scores."""

    def __init__(self, bundle: Bundle, members: tuple[Predictor, ...]) -> None:
        """
        Raises:
            ArtifactError: members of other labels or kinds, a label without a threshold, or one
                that was set with other bytes of the members.
        """
        parts = tuple(Part(p.report.model, p) for p in members)
        super().__init__(bundle, members[0].kind, parts, parts[0])
        kinds = {(p.kind, p.labels, p.positive_label, takes_crops(p)) for p in members}
        if len(kinds) > 1 or self.kind not in ("classification", "findings"):
            raise ArtifactError(
                f"ensemble '{bundle.manifest.name}': its members give "
                + ", ".join(f"{p.kind} of {'/'.join(p.labels)} ({p.report.model})" for p in members)
                + "; expected classification or findings of the same labels in the same order, on "
                "the same part of the film."
            )
        rules = self._rules()
        self.thresholds = {label: rule.value for label, rule in rules.items()}
        self.report = replace(
            self.report,
            session=replace(
                self.report.session,
                notes=(*self.report.session.notes, *self._threshold_notes(rules)),
            ),
        )

    def _rules(self) -> dict[str, Threshold]:
        """The ensemble's thresholds by label."""
        manifest = self.bundle.manifest
        own = manifest.pipeline.threshold if manifest.pipeline else None
        known = {t.label: t for t in (*manifest.thresholds, *((own,) if own else ()))}
        labels = (self.positive_label,) if self.positive_label else self.labels
        missing = [label for label in labels if label not in known]
        if missing:
            raise ArtifactError(
                f"ensemble '{manifest.name}' has no threshold of its own for "
                f"{', '.join(map(str, missing))}; the members' are not used instead. Make it "
                "again with one."
            )
        found = {label: known[label] for label in labels if label is not None}
        for rule in found.values():
            _refuse_other_members(self.bundle, rule)
        return found

    def _threshold_notes(self, rules: dict[str, Threshold]) -> list[str]:
        """Where members run another artifact than the one that the thresholds were set with."""
        set_with = {(t.artifact, t.compute) for t in rules.values()}
        running = [(p.predictor.report.artifact, p.predictor.report.session) for p in self.parts]
        other = sorted({a for a, s in running if (a, s.compute) not in set_with})
        if not other:
            return []
        return [
            f"the ensemble's threshold was set with {', '.join(sorted({a for a, _ in set_with}))}; "
            f"members run {', '.join(other)}"
        ]

    @property
    def crops(self) -> bool:
        """Whether the members take films cropped to the lungs."""
        return all(takes_crops(part.predictor) for part in self.parts)

    def predict(self, film: Film, boxes: Boxes = ()) -> Classification | Findings:
        """The mean over a whole film; raises as `Predictor.predict`."""
        self._admit(film, boxes)
        return self._mean(lambda member: member.predict(film))

    def predict_crop(self, film: Film) -> Classification | Findings:
        """The mean over what was already cropped to the lungs."""
        return self._mean(lambda member: cast(CropPredictor, member).predict_crop(film))

    def _mean(self, ask: Callable[[Predictor], object]) -> Classification | Findings:
        answers = cast(Answers, [ask(part.predictor) for part in self.parts])
        crops = {a.crop for a in answers}
        members: tuple[Member, ...] = ()
        for part, answer in zip(self.parts, answers, strict=True):
            members += contributed(part.role, answer)
        mean: Classification | Findings = (
            self._binary(cast(list[Classification], answers))
            if self.kind == "classification"
            else self._findings(cast(list[Findings], answers))
        )
        return replace(
            mean,
            report=self.report,
            timing=added([a.timing for a in answers]),
            crop=crops.pop() if len(crops) == 1 else None,
            members=members,
        )

    def _binary(self, answers: list[Classification]) -> Classification:
        shares = _means([dict(a.probabilities) for a in answers])
        first = answers[0]
        score, threshold = shares[first.positive_label], self.thresholds[first.positive_label]
        positive = score >= threshold
        other = next(label for label in self.labels if label != first.positive_label)
        return replace(
            first,
            label=first.positive_label if positive else other,
            positive=positive,
            score=score,
            threshold=threshold,
            probabilities=tuple(shares.items()),
        )

    def _findings(self, answers: list[Findings]) -> Findings:
        scores = _means([{f.label: f.score for f in a.findings} for a in answers])
        found = decide(scores, dict(self.thresholds))
        return replace(answers[0], findings=found, main=main_finding(found))

    def explain(self, film: Film, request: MapRequest = USUAL) -> Explanation:
        """The first member's map, said so; raises as `Predictor.explain`."""
        self._admit(film)
        return self._first_map(self.parts[0].predictor.explain(film, request))

    def explain_crop(self, film: Film, request: MapRequest = USUAL) -> Explanation:
        """As `explain`, of what was already cropped to the lungs."""
        first = cast(CropPredictor, self.parts[0].predictor)
        return self._first_map(first.explain_crop(film, request))

    def _first_map(self, told: Explanation) -> Explanation:
        name = self.parts[0].predictor.report.model
        said = f"Map of '{name}', one of {len(self.parts)} members."
        return replace(told, report=self.report, note=" ".join(filter(None, (told.note, said))))


def bound_sha256(bundle: Bundle, artifact_id: str) -> str:
    """What an ensemble's threshold is bound to: one artifact of every model inside.

    SHA-256 of the sorted lines `path TAB name TAB artifact's sha256`, each ended by a newline.

    Raises:
        ArtifactError: a model has no such artifact.
    """
    lines = sorted(
        f"{path}\t{model.manifest.name}\t{model.artifact(artifact_id).sha256}\n"
        for path, model in bundle.models()
    )
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()


def _refuse_other_members(bundle: Bundle, rule: Threshold) -> None:
    if not rule.artifact_sha256:
        return
    found = bound_sha256(bundle, rule.artifact)
    if rule.artifact_sha256 != found:
        raise ArtifactError(
            f"ensemble '{bundle.manifest.name}': its threshold for '{rule.label}' was set with "
            f"members whose {rule.artifact} are {rule.artifact_sha256[:12]}… together, these are "
            f"{found[:12]}…; expected the same. Make the ensemble again."
        )


def takes_crops(predictor: Predictor) -> bool:
    """Whether it has `predict_crop` and was made for films cropped to the lungs."""
    if isinstance(predictor, Ensemble):
        return predictor.crops
    return not isinstance(predictor, Pipeline) and predictor.input.region == "lungs"


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean by label, in the first row's order."""
    return {label: math.fsum(row[label] for row in rows) / len(rows) for label in rows[0]}
