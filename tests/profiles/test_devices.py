"""Device profiles: they load, refuse what is wrong, and are recognised."""

import pytest

from clinicedge.profiles.devices import detect, device, device_names, parse_device
from clinicedge.profiles.machine import this_machine
from clinicedge.runtime.choices import Processor
from clinicedge.runtime.errors import SchemaError

NAMES = ("jetson-orin-nano", "laptop", "raspberry-pi-4", "raspberry-pi-5")
GOOD = """
name = "box"
title = "A box"
architecture = "aarch64"
processor = "some"
cores = 4
memory_mb = 1024
instructions = []
threads = 2
engine_order = ["litert"]
precision_order = ["int8"]
match = []
accelerator = ""
[budget]
latency_ms = 10.0
peak_rss_mb = 100
bundle_mb = 5.0
[[evidence]]
what = "latency"
measured = true
note = "by hand"
"""


def test_the_promised_devices_are_there() -> None:
    assert device_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_profile_loads_and_says_what_was_not_measured(name: str) -> None:
    profile = device(name)
    assert profile.name == name
    assert set(profile.engine_order) == {"onnxruntime", "litert", "openvino"}
    assert set(profile.precision_order) == {"int8", "fp16", "fp32"}
    assert {"engine_order", "latency", "peak_rss", "energy"} == {e.what for e in profile.evidence}
    assert profile.budget.energy_mj is None
    assert not profile.measured("energy")


def test_an_unknown_device_names_the_known() -> None:
    with pytest.raises(SchemaError, match="raspberry-pi-4, raspberry-pi-5"):
        device("toaster")


def test_parse_accepts_what_is_right() -> None:
    profile = parse_device(GOOD, "box.toml")
    assert profile.budget.peak_rss_mb == 100.0
    assert profile.measured("latency")
    assert not profile.measured("energy")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("cores = 4", "cores = 0", "cores = 0"),
        ("cores = 4", "cores = true", "expected a value of type int"),
        ("cores = 4\n", "", "the field 'cores'"),
        ("cores = 4", "cores = 4\ncolour = 1", "no field 'colour'"),
        ("threads = 2", "threads = 9", "threads = 9 of 4 cores"),
        ('"int8"', '"int7"', "one of 'fp32', 'fp16', 'int8'"),
        ("latency_ms = 10.0", "latency_ms = -1.0", "latency_ms = -1"),
        ('name = "box"', "name = box", "is not TOML"),
    ],
)
def test_parse_refuses_what_is_wrong(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(SchemaError, match=message):
        parse_device(GOOD.replace(old, new, 1), "box.toml")


@pytest.mark.parametrize(
    ("cpu", "name"),
    [
        (Processor("aarch64", "Raspberry Pi 4 Model B Rev 1.4", ("asimd",), 4), "raspberry-pi-4"),
        (Processor("aarch64", "Raspberry Pi 400 Rev 1.0", ("asimd",), 4), "raspberry-pi-4"),
        (Processor("aarch64", "Raspberry Pi 5 Model B Rev 1.0", (), 4), "raspberry-pi-5"),
        (
            Processor("aarch64", "NVIDIA Jetson Orin Nano Developer Kit", (), 6),
            "jetson-orin-nano",
        ),
        (Processor("aarch64", "", ("asimd", "asimddp"), 4), "raspberry-pi-5"),
        (Processor("aarch64", "Cortex-A72", ("asimd",), 4), "raspberry-pi-4"),
        (Processor("x86_64", "Intel(R) Core(TM) i5", ("avx2",), 8), "laptop"),
        (Processor("AMD64", "", (), 8), "laptop"),
        (Processor("riscv64", "", (), 8), "laptop"),
    ],
)
def test_detect(cpu: Processor, name: str) -> None:
    found = detect(cpu)
    assert found.profile.name == name
    assert found.reason


def test_detect_knows_this_machine() -> None:
    architecture = this_machine().architecture
    assert detect().profile.architecture in (architecture, "x86_64")
