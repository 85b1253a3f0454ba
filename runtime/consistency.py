"""What a manifest's types alone cannot say."""

from collections import Counter
from dataclasses import fields
from pathlib import PurePosixPath

from .box_consistency import check_boxes
from .decision_records import check_decisions
from .errors import IntegrityError, SchemaError
from .lungs import CropRule
from .manifest import DiscrepancyRule, Manifest, PipelineRules, artifact_sha256
from .spec import OutputSpec

# Where a bundle keeps other things than the files it names.
RESERVED = ("bundle.json", "bundle.sig.json", "members", "measurements")
# How many members of each role a pipeline has.
ROLES = {
    "on-lungs": {"lungs": 1, "classifier": 1},
    "cascade": {"first": 1, "second": 1},
    "lesions": {"detector": 1, "segmenter": 1},
}


def check_consistency(manifest: Manifest, where: str) -> None:
    """Refuse a manifest whose parts contradict each other.

    Raises:
        SchemaError: they do.
        IntegrityError: an artifact's hash is not that of its file list.
    """
    if manifest.kind == "pipeline":
        _check_pipeline(manifest, where)
    else:
        _check_model(manifest, where)
    _check_files(manifest, where)
    _check_artifacts(manifest, where)
    check_decisions(manifest, where)
    for output in manifest.outputs:
        _check_output(output, where)
    _check_input(manifest, where)
    check_boxes(manifest, where)


def _check_model(manifest: Manifest, where: str) -> None:
    if manifest.input is None or not manifest.outputs:
        raise SchemaError(f"{where}: a model needs `input` and `outputs`. Convert again.")
    if manifest.members or manifest.pipeline is not None:
        raise SchemaError(f"{where}: a model has no `members` and no `pipeline`. Convert again.")
    rules = manifest.mask
    if rules is not None and not (
        0 <= rules.min_area_share <= 1 and 0 <= rules.smooth <= 0.1 and rules.max_regions >= 0
    ):
        raise SchemaError(
            f"{where}: mask rules {rules}; expected min_area_share in 0..1, smooth in 0..0.1 and "
            "max_regions from 0. Convert again."
        )


def _check_artifacts(manifest: Manifest, where: str) -> None:
    ids = [a.id for a in manifest.artifacts]
    if len(set(ids)) != len(ids):
        raise SchemaError(f"{where}: an artifact id occurs twice: {', '.join(sorted(ids))}.")
    for artifact in manifest.artifacts:
        found = artifact_sha256(f for g in artifact.graphs for f in g.files)
        if artifact.id != f"{artifact.format}/{artifact.recipe}":
            raise SchemaError(
                f"{where}: artifact id {artifact.id!r} is not format/recipe "
                f"'{artifact.format}/{artifact.recipe}'. Convert again."
            )
        if found != artifact.sha256:
            raise IntegrityError(
                f"{where}: artifact {artifact.id} says sha256 {artifact.sha256[:12]}…, its file "
                f"list gives {found[:12]}…; the manifest was changed. Convert again or restore it."
            )
    for graph in (g for a in manifest.artifacts for g in a.graphs):
        if not graph.files:
            raise SchemaError(f"{where}: graph '{graph.name}' has no files. Convert again.")


def _check_files(manifest: Manifest, where: str) -> None:
    """One meaning a path, on every file system; nothing where the bundle keeps other things."""
    seen: set[str] = set()
    for entry in manifest.files:
        _check_path(entry.path, where)
        if entry.bytes < 0:
            raise SchemaError(f"{where}: {entry.path} has {entry.bytes} bytes. Convert again.")
        path = entry.path.casefold()
        if path in seen or path.split("/")[0] in RESERVED:
            raise SchemaError(
                f"{where}: the path {entry.path!r} occurs twice or is the bundle's own; expected "
                f"one entry a path, none in {', '.join(RESERVED)}. Convert again."
            )
        seen.add(path)
    parents = {str(p) for path in seen for p in PurePosixPath(path).parents}
    if both := sorted(parents & seen):
        raise SchemaError(f"{where}: {both[0]!r} is a file and a folder. Convert again.")


def _check_output(output: OutputSpec, where: str) -> None:
    count = len(output.labels)
    if output.meaning == "mask":
        if len(output.shape) != 3 or output.shape[0] != count or min(output.shape) < 1:
            raise SchemaError(
                f"{where}: mask output '{output.name}' has {count} labels and shape "
                f"{output.shape}; expected (labels, height, width). Convert again."
            )
    elif count and output.shape[-1:] != (count,):
        raise SchemaError(
            f"{where}: output '{output.name}' has {count} labels and shape "
            f"{output.shape}; they must agree. Convert again."
        )
    if len(set(output.labels)) != count:
        raise SchemaError(f"{where}: a label occurs twice in {output.labels}. Convert again.")
    if output.positive_label is not None and output.positive_label not in output.labels:
        raise SchemaError(
            f"{where}: positive label {output.positive_label!r} is not among "
            f"{output.labels}. Convert again."
        )


def _check_input(manifest: Manifest, where: str) -> None:
    spec = manifest.input
    if spec is not None and not (
        len(spec.scaling.mean) == len(spec.scaling.std) == spec.channels
        and all(std > 0 for std in spec.scaling.std)
        and min(spec.height, spec.width, spec.channels) > 0
    ):
        raise SchemaError(
            f"{where}: the input has {spec.channels} channels; mean and std need as many "
            "values, std above 0, and a size above 0. Convert again."
        )


def _check_pipeline(manifest: Manifest, where: str) -> None:
    rules = manifest.pipeline
    if rules is None or not manifest.members:
        raise SchemaError(f"{where}: a pipeline needs `pipeline` and `members`. Make it again.")
    own = (manifest.input, manifest.outputs, manifest.artifacts, manifest.acceptance)
    if any(own):
        raise SchemaError(
            f"{where}: a pipeline has no input, outputs, artifacts or acceptance films of its "
            "own; its members have them. Make it again."
        )
    names = [m.name for m in manifest.members]
    if len(set(names)) != len(names):
        raise SchemaError(f"{where}: a member's name occurs twice: {', '.join(sorted(names))}.")
    for name in names:
        _check_path(name, where)
        if "/" in name:
            raise SchemaError(f"{where}: member name {name!r} is no plain folder name.")
    _check_roles(manifest, rules, where)
    _check_rules(rules, where)


def _check_roles(manifest: Manifest, rules: PipelineRules, where: str) -> None:
    found = Counter(m.role for m in manifest.members)
    if rules.kind == "ensemble":
        if set(found) != {"member"} or found["member"] < 2:
            raise SchemaError(
                f"{where}: an ensemble has roles {dict(found)}; expected two members or more, all "
                "of role 'member'. Make it again."
            )
    elif dict(found) != ROLES[rules.kind]:
        raise SchemaError(
            f"{where}: a pipeline of kind '{rules.kind}' has roles {dict(found)}; expected "
            f"{ROLES[rules.kind]}. Make it again."
        )


def _check_rules(rules: PipelineRules, where: str) -> None:
    wanted = {"on-lungs": "crop", "cascade": "discrepancy", "ensemble": "threshold"}
    for kind, name in wanted.items():
        if kind != rules.kind and getattr(rules, name) is not None:
            raise SchemaError(
                f"{where}: a pipeline of kind '{rules.kind}' has no rule `{name}`; that belongs "
                f"to '{kind}'. Make it again."
            )
    if rules.kind == "on-lungs" and rules.crop is None:
        raise SchemaError(f"{where}: a pipeline of kind 'on-lungs' needs `crop`. Make it again.")
    if rules.crop is not None:
        _check_crop(rules.crop, where)
    if rules.discrepancy is not None:
        _check_discrepancy(rules.discrepancy, where)


def _check_crop(rule: CropRule, where: str) -> None:
    wrong = [f.name for f in fields(rule) if not 0 <= getattr(rule, f.name) <= 1]
    if wrong or rule.min_area_share > rule.max_area_share:
        raise SchemaError(
            f"{where}: crop rule {rule}; expected shares in 0..1, the smallest area not above the "
            "largest. Make it again."
        )


def _check_discrepancy(rule: DiscrepancyRule, where: str) -> None:
    if not (
        0 <= rule.margin_notice <= rule.margin_warning
        and 1 <= rule.findings_notice <= rule.findings_warning
    ):
        raise SchemaError(
            f"{where}: {rule}; expected margins from 0 and counts from 1, a notice not above a "
            "warning. Make it again."
        )


def _check_path(path: str, where: str) -> None:
    pure = PurePosixPath(path)
    # `as_posix` differs where a part is empty or "."; nothing unprintable, so no NUL either.
    plain = pure.as_posix() == path and path.isprintable() and not set(path) & set("\\:")
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or not plain:
        raise SchemaError(
            f"{where}: file path {path!r} leaves the bundle; expected a relative path inside it."
        )
