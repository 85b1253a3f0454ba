"""Is this machine fit, and is this bundle intact and right on it?"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import metadata

from ..runtime.acceptance import Asked, check_acceptances, try_together
from ..runtime.bundle import Bundle, check_file
from ..runtime.choices import Choice, read_choice, state_folder
from ..runtime.engines import engines
from ..runtime.errors import BundleError, ClinicEdgeError
from ..runtime.manifest import Artifact, Manifest
from ..runtime.trust import NOT_LOOKED_AT, SignedBy
from .devices import detect
from .machine import Machine, Room, room, this_machine
from .worker import MODULES

# Without them some compressed DICOM films are refused, by name.
DICOM_PACKAGES = (
    "pydicom",
    "pylibjpeg",
    "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg",
)
IMPORT_LIMIT_S = 120


@dataclass(frozen=True)
class ArtifactHealth:
    """One artifact in one engine.

    Attributes:
        files: "ok", or what is wrong with them.
        acceptance: "passed", "failed" or "not checked".
        detail: the engine and the largest difference, or why not.
        member: path to the model inside a pipeline, e.g. "first/lungs"; "" for a model alone.
    """

    artifact: str
    engine: str
    compute: str
    files: str
    acceptance: str
    detail: str
    member: str = ""

    @property
    def failed(self) -> bool:
        """Whether something was found wrong; an engine that is not installed is not wrong."""
        return self.files != "ok" or self.acceptance == "failed"


@dataclass(frozen=True)
class BundleHealth:
    """A bundle on this machine.

    Attributes:
        passed: nothing failed and something was checked.
        usable: no file was changed, and of each model something passed; what failed is passed
            over on this machine.
        not_made: parts that a bundle may have and this one does not; of a pipeline, what one of
            its models lacks.
        signed: by whom, as this device sees it.
    """

    model: str
    bundle_id: str
    passed: bool
    artifacts: tuple[ArtifactHealth, ...]
    not_made: tuple[str, ...]
    signed: SignedBy = NOT_LOOKED_AT
    usable: bool = False


@dataclass(frozen=True)
class EngineHealth:
    """An engine. `version` is None where it is not installed; `problem` "" where it works."""

    name: str
    version: str | None
    problem: str

    @property
    def works(self) -> bool:
        """Installed and loads on this processor."""
        return self.version is not None and not self.problem


@dataclass(frozen=True)
class MachineHealth:
    """What a person asks before trusting a box. `healthy`: an engine works and the bundle passes.

    Attributes:
        packages: of DICOM reading, None where not installed.
        choice: what `clinicedge tune` found for the bundle, None where not tuned.
        member_choices: the same of a pipeline's models, by their paths in it.
    """

    machine: Machine
    device: str
    device_reason: str
    room: Room
    state_folder: str
    version: str
    engines: tuple[EngineHealth, ...]
    packages: dict[str, str | None]
    bundle: BundleHealth | None
    choice: Choice | None
    member_choices: dict[str, Choice | None]
    healthy: bool


def verify(bundle: Bundle, cache: bool = False) -> BundleHealth:
    """Hash every file and run the acceptance films of every artifact in every engine installed.

    Of a pipeline, of all its models.

    Args:
        cache: accept an earlier result of this processor and engine version.
    """
    try:
        models = bundle.models()
    except BundleError as err:
        row = ArtifactHealth("-", "-", "-", "changed", "not checked", str(err))
        return _health(bundle, (row,), ())
    if not cache:
        try_together([one for _, model in models for one in _asked(model)], cache=False)
    rows = tuple(replace(row, member=member) for member, model in models for row in _model(model))
    return _health(bundle, rows, models)


def _health(
    bundle: Bundle, rows: tuple[ArtifactHealth, ...], found: Sequence[tuple[str, Bundle]]
) -> BundleHealth:
    """`found`: every model inside; none where a member is missing or exchanged."""
    members = [member for member, _ in found]
    models = [model.manifest for _, model in found] or [bundle.manifest]
    passed = {r.member for r in rows if r.acceptance == "passed"}
    return BundleHealth(
        model=bundle.manifest.name,
        bundle_id=bundle.id,
        passed=bool(passed) and not any(r.failed for r in rows),
        artifacts=rows,
        not_made=_not_made(bundle, models),
        signed=bundle.signed,
        usable=passed.issuperset(members) and bool(members) and all(r.files == "ok" for r in rows),
    )


def _asked(bundle: Bundle) -> Iterator[Asked]:
    """Every artifact of a model in every engine and compute precision."""
    for artifact in bundle.manifest.artifacts:
        for name in _able(artifact):
            for compute in artifact.computes:
                yield Asked(bundle, artifact.id, compute, name)


def _able(artifact: Artifact) -> list[str]:
    return [name for name, engine in engines().items() if artifact.format in engine.formats]


def _model(bundle: Bundle) -> Iterator[ArtifactHealth]:
    for artifact in bundle.manifest.artifacts:
        yield from _artifact(bundle, artifact)
    if bundle.manifest.sbom is not None:
        try:
            check_file(bundle.folder, bundle.manifest.sbom, f"SBOM of '{bundle.manifest.name}'")
        except ClinicEdgeError as err:
            yield ArtifactHealth("sbom", "-", "-", "changed", "not checked", str(err))


def _not_made(bundle: Bundle, models: Sequence[Manifest]) -> tuple[str, ...]:
    made = {
        "signature": bundle.signed.state not in ("unsigned", "not looked at"),
        "guard": all(model.guard is not None for model in models),
        "temperature": all(model.temperatures for model in models),
        "sbom": all(model.sbom is not None for model in models),
    }
    return tuple(part for part, there in made.items() if not there)


def _artifact(bundle: Bundle, artifact: Artifact) -> list[ArtifactHealth]:
    try:
        bundle.check(artifact.id)
    except ClinicEdgeError as err:
        return [ArtifactHealth(artifact.id, "-", "-", "changed", "not checked", str(err))]
    return [
        _acceptance(Asked(bundle, artifact.id, compute, name))
        for name in _able(artifact)
        for compute in artifact.computes
    ]


def _acceptance(asked: Asked) -> ArtifactHealth:
    if engines()[asked.engine].version() is None:
        verdict, detail = "not checked", "engine not installed"
    else:
        verdict, detail = _accept(asked)
    return ArtifactHealth(asked.artifact, asked.engine, asked.compute, "ok", verdict, detail)


def _accept(asked: Asked) -> tuple[str, str]:
    try:
        result = check_acceptances((asked,))[0]
    except ClinicEdgeError as err:
        return "failed", str(err)
    return ("passed" if result.passed else "failed"), result.explain()


def examine(bundle: Bundle | None = None) -> MachineHealth:
    """Look at the machine, try each engine in a process of its own, and verify the bundle.

    An engine built for another processor can kill the process that loads it; that is why it is
    loaded elsewhere first, and why a bundle is verified only where an engine came through.
    """
    found = tuple(_engine(name) for name in engines())
    detected = detect()
    works = any(e.works for e in found)
    checked = verify(bundle) if bundle is not None and works else None
    return MachineHealth(
        machine=this_machine(),
        device=detected.profile.name,
        device_reason=detected.reason,
        room=room(state_folder()),
        state_folder=str(state_folder()),
        version=metadata.version("clinicedge"),
        engines=found,
        packages={name: _version(name) for name in DICOM_PACKAGES},
        bundle=checked,
        choice=read_choice(bundle.id) if bundle is not None else None,
        member_choices=_member_choices(bundle) if checked is not None and bundle else {},
        healthy=works and (bundle is None or (checked is not None and checked.passed)),
    )


def _member_choices(bundle: Bundle) -> dict[str, Choice | None]:
    try:
        models = bundle.models()
    except BundleError:
        return {}
    return {path: read_choice(model.id) for path, model in models if path}


def _engine(name: str) -> EngineHealth:
    version = engines()[name].version()
    return EngineHealth(name, version, "" if version is None else _import_problem(name))


def _import_problem(name: str) -> str:
    """Import the engine in a fresh process; its last words where that fails."""
    modules = MODULES.get(name, ())
    code = (
        "import importlib, importlib.util as u\n"
        f"names = [m for m in {modules!r} if u.find_spec(m.partition('.')[0])]\n"
        "names and importlib.import_module(names[0])"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=IMPORT_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"does not load within {IMPORT_LIMIT_S} s"
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        return f"killed by signal {-done.returncode}: it was built for another processor"
    words = done.stderr.strip().splitlines()
    return words[-1] if words else f"exit code {done.returncode}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
