"""What changed between two manifests, in words: first what has words of its own, then the rest.

What is told names the paths that it speaks for; every other difference is told by its path. So
nothing told means nothing different.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from ..runtime.figures import Accuracy, BoxAccuracy, Figure, MaskAccuracy
from ..runtime.manifest import Artifact, Manifest
from ..runtime.records import to_json
from .manifest_differences import NONE, Difference, Path, differences, row, shown, written

AREAS = (
    *("identity", "input", "output", "thresholds", "acceptance", "artifacts", "accuracy"),
    *("decisions", "data", "members", "tools", "other"),
)
# Of the manifest's fields, and of an artifact's where these stand elsewhere.
_AREA_OF = {
    **dict.fromkeys(
        ("schema", "kind", "name", "version", "task", "licence", "intended_use"), "identity"
    ),
    **dict.fromkeys(
        ("outputs", "explanation", "explanation_method", "head", "mask", "detection", "pipeline"),
        "output",
    ),
    **dict.fromkeys(("thresholds", "temperatures"), "thresholds"),
    **dict.fromkeys(("artifacts", "defaults", "guard"), "artifacts"),
    **dict.fromkeys(("provenance", "data"), "data"),
    **{"input": "input", "acceptance": "acceptance", "members": "members", "sbom": "tools"},
}
_OF_ARTIFACTS = {
    **dict.fromkeys(("accuracy", "masks", "boxes", "reliability"), "accuracy"),
    **dict.fromkeys(("flips", "parity"), "decisions"),
}
_FILMS = ("acceptance", "films")
_SHOWN = 6
AnyAccuracy = Accuracy | MaskAccuracy | BoxAccuracy
Row = TypeVar("Row")


@dataclass(frozen=True)
class Change:
    """One difference. `area`: one of AREAS; `words` say the whole of it."""

    area: str
    what: str
    before: str
    after: str
    words: str


@dataclass(frozen=True)
class Told:
    """A change and the paths that it speaks for, with all that lies below them."""

    change: Change
    paths: tuple[Path, ...]


def tell(area: str, what: str, pair: tuple[str, str], *paths: Path, more: str = "") -> Told:
    """`pair`: before and after; `more`: follows them in the words."""
    return Told(Change(area, what, *pair, f"{what}: {pair[0]} → {pair[1]}{more}"), paths)


def manifest_changes(
    before: Manifest, after: Manifest, others: Iterable[Told] = ()
) -> tuple[Change, ...]:
    """Every difference, by area.

    Args:
        others: what is known from elsewhere than the manifests.
    """
    told = [*_with_words(before, after), *others]
    spoken = {path for t in told for path in t.paths}
    rest = (d for d in differences(before, after) if not _covered(d.path, spoken))
    found = (*(t.change for t in told), *_by_path(rest))
    return tuple(sorted(found, key=lambda c: AREAS.index(c.area)))


def pairs(
    before: Iterable[Row], after: Iterable[Row], key: Callable[[Row], Hashable]
) -> Iterator[tuple[Any, Row | None, Row | None]]:
    """Rows of one key beside each other, in the order of the first; then the second's own."""
    old: dict[Hashable, Row] = {key(one): one for one in before}
    new: dict[Hashable, Row] = {key(one): one for one in after}
    for name in dict.fromkeys((*old, *new)):
        yield name, old.get(name), new.get(name)


def _with_words(before: Manifest, after: Manifest) -> Iterator[Told]:
    yield from _labels(before, after)
    yield from _thresholds(before, after)
    for key, old, new in pairs(before.artifacts, after.artifacts, lambda a: a.id):
        if old is None or new is None:
            told = [NONE if a is None else f"{a.bytes:,} bytes" for a in (old, new)]
            yield tell("artifacts", f"artifact {key}", (told[0], told[1]), row("artifacts", key))
            continue
        yield from _files(old, new, _bound(before, old) & _bound(after, new))
        yield from _float_layers(old, new)
        yield from _accuracy(old, new)
        yield from _decisions(old, new)
    yield from _data(before, after)


def _covered(path: Path, spoken: set[Path]) -> bool:
    return any(path[:end] in spoken for end in range(1, len(path) + 1))


def _by_path(rest: Iterable[Difference]) -> Iterator[Change]:
    """What has no words of its own; what several acceptance films share is told once."""
    shared: dict[Path, list[Difference]] = {}
    for found in rest:
        of_film = found.path[:2] == _FILMS and len(found.path) > len(_FILMS) + 1
        path = (*_FILMS, "[each]", *found.path[3:]) if of_film else found.path
        shared.setdefault(path, []).append(found)
    for path, rows in shared.items():
        first = rows[0]
        old, new, more = shown(first.before, first.after)
        if len(rows) == 1:
            path = first.path
        elif all((r.before, r.after) == (first.before, first.after) for r in rows):
            more += f", on {len(rows)} films"
        else:
            more += f", on {first.path[2][1:-1]}; {len(rows)} films differ"
        yield tell(_area(path), written(path), (old, new), more=more).change


def _area(path: Path) -> str:
    if path[:2] == ("provenance", "tools"):
        return "tools"
    inner = _OF_ARTIFACTS.get(path[2]) if path[0] == "artifacts" and len(path) > 2 else None
    return inner or _AREA_OF.get(path[0], "other")


def _labels(before: Manifest, after: Manifest) -> Iterator[Told]:
    for name, old, new in pairs(before.outputs, after.outputs, lambda o: o.name):
        if old and new and old.labels != new.labels:
            yield tell(
                "output",
                f"labels of {name}",
                shown(list(old.labels), list(new.labels))[:2],
                (*row("outputs", name), "labels"),
                more="; their order says what a score means",
            )


def _thresholds(before: Manifest, after: Manifest) -> Iterator[Told]:
    for area in ("thresholds", "temperatures"):
        rows = (getattr(before, area), getattr(after, area))
        for key, old, new in pairs(*rows, lambda t: (t.artifact, t.label, t.compute)):
            place = row(area, *key)
            what = f"{area.removesuffix('s')} of {' '.join(filter(None, key))}"
            values = tuple(None if t is None else t.value for t in (old, new))
            if values[0] != values[1]:
                path = place if old is None or new is None else (*place, "value")
                yield tell("thresholds", what, shown(*values)[:2], path)
            if old is None or new is None:
                continue
            came = [f"{t.n_films} films of {t.data}/{t.part}" for t in (old, new)]
            if came[0] != came[1]:
                names = ((*place, name) for name in ("n_films", "data", "part"))
                yield tell("thresholds", f"{what} was set on", (came[0], came[1]), *names)


def _bound(manifest: Manifest, artifact: Artifact) -> set[Path]:
    """Where thresholds hold the artifact's hash, which changes with it."""
    return {
        (*row("thresholds", t.artifact, t.label, t.compute), "artifact_sha256")
        for t in manifest.thresholds
        if (t.artifact, t.artifact_sha256) == (artifact.id, artifact.sha256)
    }


def _files(old: Artifact, new: Artifact, bound: set[Path]) -> Iterator[Told]:
    if old.sha256 == new.sha256:
        return
    place = row("artifacts", old.id)
    files = [
        (*place, *row("graphs", graph.name), *row("files", file.path))
        for graph in old.graphs
        for file in graph.files
    ]
    hashes = ((*file, "sha256") for file in files)
    pair = shown(old.sha256, new.sha256)[:2]
    yield tell("artifacts", f"sha256 of {old.id}", pair, (*place, "sha256"), *hashes, *bound)
    if old.bytes != new.bytes:
        grown = (new.bytes / old.bytes - 1) * 100 if old.bytes else 0.0
        sizes = (f"{old.bytes:,} bytes", f"{new.bytes:,} bytes")
        paths = ((*file, "bytes") for file in files)
        yield tell("artifacts", f"size of {old.id}", sizes, *paths, more=f" ({grown:+.1f} %)")


def _float_layers(old: Artifact, new: Artifact) -> Iterator[Told]:
    was, now = ({layer.name for layer in a.float_layers} for a in (old, new))
    if was == now:
        return
    more = "".join(
        f"; {word}: {_some(names)}"
        for word, names in (("float now", now - was), ("quantized now", was - now))
        if names
    )
    place = row("artifacts", old.id)
    paths = ((*place, *row("float_layers", name)) for name in was ^ now)
    what = f"layers of {old.id} left in float"
    yield tell("artifacts", what, (str(len(was)), str(len(now))), *paths, more=more)


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - _SHOWN
    return ", ".join(ordered[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _accuracy(old: Artifact, new: Artifact) -> Iterator[Told]:
    for name in ("accuracy", "masks", "boxes"):
        rows = (getattr(old, name), getattr(new, name))
        for key, was, now in pairs(*rows, _accuracy_key):
            if was is None or now is None:
                continue
            where = f"{old.id} {' '.join(filter(None, key[:2]))} on {'/'.join(key[2:])}"
            for field in fields(was):
                told = [getattr(r, field.name) for r in (was, now)]
                if told[0] != told[1] and all(isinstance(f, Figure) for f in told):
                    before, after, more = shown(to_json(told[0]), to_json(told[1]))
                    path = (*row("artifacts", old.id), *row(name, *key), field.name)
                    what = f"{field.name} of {where}"
                    yield tell("accuracy", what, (before, after), path, more=more)


def _accuracy_key(found: AnyAccuracy) -> tuple[str, ...]:
    label = "" if isinstance(found, MaskAccuracy) else found.label
    return (label, found.compute, found.data, found.part)


def _decisions(old: Artifact, new: Artifact) -> Iterator[Told]:
    """What convert recorded of decisions on the guard part."""
    place = row("artifacts", old.id)
    told = [f"{a.parity.decision_flips} of {a.parity.n_films} films" for a in (old, new)]
    if told[0] != told[1]:
        what = f"{old.id} decides otherwise than its source on"
        figures = ((*place, "parity", name) for name in ("decision_flips", "n_films"))
        yield tell("decisions", what, (told[0], told[1]), *figures)
    for key, was, now in pairs(old.flips, new.flips, lambda f: (f.label, f.data, f.part)):
        told = [
            "not measured"
            if f is None
            else f"{f.to_positive} to positive, {f.to_negative} to negative of {f.n_films}"
            for f in (was, now)
        ]
        if told[0] == told[1]:
            continue
        path = (*place, *row("flips", *key))
        names = ("to_positive", "to_negative", "n_films")
        paths = [(*path, name) for name in names] if was and now else [path]
        what = f"{old.id} decides otherwise than FP32 ({' '.join(filter(None, key))})"
        yield tell("decisions", what, (told[0], told[1]), *paths)


def _data(before: Manifest, after: Manifest) -> Iterator[Told]:
    rows = [
        {(h.data, p.part): p for h in manifest.data for p in h.parts}
        for manifest in (before, after)
    ]
    words = (("patients", "patient_keys", ("n_patients",)), ("films read", "film_hashes", ()))
    for key in dict.fromkeys((*rows[0], *rows[1])):
        path = (*row("data", key[0]), *row("parts", key[1]))
        for word, name, along in words:
            was, now = (set(getattr(r.get(key), name, "").split()) for r in rows)
            if was != now:
                more = f" ({len(now - was)} new, {len(was - now)} gone)"
                paths = ((*path, n) for n in (name, *along))
                what = f"{word} of {'/'.join(key)}"
                yield tell("data", what, (str(len(was)), str(len(now))), *paths, more=more)
