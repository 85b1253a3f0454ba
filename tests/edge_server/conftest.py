"""A real server on a free port of this machine, and films to send to it."""

import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from clinicedge.edge_server.routes import Server
from clinicedge.edge_server.settings import EngineWish, Settings
from clinicedge.runtime import phantom
from clinicedge.runtime.film import Film, FilmSource

from . import bundles
from .browsing import ARGUMENTS, CHROMIUM


@dataclass(frozen=True, eq=False)
class Box:
    """A running server: a client for it, its folder of cases and its inside."""

    client: httpx.Client
    data: Path
    url: str
    server: Server

    def post(self, film: bytes, name: str = "film.png", **fields: str) -> httpx.Response:
        """Send a film."""
        return self.client.post("/api/v1/cases", files={"film": (name, film)}, data=fields)

    def send(self, film: bytes, name: str = "film.png", **fields: Any) -> dict[str, Any]:
        """Send a film that is taken; the case. A field may have several values."""
        answer = self.client.post("/api/v1/cases", files={"film": (name, film)}, data=fields)
        assert answer.status_code == 201, answer.text
        case: dict[str, Any] = answer.json()
        return case

    def kept(self) -> list[str]:
        """Every file of a film in the folder, also those of half-done cases."""
        found = [*self.data.glob("films/*/*"), *self.data.glob("incoming/*")]
        return sorted(p.name for p in found)


Serve = Callable[[Settings], AbstractContextManager[Box]]


@pytest.fixture(scope="session", autouse=True)
def own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Acceptance is remembered for these tests alone."""
    before = os.environ.get("CLINICEDGE_STATE")
    os.environ["CLINICEDGE_STATE"] = str(tmp_path_factory.mktemp("state"))
    yield
    if before is None:
        del os.environ["CLINICEDGE_STATE"]
    else:
        os.environ["CLINICEDGE_STATE"] = before


@pytest.fixture(scope="session")
def film_png() -> bytes:
    """A small phantom with a shadow, as PNG."""
    drawn = phantom.draw(replace(phantom.Phantom(seed=4, opacity=0.9), height=144, width=192))
    return phantom.encode_png(drawn)


def drawn(pixels: NDArray[np.uint8]) -> bytes:
    """Pixels as PNG."""
    return phantom.encode_png(Film(pixels, None, FilmSource("array", "drawn")))


def dicom_film(
    modality: str = "DX",
    body_part: str = "CHEST",
    pixels: NDArray[np.uint8] | None = None,
    spacing_mm: tuple[float, float] | None = None,
) -> bytes:
    """A DICOM file of a phantom, or of these pixels, 8 bit MONOCHROME1."""
    pydicom = pytest.importorskip("pydicom", reason="needs the Python package pydicom")
    if pixels is None:
        pixels = phantom.draw(phantom.Phantom(seed=2, height=96, width=128)).pixels
    data = pydicom.dataset.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    data.Modality, data.BodyPartExamined = modality, body_part
    data.Rows, data.Columns, data.SamplesPerPixel = *pixels.shape, 1
    data.PhotometricInterpretation = "MONOCHROME1"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    if spacing_mm is not None:
        data.PixelSpacing = list(spacing_mm)
    data.PixelData = (255 - pixels).tobytes()
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.fixture(scope="session")
def dark_png() -> bytes:
    """The same phantom at half its brightness, which the tiny classifiers call NORMAL."""
    film = phantom.draw(replace(phantom.Phantom(seed=4, opacity=0.9), height=144, width=192))
    return drawn((film.pixels // 2).astype(np.uint8))


@pytest.fixture(scope="session")
def black_png() -> bytes:
    """A film on which nobody finds lungs."""
    return drawn(np.zeros((144, 192), np.uint8))


@pytest.fixture(scope="session")
def bone_png() -> bytes:
    """200 x 300, dark, with a large bright square in the lower right, one with a hole in the
    upper left, and a speck that cleaning removes."""
    pixels = np.full((200, 300), 30, np.uint8)
    pixels[120:180, 210:270] = 240
    pixels[20:70, 20:70] = 240
    pixels[35:55, 35:55] = 30
    pixels[100:106, 140:146] = 250
    return drawn(pixels)


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny bundles of every kind, by name."""
    folder = tmp_path_factory.mktemp("zoo")
    lungs = bundles.lungs(folder)
    crop = bundles.classifier(folder, "tiny-lung-crop", region="lungs")
    types = bundles.findings(
        folder, "tiny-type-lung-crop", {"BACTERIA": 0.8, "VIRUS": 0.4},
        {"BACTERIA": 0.5, "VIRUS": 0.5}, region="lungs",
    )  # fmt: skip
    found = [lungs, crop, types]
    first = bundles.on_lungs(folder, "tiny-on-lungs", lungs, crop)
    second = bundles.on_lungs(folder, "tiny-type-on-lungs", lungs, types)
    found += [first, second, bundles.cascade(folder, "tiny-cascade", first, second)]
    members = (bundles.classifier(folder, "tiny-a"), bundles.classifier(folder, "tiny-b", 0.6))
    found += [*members, bundles.ensemble(folder, "tiny-ensemble", members, 0.45)]
    levels = {"Bronchitis": 0.7, "Pneumonia": 0.6, "Bronchiolitis": 0.2}
    limits = {"Bronchitis": 0.5, "Pneumonia": 0.3, "Bronchiolitis": 0.4}
    found += [bundles.findings(folder, "tiny-findings", levels, limits), bundles.lesions(folder)]
    return {f.name: f for f in found}


SERVED = (
    "tiny-on-lungs",
    "tiny-cascade",
    "tiny-ensemble",
    "tiny-findings",
    "tiny-type-on-lungs",
    "tiny-bones",
)


def every_kind(zoo: dict[str, Path], data: Path) -> Settings:
    """Settings for one bundle of each kind, side by side; the cascade is the default."""
    wish = EngineWish("onnxruntime", "auto", 1)
    folders = tuple(zoo[name] for name in SERVED)
    return Settings(folders, data, port=0, wish=wish, default="tiny-cascade")


@contextmanager
def running(settings: Settings) -> Iterator[Box]:
    """Serve in a thread of this process."""
    import uvicorn

    from clinicedge.edge_server.app import create_app
    from clinicedge.edge_server.serving import bind

    app = create_app(settings)
    with bind(settings) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(app, log_level="critical", lifespan="on", http="h11", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            with httpx.Client(base_url=url, timeout=30, trust_env=False) as client:
                yield Box(client, settings.data, url, app.state.server)
        finally:
            server.should_exit = True
            thread.join(30)


@pytest.fixture
def serve() -> Serve:
    """Start a server with settings of one's own."""
    return running


@pytest.fixture
def plain(tiny_bundle: Path, tmp_path: Path) -> Settings:
    """Settings for a fresh folder, any free port, ONNX Runtime with one thread."""
    wish = EngineWish("onnxruntime", "auto", 1)
    return Settings((tiny_bundle,), tmp_path / "cases", port=0, wish=wish)


@pytest.fixture
def box(plain: Settings) -> Iterator[Box]:
    """A server with an empty folder of cases."""
    with running(plain) as found:
        yield found


@pytest.fixture(scope="module")
def shared_box(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One server for tests that do not mind each other's cases."""
    wish = EngineWish("onnxruntime", "auto", 1)
    folder = tmp_path_factory.mktemp("shared") / "cases"
    with running(Settings((tiny_bundle,), folder, port=0, wish=wish)) as found:
        yield found


@pytest.fixture(scope="module")
def zoo_box(zoo: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """One server with a bundle of every kind."""
    with running(every_kind(zoo, tmp_path_factory.mktemp("zoo-cases") / "cases")) as found:
        yield found


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for every page test."""
    if shutil.which(CHROMIUM) is None:
        pytest.skip("needs Debian package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        yield chromium
        chromium.close()
