"""The rule about skips, tried in a project of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import pytest

def test_data(data_root):
    pass

def test_other():
    pytest.skip("no browser")

@pytest.mark.skip(reason="not today")
def test_marked():
    pass
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    source = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
    (tmp_path / "conftest.py").write_text(source, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    (tmp_path / "test_module.py").write_text(
        "import pytest\npytest.importorskip('no_such_module')\n", encoding="utf-8"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    return tmp_path


def run(folder: Path, strict: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k != "CLINICEDGE_DATA"}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "--continue-on-collection-errors",
            "-p",
            "no:cacheprovider",
            str(folder),
        ],
        env={**environment, "CLINICEDGE_REQUIRE_ALL": strict},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def test_skips_are_allowed_by_default(project: Path) -> None:
    assert "4 skipped" in run(project, "0")


def test_required_all_allows_only_missing_data(project: Path) -> None:
    said = run(project, "1")
    assert "1 skipped" in said
    assert "CLINICEDGE_REQUIRE_ALL=1 allows no skip: Skipped: no browser" in said
    assert "not today" in said
    assert "no_such_module" in said
