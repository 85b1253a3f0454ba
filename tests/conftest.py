"""Fixtures of all folders, and the rule that nothing is skipped unseen.

With CLINICEDGE_REQUIRE_ALL=1 every skip but "no reference data" fails.
"""

import json
import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
from hypothesis import settings

from clinicedge.runtime import phantom
from clinicedge.runtime.film import Film

NO_DATA = "no reference data"
# A busy machine is slow; that is no fault of what is tested.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A folder's tests share what is dear to make, so one worker takes the whole folder."""
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        item.add_marker(pytest.mark.xdist_group(folder))


def _strict() -> bool:
    return os.environ.get("CLINICEDGE_REQUIRE_ALL") == "1"


def _as_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure, unless it is for want of reference data."""
    if not (_strict() and report.outcome == "skipped") or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if reason.removeprefix("Skipped: ") != NO_DATA:
        report.outcome = "failed"
        report.longrepr = f"CLINICEDGE_REQUIRE_ALL=1 allows no skip: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _as_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _as_failure(report)
    return report


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of real films that CLINICEDGE_DATA names."""
    named = os.environ.get("CLINICEDGE_DATA")
    if not named:
        pytest.skip(NO_DATA)
    root = Path(named)
    assert root.is_dir(), f"CLINICEDGE_DATA names {root}, which is no folder"
    return root


@pytest.fixture(scope="session")
def reference_vectors() -> Path:
    """The folder of reference vectors: CLINICEDGE_REFS, or `refs` beside the real films."""
    data = os.environ.get("CLINICEDGE_DATA")
    named = os.environ.get("CLINICEDGE_REFS") or (data and str(Path(data).parent / "refs"))
    if not named or not Path(named).is_dir():
        pytest.skip(NO_DATA)
    return Path(named)


@pytest.fixture(scope="session")
def acceptance_memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What acceptance found, remembered for all tests: each trial costs a process."""
    return tmp_path_factory.mktemp("acceptance")


@pytest.fixture(scope="session")
def phantom_film() -> Film:
    """A drawn child with a shadow in the right lower zone."""
    return phantom.draw(phantom.Phantom(seed=1, opacity=0.8))


@pytest.fixture(scope="session")
def tiny_bundle() -> Path:
    """Folder of the committed demo pipeline, INT8 in three formats. Copy it before you write."""
    found = sorted((Path(__file__).parent.parent / "demo").glob("*/bundle.json"))
    assert found, "demo/ has no bundle; make one with `clinicedge convert`"
    return found[0].parent


@pytest.fixture(scope="session")
def plain_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the demo's classifier alone, said to take whole films. Copy it before you write.

    A real model in three formats; its acceptance films are scored as they are either way. Its
    INT8 artifacts are said to decide as FP32: which may be tuned must not hang on the weights.
    """
    (member,) = (tiny_bundle / "members").glob("*-lung-crop")
    folder = tmp_path_factory.mktemp("plain") / member.name.removesuffix("-lung-crop")
    shutil.copytree(member, folder, ignore=shutil.ignore_patterns("measurements"))
    manifest = json.loads((folder / "bundle.json").read_bytes())
    manifest["name"] = folder.name
    manifest["input"]["region"] = "film"
    for artifact in manifest["artifacts"]:
        artifact["parity"] |= {"decision_agreement": 1.0, "decision_flips": 0}
    (folder / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder
