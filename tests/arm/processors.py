"""Processors as qemu runs them, and as the files of /proc and /sys tell of them.

qemu answers what an instruction does; which ones there are the engines ask the kernel for, and
under qemu that is this machine's. So each processor has a folder that qemu looks into first
(`-L`), with files drawn after what Linux shows on such a board.
"""

from dataclasses import dataclass
from pathlib import Path

CORES = 2


@dataclass(frozen=True)
class Processor:
    """A processor.

    Attributes:
        qemu: the program that runs it, and its word for it (`-cpu`).
        flags: of /proc/cpuinfo.
        identity: lines of /proc/cpuinfo beside the flags.
        midr: what the kernel shows as the main identification register; "" on x86.
        khz: fastest clock.
    """

    name: str
    qemu: str
    cpu: str
    flags: str
    identity: tuple[tuple[str, str], ...]
    midr: str = ""
    khz: int = 0

    @property
    def arm(self) -> bool:
        """Whether it is an aarch64 processor."""
        return bool(self.midr)


def _arm(part: str, variant: str, revision: str) -> tuple[tuple[str, str], ...]:
    return (
        ("CPU implementer", "0x41"),
        ("CPU architecture", "8"),
        ("CPU variant", variant),
        ("CPU part", part),
        ("CPU revision", revision),
    )


# Raspberry Pi 4: Armv8.0, neither dot product nor half precision.
A72 = Processor(
    "a72",
    "qemu-aarch64-static",
    "cortex-a72",
    "fp asimd evtstrm crc32 cpuid",
    _arm("0xd08", "0x0", "3"),
    midr="0x00000000410fd083",
    khz=1_800_000,
)
# Raspberry Pi 5: Armv8.2 with dot product (asimddp) and half precision (asimdhp).
A76 = Processor(
    "a76",
    "qemu-aarch64-static",
    "cortex-a76",
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop "
    "asimddp",
    _arm("0xd0b", "0x4", "1"),
    midr="0x00000000414fd0b1",
    khz=2_400_000,
)
# A clinic's laptop of 2014: AVX2, no VNNI, so sums of u8 x s8 products saturate at 16 bits.
HASWELL = Processor(
    "haswell",
    "qemu-x86_64-static",
    "Haswell",
    "fpu tsc cx8 cmov mmx fxsr sse sse2 ht syscall nx lm pni pclmulqdq ssse3 fma cx16 sse4_1 "
    "sse4_2 movbe popcnt aes xsave avx f16c rdrand lahf_lm abm fsgsbase bmi1 avx2 bmi2 erms",
    (
        ("vendor_id", "GenuineIntel"),
        ("cpu family", "6"),
        ("model", "60"),
        ("model name", "Intel Core Processor (Haswell)"),
        ("stepping", "4"),
    ),
)
PROCESSORS = (HASWELL, A72, A76)


def draw(processor: Processor, prefix: Path) -> None:
    """Write the files that tell of the processor under `prefix`."""
    key = "Features" if processor.arm else "flags"
    lines = (*processor.identity, (key, processor.flags))
    blocks = [
        "".join(f"{name}\t: {value}\n" for name, value in (("processor", str(number)), *lines))
        for number in range(CORES)
    ]
    _write(prefix / "proc/cpuinfo", "\n".join(blocks))
    if not processor.arm:
        return
    system = prefix / "sys/devices/system/cpu"
    every = f"0-{CORES - 1}"
    for name in ("possible", "present", "online"):
        _write(system / name, every)
    _write(system / "kernel_max", str(CORES - 1))
    for number in range(CORES):
        for name, value in _core(number, processor).items():
            _write(system / f"cpu{number}" / name, value)


def _core(number: int, processor: Processor) -> dict[str, str]:
    """Files of one core: one cluster, every core alike."""
    every, mask = f"0-{CORES - 1}", f"{(1 << CORES) - 1:x}"
    return {
        "regs/identification/midr_el1": processor.midr,
        "cpufreq/cpuinfo_max_freq": str(processor.khz),
        "cpufreq/cpuinfo_min_freq": "600000",
        "topology/core_id": str(number),
        "topology/physical_package_id": "0",
        "topology/cluster_id": "0",
        "topology/core_siblings": mask,
        "topology/core_siblings_list": every,
        "topology/package_cpus_list": every,
        "topology/cluster_cpus_list": every,
        "topology/thread_siblings": f"{1 << number:x}",
        "topology/thread_siblings_list": str(number),
    }


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="utf-8")
