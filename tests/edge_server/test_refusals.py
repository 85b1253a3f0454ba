"""Everything bad is a problem document, nothing of it is kept, and the server goes on."""

import io
import shutil
import struct
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from clinicedge.edge_server import latest_films, problems
from clinicedge.edge_server.app import create_app
from clinicedge.edge_server.settings import Settings
from clinicedge.runtime import errors

from .conftest import Box, Serve


def encoded(pixels: object, form: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.asarray(pixels, np.uint8)).save(stream, form)
    return stream.getvalue()


def bomb() -> bytes:
    """A PNG that announces 20,000 x 20,000 pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0))
    rest = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + rest


def noise(*shape: int) -> bytes:
    return encoded(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8), "JPEG")


def colourful() -> bytes:
    hues = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return encoded(np.kron(hues, np.ones((16, 16, 1), np.uint8)), "PNG")


def check_problem(answer: httpx.Response, status: int, slug: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == problems.MEDIA_TYPE
    told = answer.json()
    assert told["type"] == f"urn:clinicedge:problem:{slug}"
    assert told["status"] == status
    assert told["title"]
    assert told["detail"]
    assert told["instance"] == answer.request.url.path
    return str(told["detail"])


BAD_FILMS = {
    "not an image": (b"this is no film at all", 415, "not-a-film"),
    "empty": (b"", 415, "not-a-film"),
    "a PDF": (b"%PDF-1.7 ...", 415, "not-a-film"),
    "truncated JPEG": (noise(128, 128)[:-2000], 422, "damaged-film"),
    "truncated PNG": (encoded(np.zeros((64, 64)), "PNG")[:-20], 422, "damaged-film"),
    "DICOM without pixels": (bytes(128) + b"DICM" + b"junk" * 8, 415, "not-a-film"),
    "colour": (colourful(), 422, "colour-photograph"),
    "one pixel": (encoded([[7]], "PNG"), 422, "film-size"),
    "pixel bomb": (bomb(), 422, "film-size"),
}


@pytest.mark.parametrize("name", BAD_FILMS)
def test_a_bad_film_is_refused_and_leaves_nothing(shared_box: Box, name: str) -> None:
    data, status, slug = BAD_FILMS[name]
    before = shared_box.kept()
    total = shared_box.client.get("/api/v1/cases").json()["total"]
    detail = check_problem(shared_box.post(data, "bad.png"), status, slug)
    assert "bad.png" in detail
    assert shared_box.kept() == before
    assert shared_box.client.get("/api/v1/cases").json()["total"] == total
    assert shared_box.client.get("/healthz").status_code == 200


@pytest.mark.reference_data
def test_bad_dicom_files_are_refused(shared_box: Box, data_root: Path) -> None:
    before = shared_box.kept()
    for name in ("MR_truncated.dcm", "MR_small.dcm", "rtplan_truncated.dcm", "test-SR.dcm"):
        answer = shared_box.post((data_root / "dicom" / name).read_bytes(), name)
        assert 400 <= answer.status_code < 500, name
        assert answer.headers["content-type"] == problems.MEDIA_TYPE
    assert shared_box.kept() == before


def test_an_unknown_opinion_is_refused(shared_box: Box, film_png: bytes) -> None:
    before = shared_box.kept()
    answer = shared_box.post(film_png, first_opinion="maybe")
    detail = check_problem(answer, 422, "unknown-opinion")
    assert "unsure" in detail
    assert shared_box.kept() == before


def test_requests_that_do_not_fit(shared_box: Box, film_png: bytes) -> None:
    client = shared_box.client
    post = "/api/v1/cases"
    check_problem(client.post(post), 422, "invalid-request")
    check_problem(client.post(post, data={"film": "text"}), 422, "invalid-request")
    check_problem(client.post(post, files={"photo": film_png}), 422, "invalid-request")
    kind = {"content-type": "multipart/form-data"}
    check_problem(client.post(post, content=b"x", headers=kind), 400, "bad-request")
    check_problem(client.get("/api/v1/cases?limit=0"), 422, "invalid-request")
    check_problem(client.get("/api/v1/cases?limit=many"), 422, "invalid-request")
    check_problem(client.get("/api/v1/cases/none"), 404, "not-found")
    check_problem(client.get("/api/v1/cases/none/image"), 404, "not-found")
    check_problem(client.get("/nowhere"), 404, "not-found")
    check_problem(client.get("/static/../app.py"), 404, "not-found")
    check_problem(client.get("/static/%2e%2e%2fapp.py"), 404, "not-found")
    check_problem(client.delete(post), 405, "method-not-allowed")


def test_an_upload_over_the_limit_is_refused_while_it_streams(
    plain: Settings, serve: Serve, film_png: bytes
) -> None:
    with serve(replace(plain, max_upload_bytes=100_000)) as box:
        check_problem(box.post(bytes(150_000)), 413, "too-large")
        check_problem(box.post(bytes(2_000_000)), 413, "too-large")

        def chunks() -> Iterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="film"; filename="f"\r\n\r\n'
            for _ in range(15):
                yield bytes(10_000)
            yield b"\r\n--b--\r\n"

        kind = {"content-type": "multipart/form-data; boundary=b"}
        answer = box.client.post("/api/v1/cases", content=chunks(), headers=kind)
        check_problem(answer, 413, "too-large")
        assert box.kept() == []
        assert box.post(film_png).status_code == 201


def test_a_full_queue_says_when_to_come_back(
    plain: Settings, serve: Serve, film_png: bytes
) -> None:
    with serve(replace(plain, queue=1)) as box, ThreadPoolExecutor(1) as pool:
        with box.server.desk.registry.models[0].turns.soon():
            first = pool.submit(box.post, film_png)
            while not list((box.data / "incoming").iterdir()):
                threading.Event().wait(0.01)
            refused = box.post(film_png)
            check_problem(refused, 503, "busy")
            assert int(refused.headers["retry-after"]) > 0
            assert box.client.get("/healthz").status_code == 200
        assert first.result().status_code == 201
        assert box.client.get("/api/v1/cases").json()["total"] == 1


def test_a_disk_that_refuses_is_told_and_nothing_is_kept(box: Box, film_png: bytes) -> None:
    (box.data / "incoming").rmdir()
    check_problem(box.post(film_png), 507, "storage")
    (box.data / "incoming").mkdir()
    (box.data / "films").write_bytes(b"a file where the folder should be")
    check_problem(box.post(film_png), 507, "storage")
    (box.data / "films").unlink()
    assert box.client.get("/api/v1/cases").json()["total"] == 0
    assert box.kept() == []
    assert box.post(film_png).status_code == 201


def test_a_film_that_vanished_is_a_problem_not_a_crash(box: Box, film_png: bytes) -> None:
    case = box.post(film_png).json()
    (box.data / case["film"]["file"]).unlink()
    for _ in range(latest_films.MAX_FILMS):
        box.post(film_png)
    check_problem(box.client.get(case["links"]["image"]), 500, "failed")
    assert box.client.get(case["links"]["self"]).status_code == 200


def test_a_case_of_another_model_has_no_map(plain: Settings, serve: Serve, film_png: bytes) -> None:
    with serve(plain) as box:
        case = box.post(film_png).json()
    other = replace(plain, wish=replace(plain.wish, engine="litert"))
    with serve(other) as box:
        assert box.client.get(case["links"]["self"]).json() == case
        assert box.client.get(case["links"]["image"]).status_code == 200
        detail = check_problem(
            box.client.get(case["links"]["explanation"]), 409, "not-in-the-model"
        )
        assert case["predictions"][0]["report"]["artifact"] in detail


def test_a_changed_artifact_byte_stops_the_start(plain: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    shutil.copytree(plain.bundles[0], folder)
    (file,) = [p for p in folder.rglob("*.onnx") if p.is_file()][:1]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(errors.IntegrityError, match="sha256"):
        create_app(replace(plain, bundles=(folder,)))
    assert not plain.data.exists(), "nothing is made for a bundle that cannot be served"


def test_what_cannot_be_served_is_refused_at_the_start(plain: Settings, tmp_path: Path) -> None:
    with pytest.raises(errors.SchemaError, match="no bundle"):
        create_app(replace(plain, bundles=(tmp_path,)))
    with pytest.raises(errors.EngineMissingError):
        create_app(replace(plain, wish=replace(plain.wish, engine="abacus")))
    with pytest.raises(errors.SettingsError, match="one name"):
        create_app(replace(plain, bundles=plain.bundles * 2))
    with pytest.raises(errors.NotAFilmError):
        create_app(replace(plain, film=tmp_path / "none.png"))
    in_the_way = tmp_path / "file"
    in_the_way.write_bytes(b"")
    with pytest.raises(errors.OutputError, match="--data"):
        create_app(replace(plain, data=in_the_way / "cases"))


def test_every_error_has_a_kind() -> None:
    assert problems.kind_of(errors.SchemaError("x")).status == 500
    assert problems.kind_of(errors.FilmError("x")).status == 415
    assert problems.kind_of(errors.StoreError("x")).status == 500
