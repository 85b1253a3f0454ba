"""An ensemble of bundles: the mean of their probabilities, against a threshold set on select."""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..profiles.datasets import Dataset, read_dataset, read_findings_dataset
from ..profiles.film_identity import film_hashes
from ..profiles.metrics import pick_threshold, pick_threshold_f1
from ..profiles.splits import refuse_overlap
from ..runtime.bundle import Bundle, load, read_bundle
from ..runtime.ensemble import Ensemble, bound_sha256
from ..runtime.errors import ConversionError, NoLungsError
from ..runtime.figures import Part
from ..runtime.film import Film
from ..runtime.images import read_film
from ..runtime.manifest import Artifact, DataHygiene, Threshold
from ..runtime.predictions import Classification, Findings
from .hygiene import with_films
from .parity import NOT_SET
from .pipeline_bundles import Written, ensemble, write_pipeline
from .zoo_source import NOT_RECORDED

PART: Part = "select"
_UNSET, _NOWHERE = (0.5, NOT_SET), ("none", 0)
# Which patients of a member's records may not set the ensemble's threshold.
_DID: dict[Part, str] = {
    "train": "the training",
    "test": "the test part",
    "official-test": "the official test part",
}


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


@dataclass(frozen=True)
class _Set:
    """Thresholds, whose films set them where no member says so, and what a reader should know."""

    thresholds: tuple[Threshold, ...]
    data: tuple[DataHygiene, ...] = ()
    notes: tuple[str, ...] = ()


def write_ensemble(wish: EnsembleWish, out: Path) -> Written:
    """Write OUT/NAME, its thresholds set on the select part, or left at 0.5 and said so.

    Raises:
        ConversionError: fewer than two members.
        ArtifactError: members of other labels.
        OverlapError: a patient of select trained a member, or is kept for its test.
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
        unset = tuple(_threshold(reference, label, _UNSET, _NOWHERE) for label in labels)
        plan = ensemble(wish.name, wish.members, unset)
        first = read_bundle(write_pipeline(plan, Path(folder)).folder)
        opened = first.predictor(precision=f"{reference.format}/{reference.precision}")
        if not isinstance(opened, Ensemble):
            raise ConversionError(f"'{wish.name}' is no ensemble.")
        found = _Set(unset) if wish.data is None else _set(opened, first, reference, wish)
        sha256 = bound_sha256(first, reference.id)
    bound = tuple(replace(t, artifact_sha256=sha256) for t in found.thresholds)
    written = write_pipeline(ensemble(wish.name, wish.members, bound, found.data), out)
    return replace(written, notes=found.notes)


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
    reference: Artifact, label: str, value: tuple[float, str], where: tuple[str, int]
) -> Threshold:
    """`where`: name of the data and films that set it."""
    return Threshold(
        artifact=reference.id,
        compute=reference.computes[0],
        label=label,
        value=value[0],
        rule=value[1],
        data=where[0],
        part=PART,
        n_films=where[1],
    )


def _set(opened: Ensemble, bundle: Bundle, reference: Artifact, wish: EnsembleWish) -> _Set:
    binary = opened.positive_label is not None
    read: Callable[..., Dataset] = read_dataset if binary else read_findings_dataset
    select = read(wish.data, opened.labels).part(PART)
    _refuse_known(bundle, select)
    scores = _scores(opened, select, wish.weights)
    seen = np.isfinite(scores).all(axis=1)
    labels = (opened.positive_label,) if opened.positive_label is not None else opened.labels
    found = []
    for k, label in enumerate(labels):
        truth = np.array(select.positives(label)) if binary else select.findings([label])[:, 0]
        value = _picked(scores[seen, k], truth[seen], binary)
        found.append(_threshold(reference, label, value, (select.name, int(seen.sum()))))
    return _Set(tuple(found), _record(bundle, select), tuple(_unknown(bundle)))


def _picked(
    scores: NDArray[np.float64], truth: NDArray[np.bool_], binary: bool
) -> tuple[float, str]:
    """The threshold and its rule; a finding that no film or every film has, sets none."""
    if binary:
        return pick_threshold(scores, truth)
    return _UNSET if truth.all() or not truth.any() else pick_threshold_f1(scores, truth)


def _refuse_known(bundle: Bundle, select: Dataset) -> None:
    """No patient of a member's training or test part sets the ensemble's threshold."""
    for _, model in bundle.models():
        for record in model.manifest.data:
            for part in record.parts:
                if part.part in _DID:
                    did = f"{_DID[part.part]} of {model.manifest.name}"
                    names = (f"'{PART}' of {select.name}", did)
                    refuse_overlap(select.key_hashes(), part.patient_keys.split(), names)


def _record(bundle: Bundle, select: Dataset) -> tuple[DataHygiene, ...]:
    """Whose films set the thresholds; () where the members' own records have all of them."""
    read = film_hashes(film.path for film in select.films)
    records = [h for _, model in bundle.models() for h in model.manifest.data]
    parts = [p for h in records for p in h.parts if p.part == PART]
    patients = {key for p in parts for key in p.patient_keys.split()}
    films = {name for p in parts for name in p.film_hashes.split()}
    if patients >= set(select.key_hashes()) and films >= set(read):
        return ()
    return (with_films(select.hygiene_record(), {PART: read}),)


def _unknown(bundle: Bundle) -> Iterator[str]:
    models = (m.manifest for _, m in bundle.models())
    names = [m.name for m in models if m.provenance and m.provenance.training_data == NOT_RECORDED]
    if names:
        yield (
            f"which patients trained {', '.join(dict.fromkeys(names))} is not recorded: where they "
            "are in select, the thresholds are set on films that a member knows"
        )


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
