"""What changed between two bundles, in words, read from their manifests and SBOMs."""

import json
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from ..runtime.bundle import Bundle, member_path
from ..runtime.errors import IntegrityError
from ..runtime.figures import Accuracy, BoxAccuracy, Figure, MaskAccuracy
from ..runtime.manifest import Artifact, Manifest
from ..runtime.records import to_json

NONE = "none"
_SHOWN = 6
# Of the manifest's own fields: compared value by value, under this heading.
_PLAIN = {
    "identity": ("kind", "name", "version", "task", "licence", "intended_use"),
    "input": ("input",),
    "output": ("explanation", "mask", "detection", "pipeline"),
    "artifacts": ("defaults", "guard"),
}
_SHARES = ("accuracy", "sensitivity", "specificity", "auc")
AnyAccuracy = Accuracy | MaskAccuracy | BoxAccuracy
_FIGURES: dict[type, tuple[str, ...]] = {
    Accuracy: _SHARES,
    MaskAccuracy: ("dice", "iou"),
    BoxAccuracy: ("ap50", "recall"),
}
Row = TypeVar("Row")


@dataclass(frozen=True)
class Change:
    """One difference. `area`: identity, input, output, thresholds, artifacts, accuracy, decisions,
    data, members or tools; `words` say the whole of it."""

    area: str
    what: str
    before: str
    after: str
    words: str


@dataclass(frozen=True)
class Side:
    """One of the two bundles."""

    name: str
    version: str
    bundle_id: str


@dataclass(frozen=True)
class BundleDiff:
    """`same`: one id, so every byte that the manifests name is equal."""

    one: Side
    other: Side
    same: bool
    changes: tuple[Change, ...]


def compare(one: Bundle, other: Bundle) -> BundleDiff:
    """What changed from `one` to `other`; of pipelines, in their members too.

    Raises:
        ArtifactError, IntegrityError, SchemaError: a pipeline's member is missing or another.
    """
    same = one.id == other.id
    changes = () if same else tuple(_bundles(one, other))
    return BundleDiff(_side(one), _side(other), same, changes)


def _side(bundle: Bundle) -> Side:
    return Side(bundle.manifest.name, bundle.manifest.version, bundle.id)


def _bundles(one: Bundle, other: Bundle) -> Iterator[Change]:
    before, after = one.manifest, other.manifest
    for area, names in _PLAIN.items():
        for name in names:
            yield from _leaves(area, name, getattr(before, name), getattr(after, name))
    yield from _outputs(before, after)
    yield from _thresholds(before, after)
    yield from _artifacts(before, after)
    yield from _accuracy(before, after)
    yield from _decisions(before, after)
    yield from _data(before, after)
    yield from _made_with(one, other)
    yield from _members(one, other)


def _change(area: str, what: str, before: str, after: str, more: str = "") -> Change:
    return Change(area, what, before, after, f"{what}: {before} → {after}{more}")


def _leaves(area: str, name: str, before: Any, after: Any) -> Iterator[Change]:
    """Every value of two records that differs, by its path."""
    old, new = dict(_flat(name, to_json(before))), dict(_flat(name, to_json(after)))
    for path in dict.fromkeys((*old, *new)):
        if old.get(path) != new.get(path):
            yield _change(area, path, _told(old.get(path)), _told(new.get(path)))


def _flat(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{path}.{key}", inner)
    else:
        yield path, value


def _told(value: Any) -> str:
    if value is None:
        return NONE
    if isinstance(value, list):
        return ", ".join(map(str, value)) or NONE
    return str(value)


def _outputs(before: Manifest, after: Manifest) -> Iterator[Change]:
    for name, old, new in _pairs(before.outputs, after.outputs, lambda o: o.name):
        what = f"output {name}"
        if old is None or new is None:
            yield _change("output", what, "there" if old else NONE, "there" if new else NONE)
            continue
        if old.labels != new.labels:
            yield _change(
                "output",
                f"labels of {name}",
                _told(list(old.labels)),
                _told(list(new.labels)),
                "; their order says what a score means",
            )
        yield from _leaves("output", what, replace(old, labels=()), replace(new, labels=()))


def _thresholds(before: Manifest, after: Manifest) -> Iterator[Change]:
    for area in ("thresholds", "temperatures"):
        rows = (getattr(before, area), getattr(after, area))
        for key, old, new in _pairs(*rows, lambda t: (t.artifact, t.label, t.compute)):
            what = f"{area.removesuffix('s')} of {' '.join(filter(None, key))}"
            told = [NONE if t is None else f"{t.value:.4g}" for t in (old, new)]
            if told[0] != told[1]:
                yield _change("thresholds", what, *told)
            if old is None or new is None:
                continue
            came = [f"{t.n_films} films of {t.data}/{t.part}" for t in (old, new)]
            if came[0] != came[1]:
                yield _change("thresholds", f"{what} was set on", *came)


def _artifacts(before: Manifest, after: Manifest) -> Iterator[Change]:
    for key, old, new in _pairs(before.artifacts, after.artifacts, lambda a: a.id):
        if old is None or new is None:
            told = [NONE if a is None else f"{a.bytes:,} bytes" for a in (old, new)]
            yield _change("artifacts", f"artifact {key}", *told)
        elif old.sha256 != new.sha256:
            yield from _artifact(key, old, new)


def _artifact(key: str, old: Artifact, new: Artifact) -> Iterator[Change]:
    yield _change("artifacts", f"sha256 of {key}", f"{old.sha256[:12]}…", f"{new.sha256[:12]}…")
    if old.bytes != new.bytes:
        grown = (new.bytes / old.bytes - 1) * 100 if old.bytes else 0.0
        sizes = (f"{old.bytes:,} bytes", f"{new.bytes:,} bytes")
        yield _change("artifacts", f"size of {key}", *sizes, f" ({grown:+.1f} %)")
    for name in ("precision", "computes", "safe_on"):
        yield from _leaves("artifacts", f"{name} of {key}", getattr(old, name), getattr(new, name))
    yield from _leaves("artifacts", f"calibration of {key}", old.calibration, new.calibration)
    was, now = ({layer.name for layer in a.float_layers} for a in (old, new))
    if was != now:
        more = "".join(
            f"; {word}: {_some(names)}"
            for word, names in (("float now", now - was), ("quantized now", was - now))
            if names
        )
        yield _change(
            "artifacts", f"layers of {key} left in float", str(len(was)), str(len(now)), more
        )


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - _SHOWN
    return ", ".join(ordered[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _accuracy(before: Manifest, after: Manifest) -> Iterator[Change]:
    for key, old, new in _pairs(_rows(before), _rows(after), _accuracy_key):
        if old is None or new is None:
            continue
        for name in _FIGURES[type(old[1])]:
            was, now = getattr(old[1], name), getattr(new[1], name)
            if was != now:
                yield _figure(f"{name} of {' '.join(filter(None, key))}", was, now)


def _rows(manifest: Manifest) -> Iterator[tuple[str, AnyAccuracy]]:
    for artifact in manifest.artifacts:
        yield from ((artifact.id, row) for row in artifact.accuracy)
        yield from ((artifact.id, row) for row in artifact.masks)
        yield from ((artifact.id, row) for row in artifact.boxes)


def _accuracy_key(pair: tuple[str, AnyAccuracy]) -> tuple[str, ...]:
    artifact, row = pair
    label = "" if isinstance(row, MaskAccuracy) else row.label
    return (artifact, label, row.compute, "on", f"{row.data}/{row.part}")


def _figure(what: str, was: Figure, now: Figure) -> Change:
    before, after = (f"{f.value:.4f} ({f.low:.4f} to {f.high:.4f}, n={f.n})" for f in (was, now))
    points = f" ({(now.value - was.value) * 100:+.2f} points)"
    return _change("accuracy", what, before, after, points)


def _decisions(before: Manifest, after: Manifest) -> Iterator[Change]:
    """What convert recorded of decisions on the guard part."""
    for key, old, new in _pairs(before.artifacts, after.artifacts, lambda a: a.id):
        if old is None or new is None:
            continue
        if old.parity.decision_flips != new.parity.decision_flips:
            told = [f"{a.parity.decision_flips} of {a.parity.n_films} films" for a in (old, new)]
            yield _change("decisions", f"{key} decides otherwise than its source on", *told)
        for inner, was, now in _pairs(old.flips, new.flips, lambda f: (f.label, f.data, f.part)):
            told = [
                "not measured"
                if f is None
                else f"{f.to_positive} to positive, {f.to_negative} to negative of {f.n_films}"
                for f in (was, now)
            ]
            if told[0] != told[1]:
                label = " ".join(filter(None, inner))
                yield _change("decisions", f"{key} decides otherwise than FP32 ({label})", *told)


def _data(before: Manifest, after: Manifest) -> Iterator[Change]:
    if before.provenance and after.provenance:
        for name in ("weights_file", "weights_sha256", "weights_date", "training_data"):
            pair = (getattr(before.provenance, name), getattr(after.provenance, name))
            yield from _leaves("data", name, *pair)
    parts = [
        {(h.data, p.part): set(p.patient_keys.split()) for h in m.data for p in h.parts}
        for m in (before, after)
    ]
    for key in dict.fromkeys((*parts[0], *parts[1])):
        was, now = parts[0].get(key, set()), parts[1].get(key, set())
        if was != now:
            more = f" ({len(now - was)} new, {len(was - now)} gone)"
            what = f"patients of {key[0]}/{key[1]}"
            yield _change("data", what, str(len(was)), str(len(now)), more)


def _made_with(one: Bundle, other: Bundle) -> Iterator[Change]:
    """Packages of the SBOMs, or the tools that the manifests name."""
    old, new = _packages(one), _packages(other)
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield _change("tools", name, old.get(name, NONE), new.get(name, NONE))


def _packages(bundle: Bundle) -> Mapping[str, str]:
    entry, made = bundle.manifest.sbom, bundle.manifest.provenance
    tools = {name.lower(): version for name, version in made.tools.items()} if made else {}
    if entry is None:
        return tools
    try:
        document = json.loads((bundle.folder / entry.path).read_bytes())
        return tools | {c["name"]: c["version"] for c in document["components"]}
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise IntegrityError(
            f"{bundle.folder / entry.path} cannot be read ({err}); the manifest names it as the "
            "SBOM. Restore it or convert again."
        ) from err


def _members(one: Bundle, other: Bundle) -> Iterator[Change]:
    pairs = _pairs(one.members(), other.members(), lambda pair: member_path(pair[0]))
    for role, old, new in pairs:
        if old is None or new is None:
            told = [NONE if m is None else m[0].name for m in (old, new)]
            yield _change("members", f"member {role}", *told)
        elif old[1].id != new[1].id:
            ids = [f"{bundle.manifest.name} {bundle.id[:12]}…" for _, bundle in (old, new)]
            yield _change("members", f"member {role}", *ids)
            for change in _bundles(old[1], new[1]):
                words = f"{role}: {change.words}"
                yield replace(change, what=f"{role}: {change.what}", words=words)


def _pairs(
    before: Iterable[Row], after: Iterable[Row], key: Callable[[Row], Hashable]
) -> Iterator[tuple[Any, Row | None, Row | None]]:
    """Rows of one key beside each other, in the order of the first; then the second's own."""
    old: dict[Hashable, Row] = {key(row): row for row in before}
    new: dict[Hashable, Row] = {key(row): row for row in after}
    for name in dict.fromkeys((*old, *new)):
        yield name, old.get(name), new.get(name)
