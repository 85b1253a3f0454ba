"""What this machine is, for reports: processor, memory, system, Python."""

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..runtime.choices import machine_id, processor

BF16_FLAGS = ("amx_bf16", "avx512_bf16", "bf16")


@dataclass(frozen=True)
class Machine:
    """A machine, without names of its owner or network.

    Attributes:
        id: what tune records and the acceptance cache are kept by.
        flags: the kernel instructions that it has, sorted.
        cores: logical processors that this process may use.
        memory_mb: total; 0 where the system does not say.
    """

    id: str
    processor: str
    architecture: str
    flags: tuple[str, ...]
    cores: int
    memory_mb: int
    system: str
    python: str

    @property
    def int8_dot_product(self) -> bool:
        """Whether the processor multiplies 8-bit integers in one instruction (VNNI, dotprod)."""
        return bool({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"} & set(self.flags))

    @property
    def bf16(self) -> bool:
        """Whether the processor computes in bfloat16."""
        return any(flag in self.flags for flag in BF16_FLAGS)


@dataclass(frozen=True)
class Room:
    """What is free now, in MB; 0 where the system does not say. `load` is the 1-minute average."""

    memory_mb: int
    disk_mb: int
    load: float


def this_machine() -> Machine:
    """Ask the operating system."""
    cpu = processor()
    return Machine(
        id=machine_id(),
        processor=cpu.model or "unknown",
        architecture=cpu.architecture,
        flags=cpu.flags,
        cores=cpu.cores,
        memory_mb=memory_mb("MemTotal"),
        system=_system(),
        python=platform.python_version(),
    )


def room(folder: Path) -> Room:
    """Free memory, free disk at `folder` and how busy the machine is."""
    existing = next((p for p in (folder, *folder.parents) if p.exists()), Path("/"))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    return Room(
        memory_mb("MemAvailable"), shutil.disk_usage(existing).free // 1_000_000, round(load, 2)
    )


def memory_mb(field: str) -> int:
    """A line of /proc/meminfo in MB (1,000,000 bytes); 0 where there is none."""
    return _kib_line(Path("/proc/meminfo"), field) * 1024 // 1_000_000


def own_memory_mb(field: str) -> float:
    """A line of /proc/self/status in MB: "VmHWM" is the peak resident size, "VmRSS" the present."""
    return _kib_line(Path("/proc/self/status"), field) * 1024 / 1e6


def _kib_line(path: Path, field: str) -> int:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return 0
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0])
    return 0


def _system() -> str:
    try:
        distribution = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        distribution = ""
    return f"{distribution or platform.system()}, kernel {platform.release()}"
