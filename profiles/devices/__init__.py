"""Device profiles: what a device has and how much of it we may use.

One TOML file a device in `profiles/devices/`. What nobody measured on the device says so in its
`evidence`; a profile is a plan, `clinicedge profile` on the device is the proof.
"""

import tomllib
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from ...runtime.choices import Processor, processor
from ...runtime.errors import SchemaError
from ...runtime.manifest import Precision
from ...runtime.records import from_json

Architecture = Literal["x86_64", "aarch64"]
_ARCHITECTURES: dict[str, Architecture] = {
    "x86_64": "x86_64",
    "AMD64": "x86_64",
    "aarch64": "aarch64",
    "arm64": "aarch64",
}


@dataclass(frozen=True)
class Budget:
    """How much one film through one artifact, or through a whole pipeline, may cost on the device.

    Attributes:
        latency_ms: steady p90 of the engine's run; of a pipeline, from film to answer.
        peak_rss_mb: peak resident memory of a process with the runtime and one session; of a
            pipeline, with all its members' sessions.
        bundle_mb: size of the artifact's files; of a pipeline, of all members' artifacts.
        energy_mj: energy of one film in millijoule, None where nobody set or measured one.
    """

    latency_ms: float
    peak_rss_mb: float
    bundle_mb: float
    energy_mj: float | None = None


@dataclass(frozen=True)
class Evidence:
    """Whether a statement of the profile was measured on the device, and where it comes from."""

    what: str
    measured: bool
    note: str


@dataclass(frozen=True)
class DeviceProfile:
    """A device.

    Attributes:
        cores: processor cores; `threads` of them may run one session.
        memory_mb: of the smallest variant that the profile speaks for.
        instructions: kernel instructions that the processor has, in the words of /proc/cpuinfo.
        engine_order, precision_order: what to try first when nothing was tuned.
        match: words in the machine's own name that mean this device.
        accelerator: what else computes, or "" ; sessions use the processor unless told.
    """

    name: str
    title: str
    architecture: Architecture
    processor: str
    cores: int
    memory_mb: int
    instructions: tuple[str, ...]
    threads: int
    engine_order: tuple[str, ...]
    precision_order: tuple[Precision, ...]
    match: tuple[str, ...]
    accelerator: str
    budget: Budget
    evidence: tuple[Evidence, ...]

    def measured(self, what: str) -> bool:
        """Whether `what`, e.g. "engine_order", was measured on such a device."""
        return any(e.measured for e in self.evidence if e.what == what)


@dataclass(frozen=True)
class Detected:
    """The profile taken for this machine, and why."""

    profile: DeviceProfile
    reason: str


def device_names() -> tuple[str, ...]:
    """The names of the profiles that ship with clinicedge, sorted."""
    names = (p.name for p in files(__name__).iterdir())
    return tuple(sorted(n.removesuffix(".toml") for n in names if n.endswith(".toml")))


def device(name: str) -> DeviceProfile:
    """The profile of that name.

    Raises:
        SchemaError: no such profile, or its file breaks the record.
    """
    if name not in device_names():
        raise SchemaError(
            f"no device profile '{name}'; there are {', '.join(device_names())}. "
            "Choose one of them."
        )
    source = files(__name__) / f"{name}.toml"
    return parse_device(source.read_text(encoding="utf-8"), f"{name}.toml")


def parse_device(text: str, where: str) -> DeviceProfile:
    """Read the text of a device profile.

    Raises:
        SchemaError: not TOML, a field is missing, unknown or of another type, or a number is
            not positive.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as err:
        raise SchemaError(f"{where} is not TOML: {err}. Correct that line.") from err
    profile = from_json(DeviceProfile, raw, where)
    budget = profile.budget
    numbers = {
        "cores": profile.cores,
        "memory_mb": profile.memory_mb,
        "threads": profile.threads,
        "budget.latency_ms": budget.latency_ms,
        "budget.peak_rss_mb": budget.peak_rss_mb,
        "budget.bundle_mb": budget.bundle_mb,
    }
    wrong = [f"{name} = {value}" for name, value in numbers.items() if not value > 0]
    if profile.threads > profile.cores:
        wrong.append(f"threads = {profile.threads} of {profile.cores} cores")
    if wrong:
        raise SchemaError(f"{where}: {', '.join(wrong)}; expected positive and within the device.")
    return profile


def detect(cpu: Processor | None = None) -> Detected:
    """Guess the profile of this machine (or of `cpu`): by its name, else by its architecture."""
    found = cpu or processor()
    profiles = [device(name) for name in device_names()]
    for profile in profiles:
        hit = next((word for word in profile.match if word in found.model), None)
        if hit is not None:
            return Detected(profile, f"the machine calls itself '{found.model}'")
    architecture = _ARCHITECTURES.get(found.architecture)
    if architecture == "aarch64":
        dotprod = "asimddp" in found.flags
        name = "raspberry-pi-5" if dotprod else "raspberry-pi-4"
        why = f"an aarch64 processor {'with' if dotprod else 'without'} dot-product instructions"
        return Detected(device(name), f"nearest: {why}")
    why = "an x86-64 processor" if architecture else f"processor '{found.architecture}' is unknown"
    return Detected(device("laptop"), f"nearest: {why}")
