"""An ensemble of bundles: the mean of their probabilities, against a threshold set on select."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..profiles.datasets import Dataset, read_dataset, read_findings_dataset
from ..profiles.metrics import pick_threshold, pick_threshold_f1
from ..profiles.splits import refuse_overlap
from ..runtime.bundle import Bundle, load, read_bundle
from ..runtime.ensemble import Ensemble, bound_sha256
from ..runtime.errors import ConversionError, NoLungsError
from ..runtime.figures import Part
from ..runtime.film import Film
from ..runtime.images import read_film
from ..runtime.manifest import Artifact, Threshold
from ..runtime.predictions import Classification, Findings
from .parity import NOT_SET
from .pipeline_bundles import Written, ensemble, write_pipeline

PART: Part = "select"


@dataclass(frozen=True)
class EnsembleWish:
    """What an ensemble is made of.

    Attributes:
        members: folders of bundles that give the same labels.
        data: a data folder whose select part sets the threshold; None: 0.5.
        weights: folders where the weights of the lungs' network are looked for, where the members
            take crops.
    """

    name: str
    members: tuple[Path, ...]
    data: Path | None = None
    weights: tuple[Path, ...] = ()


def write_ensemble(wish: EnsembleWish, out: Path) -> Written:
    """Write OUT/NAME, its threshold set on the select part.

    Raises:
        ConversionError: fewer than two members.
        ArtifactError: members of other labels.
        OverlapError: a patient of select trained a member.
        DataError: the data folder cannot be used.
        Also what `write_pipeline` raises.
    """
    if len(wish.members) < 2:
        raise ConversionError(
            f"ensemble '{wish.name}' has {len(wish.members)} members; expected two at least."
        )
    reference = _reference(load(wish.members[0]))
    with tempfile.TemporaryDirectory(prefix="clinicedge-ensemble-") as folder:
        labels = _labels(load(wish.members[0]))
        unset = tuple(_threshold(reference, label, (0.5, NOT_SET), None) for label in labels)
        plan = ensemble(wish.name, wish.members, unset)
        first = read_bundle(write_pipeline(plan, Path(folder)).folder)
        opened = first.predictor(precision=f"{reference.format}/{reference.precision}")
        if not isinstance(opened, Ensemble):
            raise ConversionError(f"'{wish.name}' is no ensemble.")
        thresholds = unset if wish.data is None else _set(opened, first, reference, wish)
        sha256 = bound_sha256(first, reference.id)
    bound = tuple(replace(t, artifact_sha256=sha256) for t in thresholds)
    return write_pipeline(ensemble(wish.name, wish.members, bound), out)


def _reference(bundle: Bundle) -> Artifact:
    """The artifact that sets the threshold: ONNX FP32 where there is one, else any FP32."""
    artifacts = bundle.models()[-1][1].manifest.artifacts
    order = {"onnx/fp32": 0}
    return min(artifacts, key=lambda a: (order.get(a.id, 1), a.precision != "fp32"))


def _labels(bundle: Bundle) -> tuple[str, ...]:
    """The decided labels of the member's model that answers."""
    manifest = bundle.models()[-1][1].manifest
    return tuple(dict.fromkeys(t.label for t in manifest.thresholds))


def _threshold(
    reference: Artifact, label: str, value: tuple[float, str], data: Dataset | None
) -> Threshold:
    return Threshold(
        artifact=reference.id,
        compute=reference.computes[0],
        label=label,
        value=value[0],
        rule=value[1],
        data=data.name if data else "none",
        part=PART,
        n_films=len(data.films) if data else 0,
    )


def _set(
    opened: Ensemble, bundle: Bundle, reference: Artifact, wish: EnsembleWish
) -> tuple[Threshold, ...]:
    binary = opened.positive_label is not None
    read: Callable[..., Dataset] = read_dataset if binary else read_findings_dataset
    select = read(wish.data, opened.labels).part(PART)
    _refuse_trained(bundle, select)
    scores = _scores(opened, select, wish.weights)
    seen = np.isfinite(scores).all(axis=1)
    labels = (opened.positive_label,) if opened.positive_label is not None else opened.labels
    found = []
    for k, label in enumerate(labels):
        truth = np.array(select.positives(label)) if binary else select.findings([label])[:, 0]
        pick = pick_threshold if binary else pick_threshold_f1
        found.append(_threshold(reference, label, pick(scores[seen, k], truth[seen]), select))
    return tuple(found)


def _refuse_trained(bundle: Bundle, select: Dataset) -> None:
    for _, model in bundle.models():
        for record in model.manifest.data:
            for part in record.parts:
                if part.part == "train":
                    names = (f"'{PART}' of {select.name}", f"training of {model.manifest.name}")
                    refuse_overlap(select.key_hashes(), part.patient_keys.split(), names)


def _scores(opened: Ensemble, films: Dataset, weights: tuple[Path, ...]) -> NDArray[np.float64]:
    """Mean probabilities (N, labels); NaN where no lungs are found."""
    ask = _asking(opened, weights)
    width = 1 if opened.positive_label is not None else len(opened.labels)
    scores = np.full((len(films.films), width), np.nan)
    for i, film in enumerate(films.films):
        try:
            answer = ask(read_film(film.path, opened.input.dicom.voi))
        except NoLungsError:
            continue
        if isinstance(answer, Classification):
            scores[i] = answer.score
        elif isinstance(answer, Findings):
            scores[i] = [f.score for f in answer.findings]
    return scores


def _asking(opened: Ensemble, weights: tuple[Path, ...]) -> Callable[[Film], Any]:
    """Members that take crops are shown the lungs, as their on-lungs pipeline would."""
    if not opened.crops:
        return opened.predict
    from ..models.training.cropping import lung_cropper

    cropped = lung_cropper(weights)

    def ask(film: Film) -> Any:
        lungs = cropped(film)
        return None if lungs is None else opened.predict_crop(lungs)

    return ask
