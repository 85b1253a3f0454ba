"""Bundle schema 1: the records of bundle.json.

Written once and never changed. Fields of later work may be None: they are shown as "not made".
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .figures import Accuracy, BoxAccuracy, Compute, Flips, MaskAccuracy, Parity, Part, Reliability
from .guarding import Budget, Guarding
from .lungs import CropRule
from .spec import (
    DetectionRules,
    ExplanationSpec,
    InputSpec,
    IntendedUse,
    MaskRules,
    OutputSpec,
    Task,
)

SCHEMA = 1
Precision = Literal["fp32", "fp16", "int8"]
Format = Literal["onnx", "tflite", "openvino"]


@dataclass(frozen=True)
class FileEntry:
    """A file of the bundle; `path` is relative with forward slashes."""

    path: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class TensorSpec:
    """A graph's input or output: float32, channels first, batch axis included."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class TensorBinding:
    """How the manifest's tensor `name` lies in the file.

    `axes` lists for each native axis the manifest's axis that it holds, e.g. (0, 2, 3, 1) for
    a file in NHWC. real = scale * (native - zero_point) where `scale` is given.
    """

    name: str
    native: str
    axes: tuple[int, ...]
    dtype: Literal["float32", "int8", "uint8"]
    scale: float | None
    zero_point: int | None


@dataclass(frozen=True)
class Graph:
    """One network of an artifact; the first of `files` is the one an engine opens."""

    name: str
    precision: Precision
    files: tuple[FileEntry, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    binding: tuple[TensorBinding, ...]


@dataclass(frozen=True)
class FloatLayer:
    """A layer that stayed in float in a quantized artifact, and why.

    `snr_db`: signal-to-noise ratio of its quantized output before it was left in float;
    `bytes_added` to the file; both None where they were not measured.
    """

    name: str
    why: str
    snr_db: float | None = None
    bytes_added: int | None = None


@dataclass(frozen=True)
class Calibration:
    """The films that set the ranges of a static INT8 artifact."""

    data: str
    part: Part
    n_films: int
    n_patients: int
    method: str
    films_sha256: str


@dataclass(frozen=True)
class Artifact:
    """One format x recipe of the model.

    Attributes:
        computes: the compute precisions that were validated.
        guard: of INT8, what it cost against FP32 on the guard part; None: not made.
        flips: decisions that differ from FP32's on the guard part, one entry a decided label.
        reliability: how far scores are from shares, one entry a decided label.
        safe_on: of INT8, the processors on which integer sums cannot saturate with this recipe; not
            that answers are equal there.
    """

    id: str
    format: Format
    recipe: str
    precision: Precision
    computes: tuple[Compute, ...]
    graphs: tuple[Graph, ...]
    sha256: str
    float_layers: tuple[FloatLayer, ...]
    calibration: Calibration | None
    parity: Parity
    accuracy: tuple[Accuracy, ...]
    masks: tuple[MaskAccuracy, ...] = ()
    boxes: tuple[BoxAccuracy, ...] = ()
    guard: Guarding | None = None
    flips: tuple[Flips, ...] = ()
    reliability: tuple[Reliability, ...] = ()
    safe_on: tuple[str, ...] = ()

    def graph(self, name: str) -> Graph:
        """The graph of that name.

        Raises:
            KeyError: the artifact has none.
        """
        for graph in self.graphs:
            if graph.name == name:
                return graph
        raise KeyError(name)

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return sum(f.bytes for g in self.graphs for f in g.files)


@dataclass(frozen=True)
class Threshold:
    """Positive means score >= value, for one artifact in one compute precision.

    `rule` says how it was chosen, on `n_films` films of `part` of `data`. `artifact_sha256` binds
    it to the artifact's very bytes ("" in bundles made before that).
    """

    artifact: str
    compute: Compute
    label: str
    value: float
    rule: str
    data: str
    part: Part
    n_films: int
    artifact_sha256: str = ""


@dataclass(frozen=True)
class Temperature:
    """Scores are activation(logits / value), for one artifact in one compute precision.

    Fitted by likelihood on `n_films` films of `part` of `data` (Guo et al. 2017,
    arXiv:1706.04599, section 4.2).
    """

    artifact: str
    compute: Compute
    label: str
    value: float
    data: str
    part: Part
    n_films: int


@dataclass(frozen=True)
class Expected:
    """What an artifact gave for an acceptance film (see `recorded_values.py`), and the band around
    it.

    `labels` and `scores`: what the values were taken for, the output's labels in order and the
    score of each, 0..1. Both () of boxes, and in bundles made before these were recorded.
    """

    artifact: str
    compute: Compute
    output: str
    values: tuple[float, ...]
    tolerance: float
    labels: tuple[str, ...] = ()
    scores: tuple[float, ...] = ()


@dataclass(frozen=True)
class AcceptanceFilm:
    """A phantom film, the SHA-256 of its preprocessed float32 tensor, and the answers.

    `boxes`: x0, y0, x1, y1 in the film's pixels that a promptable model is asked with.
    """

    file: FileEntry
    tensor_sha256: str
    expected: tuple[Expected, ...]
    boxes: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True)
class Acceptance:
    """What the device must reproduce. `tried`: engines and processors behind the tolerances."""

    films: tuple[AcceptanceFilm, ...]
    tried: tuple[str, ...]


@dataclass(frozen=True)
class DataPart:
    """One part of the split. `patient_keys`: space-separated hashes of the patient keys.

    `film_hashes`: likewise of the files that conversion read of it (10 digits of their SHA-256),
    so that a copy of the data under another name is known again; "" where none were.
    """

    part: Part
    n_films: int
    n_patients: int
    patient_keys: str
    film_hashes: str = ""


@dataclass(frozen=True)
class DataHygiene:
    """Which patients were used for what; `split` names the rule."""

    data: str
    split: str
    parts: tuple[DataPart, ...]


@dataclass(frozen=True)
class Provenance:
    """What the bundle was made of and with. `weights_date` is ISO 8601, of the source weights."""

    weights_file: str
    weights_sha256: str
    weights_date: str
    tools: Mapping[str, str]
    training_data: str
    attribution: str


@dataclass(frozen=True)
class LinearHead:
    """The classifier after global average pooling: logits = weight @ pooled + bias."""

    weight: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]


@dataclass(frozen=True)
class Member:
    """A bundle that a pipeline runs, and the role it plays in it.

    It lies in the pipeline's own folder, at members/NAME. Roles: "lungs" and "classifier" of an
    on-lungs pipeline, "first" and "second" of a cascade, "member" of an ensemble, "detector" and
    "segmenter" of lesions.
    """

    role: str
    name: str
    bundle_id: str


@dataclass(frozen=True)
class DiscrepancyRule:
    """When a clinician's first opinion and the answer differ enough for a warning.

    Attributes:
        margin_notice, margin_warning: distance of the score from the threshold, from which on a
            contrary opinion is a notice, and a warning.
        findings_notice, findings_warning: findings that disagree, likewise.
    """

    margin_notice: float
    margin_warning: float
    findings_notice: int
    findings_warning: int


@dataclass(frozen=True)
class PipelineRules:
    """How a pipeline's members work together.

    Attributes:
        kind: "on-lungs": lungs -> crop -> classifier; "cascade": the second member runs only
            where the first says positive; "ensemble": mean of the members' probabilities;
            "lesions": a detector's boxes are what a promptable segmenter is asked with.
        crop: of an on-lungs pipeline.
        discrepancy: of a cascade.
        threshold: of an ensemble, on the mean probability; others use their members' own. Its
            `artifact_sha256` binds it to that artifact of every model inside (`ensemble.py`).
    """

    kind: Literal["on-lungs", "cascade", "ensemble", "lesions"]
    crop: CropRule | None
    discrepancy: DiscrepancyRule | None
    threshold: Threshold | None


@dataclass(frozen=True)
class Manifest:
    """bundle.json. `defaults` maps a precision to the recipe that it means.

    `sbom`: CycloneDX list of what the model was converted with.
    `explanation_method`: of maps where none is asked for, as convert chose it; None: not chosen.

    A model has input, outputs and artifacts. A pipeline has `members` and `pipeline` instead;
    input is None, outputs, artifacts and thresholds are empty (but for an ensemble of findings,
    whose thresholds are its own, one a label), and what convert measured is in its members.
    """

    schema: int
    kind: Literal["model", "pipeline"]
    name: str
    version: str
    task: Task
    licence: str
    intended_use: IntendedUse
    provenance: Provenance | None
    input: InputSpec | None
    outputs: tuple[OutputSpec, ...]
    explanation: ExplanationSpec | None
    head: LinearHead | None
    thresholds: tuple[Threshold, ...]
    defaults: Mapping[str, str]
    artifacts: tuple[Artifact, ...]
    acceptance: Acceptance | None
    data: tuple[DataHygiene, ...]
    members: tuple[Member, ...] = ()
    guard: Budget | None = None
    temperatures: tuple[Temperature, ...] = ()
    mask: MaskRules | None = None
    pipeline: PipelineRules | None = None
    sbom: FileEntry | None = None
    explanation_method: str | None = None
    detection: DetectionRules | None = None

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file that this manifest names, each path once, sorted; not those of members.

        A path named twice with different hashes occurs twice.
        """
        graphs = (f for a in self.artifacts for g in a.graphs for f in g.files)
        films = self.acceptance.films if self.acceptance else ()
        other = () if self.sbom is None else (self.sbom,)
        entries = {*graphs, *(film.file for film in films), *other}
        return tuple(sorted(entries, key=lambda f: (f.path, f.sha256, f.bytes)))


def artifact_sha256(files: Iterable[FileEntry]) -> str:
    """SHA-256 of the sorted lines `path TAB sha256`, each ended by a newline."""
    lines = sorted(f"{f.path}\t{f.sha256}\n" for f in files)
    return hashlib.sha256("".join(lines).encode("utf-8")).hexdigest()
