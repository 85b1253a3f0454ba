"""Running the command in this process, on a bundle of one's own, without traces on the machine."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from clinicedge.cli import main
from clinicedge.runtime import load, phantom
from clinicedge.runtime.bundle import Bundle


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acceptance_memory: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "acceptance").symlink_to(acceptance_memory)
    monkeypatch.setenv("CLINICEDGE_STATE", str(state))


@pytest.fixture
def ce(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run `clinicedge WORDS`."""

    def run(*words: object) -> Ran:
        capsys.readouterr()
        code: object = 0
        try:
            main([str(word) for word in words])
        except SystemExit as end:
            code = end.code or 0
        seen = capsys.readouterr()
        return Ran(code if isinstance(code, int) else 1, seen.out, seen.err)

    return run


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Bundle:
    """A copy of the demo, a pipeline, that the test may write into."""
    target = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, target, ignore=shutil.ignore_patterns("measurements"))
    return load(target)


@pytest.fixture
def plain(plain_bundle: Path, tmp_path: Path) -> Bundle:
    """A copy of the classifier of whole films that the test may write into."""
    return load(shutil.copytree(plain_bundle, tmp_path / "plain"))


@pytest.fixture(scope="session")
def film_png() -> bytes:
    """A small phantom film as PNG."""
    drawn = phantom.draw(replace(phantom.sample(1), height=96, width=128))
    return phantom.encode_png(drawn)


@pytest.fixture
def film(film_png: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "film.png"
    path.write_bytes(film_png)
    return path
