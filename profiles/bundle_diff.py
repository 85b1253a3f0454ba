"""What changed between two bundles, in words, read from their manifests and SBOMs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from ..runtime.bundle import Bundle, member_path
from ..runtime.errors import IntegrityError
from ..runtime.manifest import Member
from .manifest_differences import NONE, row
from .manifest_words import Change, Told, manifest_changes, pairs, tell

Opened = tuple[Member, Bundle]
Members = tuple[tuple[str, Opened | None, Opened | None], ...]


@dataclass(frozen=True)
class Side:
    """One of the two bundles."""

    name: str
    version: str
    bundle_id: str


@dataclass(frozen=True)
class BundleDiff:
    """`same`: one id, so every byte that the manifests name is equal.

    Neither the same nor any change: the manifests hold the same values in other bytes.
    """

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
    both = pairs(one.members(), other.members(), _path)
    members = tuple(both)
    told = [*_made_with(one, other), *_members(members)]
    yield from manifest_changes(one.manifest, other.manifest, told)
    for role, old, new in members:
        if old is not None and new is not None and old[1].id != new[1].id:
            for change in _bundles(old[1], new[1]):
                words = f"{role}: {change.words}"
                yield replace(change, what=f"{role}: {change.what}", words=words)


def _path(opened: Opened) -> str:
    return member_path(opened[0])


def _made_with(one: Bundle, other: Bundle) -> Iterator[Told]:
    """Packages of the SBOMs, or the tools that the manifests name."""
    old, new = _packages(one), _packages(other)
    made = (bundle.manifest.provenance for bundle in (one, other))
    named = {tool for provenance in made if provenance for tool in provenance.tools}
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            paths = (("provenance", "tools", tool) for tool in named if tool.lower() == name)
            versions = (old.get(name, NONE), new.get(name, NONE))
            yield tell("tools", name, versions, *paths, ("sbom", "sha256"), ("sbom", "bytes"))


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


def _members(members: Members) -> Iterator[Told]:
    for role, old, new in members:
        paths = [row("members", m[0].role, m[0].name) for m in (old, new) if m is not None]
        if old is None or new is None:
            told = [NONE if m is None else m[0].name for m in (old, new)]
            yield tell("members", f"member {role}", (told[0], told[1]), *paths)
        elif old[1].id != new[1].id:
            ids = [f"{bundle.manifest.name} {bundle.id[:12]}…" for _, bundle in (old, new)]
            yield tell("members", f"member {role}", (ids[0], ids[1]), *paths)
