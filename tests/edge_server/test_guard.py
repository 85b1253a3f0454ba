"""Who may ask, and what every answer carries."""

from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from clinicedge.edge_server.guard import COOKIE
from clinicedge.edge_server.settings import Settings, check, find_token, is_loopback
from clinicedge.runtime.errors import SettingsError

from .conftest import Box, Serve

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", ""])
def test_a_name_that_is_not_this_box_is_refused(shared_box: Box, host: str) -> None:
    answer = shared_box.client.get("/api/v1/cases", headers={"Host": host})
    assert answer.status_code in (400, 403)


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8080"])
def test_this_machines_own_names_pass(shared_box: Box, host: str) -> None:
    assert shared_box.client.get("/healthz", headers={"Host": host}).status_code == 200


def test_pages_of_other_origins_cannot_post(shared_box: Box, film_png: bytes) -> None:
    def post(headers: dict[str, str]) -> int:
        files = {"film": ("f.png", film_png)}
        return shared_box.client.post("/api/v1/cases", files=files, headers=headers).status_code

    assert post({"Origin": "http://evil.example"}) == 403
    assert post({"Origin": "null"}) == 403
    assert post({"Sec-Fetch-Site": "cross-site"}) == 403
    assert post({"Origin": shared_box.url, "Sec-Fetch-Site": "same-origin"}) == 201
    assert post({}) == 201


@pytest.mark.parametrize("path", ["/", "/healthz", "/static/app.js", "/nowhere"])
def test_every_answer_carries_the_security_headers(shared_box: Box, path: str) -> None:
    headers = shared_box.client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] in ("no-store", "no-cache")


def test_answers_about_films_are_not_stored_by_the_browser(
    shared_box: Box, film_png: bytes
) -> None:
    case = shared_box.post(film_png).json()
    for path in filter(None, case["links"].values()):
        assert shared_box.client.get(path).headers["cache-control"] == "no-store"


def test_an_open_server_asks_for_its_token(plain: Settings, serve: Serve, film_png: bytes) -> None:
    with serve(replace(plain, host="0.0.0.0", token=TOKEN)) as box:
        for path in ("/healthz", "/api/v1/cases", "/api/v1/phantoms/normal.png"):
            refused = box.client.get(path)
            assert refused.status_code == 401
            assert refused.json()["type"].endswith("token-needed")
            assert refused.headers["www-authenticate"] == "Bearer"
        assert box.post(film_png).status_code == 401
        assert box.kept() == []
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert box.client.get("/healthz", headers=bearer).status_code == 200
        wrong = {"Authorization": f"Bearer {TOKEN[:-1]}x"}
        assert box.client.get("/healthz", headers=wrong).status_code == 401
        asked = box.client.get("/")
        assert asked.status_code == 401
        assert 'name="token"' in asked.text
        assert box.client.get("/static/style.css").status_code == 200
        # Numbers cannot be pointed here by somebody else's name server.
        assert box.client.get("/healthz", headers={**bearer, "Host": "10.0.0.9"}).is_success
        named = box.client.get("/healthz", headers={**bearer, "Host": "evil.example"})
        assert named.status_code == 403


def test_the_token_in_the_address_becomes_a_cookie(plain: Settings, serve: Serve) -> None:
    with serve(replace(plain, host="0.0.0.0", token=TOKEN)) as box:
        assert box.client.get("/", params={"token": "wrong-wrong-wrong"}).status_code == 401
        answer = box.client.get("/", params={"token": TOKEN})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "samesite=strict" in cookie.lower()
        assert TOKEN not in cookie
        with httpx.Client(base_url=box.url, trust_env=False) as fresh:
            kept = {"Cookie": f"{COOKIE}={box.client.cookies[COOKIE]}"}
            assert fresh.get("/healthz").status_code == 401
            assert fresh.get("/healthz", headers=kept).status_code == 200
            assert fresh.get("/", headers=kept).status_code == 200


def test_an_open_address_demands_a_token(plain: Settings) -> None:
    with pytest.raises(SettingsError, match="token"):
        check(replace(plain, host="0.0.0.0"))
    with pytest.raises(SettingsError, match="at least 16"):
        check(replace(plain, host="0.0.0.0", token="short"))
    check(replace(plain, host="0.0.0.0", token=TOKEN))
    check(plain)


def test_which_addresses_are_this_machine_alone() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.9.9.9", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.5", "box.local")))


def test_where_the_token_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n", encoding="utf-8")
    environ = {"CLINICEDGE_TOKEN": "from-environment"}
    assert find_token("given", file, environ) == "given"
    assert find_token(None, file, environ) == TOKEN
    assert find_token(None, None, environ) == "from-environment"
    assert find_token(None, None, {}) is None
    with pytest.raises(SettingsError, match="token file"):
        find_token(None, tmp_path / "none", environ)
