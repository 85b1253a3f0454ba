"""Emulated machines, and the bundles that they are asked about.

CLINICEDGE_ARM_ALL=1 converts all 16 MobileNets and tries every artifact. Else the smallest and
those that are kept are tried, each as it would be served; CLINICEDGE_ARM_MINUTES (0) is how long
more of them may be converted for. The last lines of the run say which were tried.
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from clinicedge.convert import pipeline_bundles as pipelines
from clinicedge.convert.pipeline_bundles import write_pipeline
from clinicedge.runtime import Bundle, load

from . import kept
from .kept import Nets
from .machines import Machine, machine
from .mobilenets import TYPES, Net, names, net
from .processors import PROCESSORS, Processor
from .root import aarch64_root, cache_folder

TRIED = pytest.StashKey[str]()


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
def cascade(cache: Path, tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """As `pneumonia-cascade`, of small networks: the demo, then findings on the same lungs."""
    kept.fill((net(TYPES),), cache)
    types = kept.find(net(TYPES), cache)
    assert types is not None
    out = tmp_path_factory.mktemp("cascade")
    lungs = tiny_bundle / "members/lungs-128"
    second = write_pipeline(pipelines.on_lungs("types-on-lungs", lungs, types.folder), out)
    plan = pipelines.cascade("small-cascade", tiny_bundle, second.folder)
    return load(write_pipeline(plan, out).folder)


@pytest.fixture(scope="session")
def nets(cache: Path, everything: bool, pytestconfig: pytest.Config) -> Nets:
    """The MobileNets that there are bundles of, the lightest first."""
    wanted = [net(name) for name in names()]
    if everything:
        kept.fill(wanted, cache)
    else:
        kept.fill(wanted[:1], cache)
        kept.fill(wanted, cache, minutes() * 60)
    found = [(one, kept.find(one, cache)) for one in wanted]
    pytestconfig.stash[TRIED] = _told(found, everything)
    return tuple((one, bundle) for one, bundle in found if bundle is not None)


def minutes() -> float:
    """How long MobileNets may be converted for."""
    return float(os.environ.get("CLINICEDGE_ARM_MINUTES") or 0)


def _told(found: Sequence[tuple[Net, Bundle | None]], everything: bool) -> str:
    """What the run is about, in words."""
    tried = [one for one, bundle in found if bundle is not None]
    missing = [one.name for one, bundle in found if bundle is None]
    untrained = [one.name for one in tried if one.weights is None]
    how = "every artifact" if everything else "the artifact that each device would serve"
    lines = [f"{len(tried)} of {len(found)} MobileNets were tried, {how}:"]
    lines.append("  " + ", ".join(one.spec.name for one in tried))
    if untrained:
        lines.append(f"  of these with random weights: {', '.join(untrained)}")
    if missing:
        lines.append(f"NOT tried, no bundle is kept: {', '.join(missing)}")
        lines.append("  make test-arm MINUTES=25 converts for so long, ALL=1 all of them")
    return "\n".join(lines)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Last, where it is read."""
    if TRIED in config.stash:
        terminalreporter.section("MobileNets")
        terminalreporter.write_line(config.stash[TRIED])
