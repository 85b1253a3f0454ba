"""What INT8 should gain: a model and a processor at a time."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

Kernels = Literal["AMX", "VNNI"]
VNNI_FLAGS = ("avx512_vnni", "avx_vnni")


@dataclass(frozen=True)
class Target:
    """Of a model's best INT8 artifact.

    `amx`, `vnni`: times faster than its best f32 artifact, where the processor has AMX, and where
    it has VNNI alone. `mb`: of the INT8 file at most, None where nothing was aimed at;
    `share`: of the FP32 file at most, likewise.
    """

    amx: float
    vnni: float
    mb: float | None = None
    share: float | None = None

    def speed(self, kernels: Kernels | None) -> float | None:
        """Times faster on a processor; None where it has neither."""
        return {"AMX": self.amx, "VNNI": self.vnni}[kernels] if kernels else None


_DENSENET = Target(amx=2.8, vnni=2.0)
# By how the bundle's name begins; lung-crop forms and folds are the same network.
_TARGETS = {
    "mobilenet-1.0-224": Target(amx=3.0, vnni=3.0, share=0.28),
    "mobilenet-": Target(amx=3.0, vnni=3.0),
    "resnet50-224": Target(amx=6.0, vnni=3.0, mb=25.0),
    "densenet121-224": _DENSENET,
    "pneumonia-type-224": _DENSENET,
    "segunet-512": Target(amx=8.0, vnni=4.0, mb=8.5),
}


def target_of(name: str) -> Target | None:
    """None where nothing was aimed at."""
    fitting = (target for start, target in _TARGETS.items() if name.startswith(start))
    return next(fitting, None)


def kernels_of(flags: Collection[str]) -> Kernels | None:
    """What the processor multiplies 8-bit integers with; None: neither AMX nor VNNI."""
    if "amx_int8" in flags:
        return "AMX"
    return "VNNI" if any(flag in flags for flag in VNNI_FLAGS) else None


def verdict(found: float, target: float | None, *, at_most: bool = False) -> bool | None:
    """Whether it is met; None where there is no target."""
    if target is None:
        return None
    return found <= target if at_most else found >= target
