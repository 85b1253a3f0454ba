"""Bundles put together to a pipeline: its manifest, and its members' whole bundles beside it."""

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..runtime.bundle import MANIFEST, MEMBERS, Bundle, read_bundle
from ..runtime.errors import BundleError, ConversionError
from ..runtime.files import folder_atomic, sha256_file
from ..runtime.lungs import CropRule
from ..runtime.manifest import (
    SCHEMA,
    DataHygiene,
    DiscrepancyRule,
    Manifest,
    Member,
    PipelineRules,
    Threshold,
)
from ..runtime.records import dump_bytes
from ..runtime.spec import Task

# From which distance of the score to its threshold a contrary first opinion is a notice, and a
# warning; and how many findings of one side alone.
DISCREPANCY = DiscrepancyRule(
    margin_notice=0.1, margin_warning=0.25, findings_notice=1, findings_warning=2
)
# The members of each kind that the pipeline's answer, intended use and version come from.
DECIDING = {
    "on-lungs": "classifier",
    "cascade": "first",
    "ensemble": "member",
    "lesions": "detector",
}
# What a member of each role answers.
TASKS: dict[str, tuple[Task, ...]] = {
    "lungs": ("segmentation",),
    "classifier": ("classification", "findings"),
    "first": ("classification",),
    "second": ("findings",),
    "member": ("classification", "findings"),
    "detector": ("detection",),
    "segmenter": ("promptable-segmentation",),
}


@dataclass(frozen=True)
class Plan:
    """A pipeline before it is written.

    Attributes:
        members: (role, folder of the member's bundle).
        thresholds: of an ensemble, one a decided label; () for others.
        data: of an ensemble, whose films set them, where no member's record has them.
    """

    name: str
    rules: PipelineRules
    members: tuple[tuple[str, Path], ...]
    thresholds: tuple[Threshold, ...] = ()
    data: tuple[DataHygiene, ...] = ()


@dataclass(frozen=True)
class Written:
    """A pipeline's folder; `unchanged`: it was there already with the same bytes; `notes`: what a
    reader should know."""

    folder: Path
    manifest: Manifest
    unchanged: bool
    notes: tuple[str, ...] = ()

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The pipeline's own; () where its members decide."""
        rules = self.manifest.pipeline
        one = None if rules is None else rules.threshold
        return self.manifest.thresholds if one is None else (one,)


def on_lungs(name: str, lungs: Path, classifier: Path) -> Plan:
    """Lungs, crop, classifier."""
    rules = PipelineRules("on-lungs", CropRule(), None, None)
    return Plan(name, rules, (("lungs", lungs), ("classifier", classifier)))


def cascade(name: str, first: Path, second: Path) -> Plan:
    """The second runs only where the first says positive."""
    rules = PipelineRules("cascade", None, DISCREPANCY, None)
    return Plan(name, rules, (("first", first), ("second", second)))


def lesions(name: str, detector: Path, segmenter: Path) -> Plan:
    """The detector's boxes are what the promptable segmenter is asked with."""
    rules = PipelineRules("lesions", None, None, None)
    return Plan(name, rules, (("detector", detector), ("segmenter", segmenter)))


def ensemble(
    name: str,
    members: tuple[Path, ...],
    thresholds: tuple[Threshold, ...],
    data: tuple[DataHygiene, ...] = (),
) -> Plan:
    """The mean of the members' probabilities against thresholds of its own."""
    one = thresholds[0] if len(thresholds) == 1 else None
    rules = PipelineRules("ensemble", None, None, one)
    return Plan(name, rules, tuple(("member", m) for m in members), thresholds, data)


def write_pipeline(plan: Plan, out: Path) -> Written:
    """Write OUT/NAME with bundle.json and members/, or leave it where all is there already.

    Raises:
        SchemaError: a member is no bundle, or the members do not fit together.
        IntegrityError: a file of a member was changed.
        ConversionError: two members of one name, a member that is the pipeline itself, or one
            that answers something else than its role.
        OutputError: `out` cannot be written.
    """
    bundles = [(role, read_bundle(folder)) for role, folder in plan.members]
    _refuse_names(plan, [b for _, b in bundles])
    _refuse_misfits(plan, bundles)
    for _, bundle in bundles:
        bundle.check_all()
    manifest = _manifest(plan, bundles)
    folder = out / plan.name
    if _is_there(folder, manifest, bundles):
        return Written(folder, manifest, True)
    with folder_atomic(folder) as work:
        (work / MANIFEST).write_bytes(dump_bytes(manifest))
        for _, bundle in bundles:
            for path in _files(bundle):
                _place(bundle.folder / path, work / MEMBERS / bundle.manifest.name / path)
        read_bundle(work).models()
    return Written(folder, manifest, False)


def _refuse_names(plan: Plan, bundles: list[Bundle]) -> None:
    """Members lie in folders of their names, beside nothing else of that name."""
    seen: dict[str, Path] = {}
    for bundle in bundles:
        name = bundle.manifest.name
        if name == plan.name:
            raise ConversionError(
                f"pipeline '{plan.name}' would have the member {bundle.folder} of the same name; "
                "expected members of other names. Give the pipeline another --name."
            )
        if name in seen:
            raise ConversionError(
                f"pipeline '{plan.name}': {seen[name]} and {bundle.folder} are both named "
                f"'{name}'; expected members of different names. A bundle is named when it is "
                "converted: folds are NAME-fold-K (clinicedge train NAME --fold K/N; clinicedge "
                "convert NAME-fold-K), a model of your own has its `name` in --spec."
            )
        seen[name] = bundle.folder


def _refuse_misfits(plan: Plan, bundles: list[tuple[str, Bundle]]) -> None:
    """What the device would refuse when it opens the pipeline."""
    for role, bundle in bundles:
        task = bundle.manifest.task
        if task not in TASKS[role]:
            raise ConversionError(
                f"pipeline '{plan.name}': '{bundle.manifest.name}' is a model of {task}; expected "
                f"{' or '.join(TASKS[role])} as {role}."
            )


def _manifest(plan: Plan, bundles: list[tuple[str, Bundle]]) -> Manifest:
    deciding = next(b for role, b in bundles if role == DECIDING[plan.rules.kind]).manifest
    return Manifest(
        schema=SCHEMA,
        kind="pipeline",
        name=plan.name,
        version=deciding.version,
        task="segmentation" if plan.rules.kind == "lesions" else deciding.task,
        licence=_licence(bundles),
        intended_use=deciding.intended_use,
        provenance=None,
        input=None,
        outputs=(),
        explanation=None,
        head=None,
        thresholds=plan.thresholds if plan.rules.threshold is None else (),
        defaults={},
        artifacts=(),
        acceptance=None,
        data=tuple(dict.fromkeys((*_hygiene(bundles), *plan.data))),
        members=tuple(Member(role, b.manifest.name, b.id) for role, b in bundles),
        pipeline=plan.rules,
    )


def _licence(bundles: list[tuple[str, Bundle]]) -> str:
    """The models' licence; where they have several, each with the models that it is of."""
    owners: dict[str, dict[str, None]] = {}
    for _, bundle in bundles:
        for _, model in bundle.models():
            owners.setdefault(model.manifest.licence, {})[model.manifest.name] = None
    if len(owners) == 1:
        return next(iter(owners))
    return " | ".join(f"{', '.join(names)}: {licence}" for licence, names in owners.items())


def _hygiene(bundles: list[tuple[str, Bundle]]) -> tuple[DataHygiene, ...]:
    """The members' records, each once."""
    records = (h for _, b in bundles for _, model in b.models() for h in model.manifest.data)
    return tuple(dict.fromkeys(records))


def _files(bundle: Bundle) -> Iterator[str]:
    """Paths of all files that a bundle and its members consist of; measurements are none."""
    yield MANIFEST
    yield from (entry.path for entry in bundle.manifest.files)
    for member, inner in bundle.members():
        yield from (f"{MEMBERS}/{member.name}/{path}" for path in _files(inner))


def _place(source: Path, target: Path) -> None:
    """A second name for the same file where the disk allows, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _is_there(folder: Path, manifest: Manifest, bundles: list[tuple[str, Bundle]]) -> bool:
    with suppress(OSError, BundleError):
        if (folder / MANIFEST).read_bytes() != dump_bytes(manifest):
            return False
        read_bundle(folder).check_all()
        pairs = (
            (bundle.folder / path, folder / MEMBERS / bundle.manifest.name / path)
            for _, bundle in bundles
            for path in _files(bundle)
        )
        return all(t.is_file() and sha256_file(s) == sha256_file(t) for s, t in pairs)
    return False
