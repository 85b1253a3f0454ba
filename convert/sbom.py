"""The bill of materials of a conversion: CycloneDX 1.6 in JSON, in the bundle and hashed by it.

It lists the packages that the converters of the made formats are, and all that these need, as they
are installed; no date and no serial number, so same inputs give same bytes. Written here, since
the usual library always stamps both; the tests hold it against that library's schema.
"""

import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from typing import Any
from urllib.parse import quote

from ..runtime.files import sha256_bytes
from ..runtime.manifest import FileEntry

SBOM = "sbom.cdx.json"
SPEC = "1.6"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Subject:
    """What was converted. `weights_sha256`: "" where there is none."""

    name: str
    version: str
    licence: str
    weights_sha256: str


@dataclass(frozen=True)
class _Package:
    """An installed distribution; `needs` names others by their normalised names."""

    name: str
    version: str
    licence: str | None
    needs: tuple[str, ...]

    @property
    def ref(self) -> str:
        """Its package URL."""
        return f"pkg:pypi/{self.name}@{quote(self.version, safe='.')}"


def sbom_bytes(subject: Subject, tools: Mapping[str, str]) -> bytes:
    """The document.

    Args:
        tools: names of the distributions that were used, as in the manifest's provenance.
    """
    packages = _closure(tuple(sorted(map(_normal, tools))))
    python = f"{platform.python_implementation()}@{platform.python_version()}"
    model = f"{subject.name}@{subject.version}"
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "version": 1,
        "metadata": {"component": _model(subject, model)},
        "components": [
            {
                "type": "platform",
                "bom-ref": python,
                "name": platform.python_implementation(),
                "version": platform.python_version(),
            },
            *(_component(p) for p in packages),
        ],
        "dependencies": [
            {"ref": model, "dependsOn": sorted(p.ref for p in packages if p.name in _names(tools))},
            {"ref": python},
            *(_dependency(p, packages) for p in packages),
        ],
    }
    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    return text.encode("utf-8") + b"\n"


def sbom_entry(data: bytes) -> FileEntry:
    """The manifest's entry of the document."""
    return FileEntry(SBOM, sha256_bytes(data), len(data))


def _names(tools: Mapping[str, str]) -> set[str]:
    return {_normal(name) for name in tools}


def _model(subject: Subject, ref: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": ref,
        "name": subject.name,
        "version": subject.version,
        "licenses": [{"license": {"name": subject.licence}}],
    }
    if _SHA256.fullmatch(subject.weights_sha256):
        found["hashes"] = [{"alg": "SHA-256", "content": subject.weights_sha256}]
    return found


def _component(package: _Package) -> dict[str, Any]:
    """`excluded`: not needed where the bundle runs."""
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.ref,
        "name": package.name,
        "version": package.version,
        "scope": "excluded",
    }
    if package.licence:
        found["licenses"] = [{"expression": package.licence}]
    return found | {"purl": package.ref}


def _dependency(package: _Package, packages: tuple[_Package, ...]) -> dict[str, Any]:
    needed = sorted(p.ref for p in packages if p.name in package.needs)
    return {"ref": package.ref} | ({"dependsOn": needed} if needed else {})


@cache
def _closure(names: tuple[str, ...]) -> tuple[_Package, ...]:
    """The named distributions and all that they need, sorted by name; extras as asked for.

    What is not installed was not used and is left out.
    """
    found: dict[str, _Package] = {}
    asked: dict[str, set[str]] = {}
    waiting = [(name, frozenset[str]()) for name in names]
    while waiting:
        name, extras = waiting.pop()
        if name in asked and extras <= asked[name]:
            continue
        asked[name] = asked.get(name, set()) | extras
        try:
            own = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        needs = _needs(own, frozenset(asked[name]))
        found[name] = _Package(name, own.version, _licence(own), tuple(sorted(needs)))
        waiting += sorted(needs.items())
    return tuple(found[name] for name in sorted(found))


def _licence(own: metadata.Distribution) -> str | None:
    """The SPDX expression of PEP 639, where the package has one."""
    found = own.metadata.json.get("license_expression")
    return found if isinstance(found, str) else None


def _needs(own: metadata.Distribution, extras: frozenset[str]) -> dict[str, frozenset[str]]:
    """Names of the distributions that this one needs here, with the extras that it asks for."""
    from packaging.requirements import Requirement

    needs: dict[str, frozenset[str]] = {}
    for line in own.requires or ():
        wanted = Requirement(line)
        marker = wanted.marker
        if marker is None or any(marker.evaluate({"extra": e}) for e in {"", *extras}):
            name = _normal(wanted.name)
            needs[name] = needs.get(name, frozenset()) | frozenset(wanted.extras)
    return needs


def _normal(name: str) -> str:
    """As PEP 503 spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()
