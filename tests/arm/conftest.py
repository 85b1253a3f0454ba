"""Emulated machines, and the bundles that they are asked about.

CLINICEDGE_ARM_ALL=1 converts all 16 MobileNets and tries every artifact; else the smallest and
those that an earlier run kept, each as it would be served.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_bundles as tiny

from clinicedge.runtime import Bundle
from clinicedge.runtime.lungs import CropRule
from clinicedge.runtime.manifest import DiscrepancyRule, PipelineRules

from . import mobilenets
from .machines import REPOSITORY, Machine, machine
from .processors import PROCESSORS, Processor
from .root import aarch64_root, cache_folder


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLINICEDGE_STATE", str(tmp_path / "state"))


@pytest.fixture(scope="session")
def everything() -> bool:
    """Whether all was asked for."""
    return os.environ.get("CLINICEDGE_ARM_ALL") == "1"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kept between runs where the user has a cache folder that can be written."""
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return tmp_path_factory.mktemp("cache")
    return folder


@pytest.fixture(scope="session")
def root(cache: Path) -> Path:
    missing = [p for p in ("apt-get", "dpkg-deb", "tar") if shutil.which(p) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} to unpack Debian's packages")
    return aarch64_root(cache)


@pytest.fixture(scope="session", params=PROCESSORS, ids=lambda p: p.name)
def device(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    processor: Processor = request.param
    if shutil.which(processor.qemu) is None:
        pytest.skip(f"needs {processor.qemu}: make arm-deps")
    made_of = request.getfixturevalue("root") if processor.arm else None
    return machine(processor, made_of, tmp_path_factory.mktemp(processor.name))


@pytest.fixture(scope="session")
def cascade(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Tiny networks in the place of the large ones: lungs -> crop -> label, then findings."""
    folder = tmp_path_factory.mktemp("cascade")
    lungs = tiny.masks(folder / "lungs", formats=("onnx", "openvino"))
    crop = tiny.Scores(region="lungs")
    first = tiny.binary(folder / "first", "tiny-lung-crop", crop, ("onnx", "openvino"))
    findings = tiny.Scores(("BACTERIAL", "VIRAL"), (4.0, -4.0), (0.0, 0.0), (0.5, 0.5), "lungs")
    second = tiny.findings(folder / "second", "tiny-type-lung-crop", findings)
    members = (
        ("first", tiny.on_lungs(folder / "a", first, lungs, CropRule())),
        ("second", tiny.on_lungs(folder / "b", second, lungs, CropRule())),
    )
    rules = PipelineRules("cascade", None, DiscrepancyRule(0.2, 0.4, 1, 2), None)
    return tiny.pipeline(folder / "whole", "tiny-cascade", rules, members)


@pytest.fixture(scope="session")
def nets(cache: Path, everything: bool) -> tuple[Bundle, ...]:
    """The MobileNets, the lightest first."""
    wanted = [
        name
        for name in mobilenets.names()
        if everything or name == mobilenets.SMALLEST or mobilenets.kept(name, cache)
    ]
    for name in wanted:
        if mobilenets.kept(name, cache) is None:
            command = [sys.executable, "-m", "tests.arm.mobilenets", name, str(cache)]
            subprocess.run(command, cwd=REPOSITORY, check=True)
    return tuple(mobilenets.make(name, cache) for name in wanted)
