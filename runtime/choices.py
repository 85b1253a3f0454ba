"""What `clinicedge tune` found fastest on this machine, remembered by bundle id and machine.

A record on the device, outside the bundle: STATE/choices/BUNDLE_ID-MACHINE_ID.json.
"""

import hashlib
import json
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .errors import OutputError, SchemaError
from .figures import Compute
from .files import write_atomic
from .records import dump_bytes, from_json

CHOICE_SCHEMA = 1
# The instructions that engines choose their kernels by; other flags come and go with kernels.
KERNEL_FLAGS = frozenset(
    {"sse4_1", "avx", "avx2", "f16c", "fma", "avx_vnni", "avx512f", "avx512bw", "avx512vl"}
    | {"avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16", "amx_int8", "amx_tile"}
    | {"neon", "vfpv4", "asimd", "asimdhp", "asimddp", "fphp", "i8mm", "bf16", "sve", "sve2"}
)


# Instructions that sum products of 8-bit integers without an intermediate of 16 bits.
_DOT_PRODUCT = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm"})


@dataclass(frozen=True)
class Choice:
    """What to open. `engine_version` is the one measured; with another the choice is stale."""

    artifact: str
    compute: Compute
    engine: str
    threads: int
    engine_version: str


@dataclass(frozen=True)
class _Record:
    schema: int
    bundle_id: str
    machine_id: str
    choice: Choice


@dataclass(frozen=True)
class Processor:
    """The processor that this process runs on.

    `flags` has those of KERNEL_FLAGS that it has, sorted; `cores` counts the logical
    processors that this process may use.
    """

    architecture: str
    model: str
    flags: tuple[str, ...]
    cores: int

    @property
    def family(self) -> str:
        """How it computes in int8, in the words of `Artifact.safe_on`; "" where unknown."""
        dot_product = bool(_DOT_PRODUCT & set(self.flags))
        match self.architecture:
            case "x86_64" | "AMD64":
                return "x86-64 VNNI" if dot_product else "x86-64 AVX2"
            case "aarch64" | "arm64":
                return "ARMv8.2 dot product" if dot_product else "ARMv8.0"
        return ""


def state_folder() -> Path:
    """Where this user's records live.

    CLINICEDGE_STATE, else clinicedge in XDG_STATE_HOME, else in ~/.local/state.
    """
    if own := os.environ.get("CLINICEDGE_STATE"):
        return Path(own)
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "clinicedge"


def usable_cores() -> int:
    """Logical processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def processor() -> Processor:
    """Ask the operating system once; unknown parts are empty."""
    fields = _cpuinfo()
    board = _read_text(Path("/proc/device-tree/model")).strip("\0 \n")
    model = fields.get("model name") or fields.get("Model") or board or platform.processor()
    if board and board not in model:
        model = f"{board} {model}".strip()
    raw = fields.get("flags") or fields.get("Features") or ""
    flags = tuple(sorted(KERNEL_FLAGS & set(raw.split())))
    return Processor(platform.machine(), " ".join(model.split()), flags, usable_cores())


def machine_id() -> str:
    """16 hex digits that name this kind of processor with this many usable cores.

    Two boxes of one make share it, so that a copied state folder stays right; no serial
    number goes into it.
    """
    cpu = processor()
    text = json.dumps([cpu.architecture, cpu.model, cpu.flags, cpu.cores])
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def choice_path(bundle_id: str) -> Path:
    """The file of this machine's choice for a bundle."""
    return state_folder() / "choices" / f"{bundle_id}-{machine_id()}.json"


def read_choice(bundle_id: str) -> Choice | None:
    """The remembered choice; None where there is none or the record is damaged: not tuned."""
    path = choice_path(bundle_id)
    try:
        record = from_json(_Record, json.loads(path.read_bytes()), path.name)
    except (OSError, ValueError, SchemaError):
        return None
    expected = (CHOICE_SCHEMA, bundle_id, machine_id())
    if (record.schema, record.bundle_id, record.machine_id) != expected:
        return None
    return record.choice


def write_choice(bundle_id: str, choice: Choice) -> Path:
    """Remember `choice` for this machine and give the file's path.

    Raises:
        OutputError: the state folder cannot be written.
    """
    path = choice_path(bundle_id)
    write_atomic(path, dump_bytes(_Record(CHOICE_SCHEMA, bundle_id, machine_id(), choice)))
    return path


def forget_choice(bundle_id: str) -> bool:
    """Delete the remembered choice; False where there was none.

    Raises:
        OutputError: the file cannot be deleted.
    """
    path = choice_path(bundle_id)
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as err:
        raise OutputError(f"cannot delete {path}: {err.strerror}. Delete it by hand.") from err
    return True


def _cpuinfo() -> dict[str, str]:
    """The first value of each field of /proc/cpuinfo; empty where there is none."""
    found: dict[str, str] = {}
    for line in _read_text(Path("/proc/cpuinfo")).splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip())
    return found


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
