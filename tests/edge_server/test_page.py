"""The page in a real browser: one tablet's visit, and nothing leaves this machine."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clinicedge.edge_server.settings import Settings
from clinicedge.runtime import phantom

from .browsing import TABLET, TIMEOUT_MS, Tablet, assert_fits, share, visiting, watch
from .conftest import Box, Serve


@pytest.fixture
def tablet(browser: Any, box: Box) -> Iterator[Tablet]:
    """An English tablet in portrait, on the page of an empty box."""
    with visiting(browser, box.url, "en-GB") as found:
        yield found


def test_a_film_its_score_and_its_heat_map(tablet: Tablet, box: Box, film_png: bytes) -> None:
    page = tablet.page
    tablet.choose("child.png", film_png)
    page.click("#opinions label:nth-of-type(2)")
    tablet.send()
    (case,) = box.client.get("/api/v1/cases").json()["cases"]
    prediction = case["predictions"][0]
    assert share(tablet.text("#score-value")) == pytest.approx(prediction["score"], abs=6e-4)
    assert share(tablet.text("#threshold-value")) == pytest.approx(
        prediction["threshold"], abs=6e-4
    )
    words = "suspected" if prediction["positive"] else "not suspected"
    assert tablet.text("#verdict-text") == f"Pneumonia {words}"
    assert case["first_opinion"] == "PNEUMONIA"
    assert "your own reading" in tablet.text("#opinion")
    assert tablet.text("#result .caution strong") == (
        "Second opinion, not a diagnosis; not a medical device."
    )
    fill = page.evaluate("document.getElementById('score-fill').offsetWidth")
    track = page.evaluate("document.querySelector('.track').offsetWidth")
    mark = page.evaluate("document.getElementById('score-mark').offsetLeft")
    assert fill / track == pytest.approx(max(prediction["score"], 6 / track), abs=0.01)
    assert mark / track == pytest.approx(prediction["threshold"], abs=0.02)
    tablet.wait("document.getElementById('film').naturalWidth === 192")

    assert not any("explanation" in url for url in tablet.requests)
    page.click("#heat-switch")
    tablet.wait("document.getElementById('heat').naturalWidth > 0")
    assert page.get_attribute("#heat-switch", "aria-checked") == "true"
    boxes = [page.locator(i).bounding_box() for i in ("#film", "#heat")]
    assert boxes[0] == boxes[1]
    page.fill("#heat-fade", "20")
    assert page.evaluate("getComputedStyle(document.getElementById('heat')).opacity") == "0.2"
    page.click("#heat-switch")
    assert not page.is_visible("#heat")
    asked = sum("explanation" in url for url in tablet.requests)
    page.click("#heat-switch")
    assert page.is_visible("#heat")
    assert sum("explanation" in url for url in tablet.requests) == asked

    page.click("#details summary")
    facts = tablet.text("#facts")
    for told in ("artifact", "artifact_sha256", "bundle_id"):
        assert prediction["report"][told] in facts
    assert prediction["report"]["session"]["engine_version"] in facts


def test_both_languages_and_the_choice_is_remembered(tablet: Tablet, film_png: bytes) -> None:
    page = tablet.page
    tablet.choose("child.png", film_png)
    tablet.send()
    page.click("[data-lang=vi]")
    assert page.get_attribute("html", "lang") == "vi"
    assert "nghi ngờ viêm phổi" in tablet.text("#verdict-text").lower()
    caution = tablet.text("#result .caution")
    assert "không phải chẩn đoán; không phải thiết bị y tế" in caution
    assert "not a diagnosis; not a medical device" in caution
    page.reload()
    page.wait_for_selector("#result:not([hidden])")
    assert page.get_attribute("html", "lang") == "vi"
    assert tablet.text("#recent-title").startswith("Các ca gần đây")
    page.click("[data-lang=en]")
    assert tablet.text("#recent-title").startswith("Latest cases")


def test_garbage_gets_a_friendly_message_and_the_next_film_an_answer(
    tablet: Tablet, box: Box, film_png: bytes
) -> None:
    page = tablet.page
    tablet.choose("letter.png", b"Dear colleague")
    page.click("#send")
    page.wait_for_selector("#error:not([hidden])")
    assert tablet.text("#error-title") == "This file is not a film"
    assert "letter.png" in tablet.text("#error-detail")
    # The browser itself notes every refused request; the page has nothing to add.
    assert all("status of 415" in c for c in tablet.complaints)
    tablet.complaints.clear()
    page.click("[data-lang=vi]")
    tablet.choose("film.png", film_png)
    assert not page.is_visible("#error")
    tablet.send()
    assert box.client.get("/api/v1/cases").json()["total"] == 1


def test_phantoms_old_cases_and_the_way_back(tablet: Tablet, box: Box) -> None:
    page = tablet.page
    page.click("#thumbs li:nth-child(2) button")
    page.wait_for_selector("#ask:not([hidden])")
    tablet.send()
    page.click("#result [data-new]")
    assert page.is_visible("#choose")
    page.click("#cases a")
    page.wait_for_selector("#result:not([hidden])")
    (case,) = box.client.get("/api/v1/cases").json()["cases"]
    assert page.url.endswith(f"#case={case['id']}")
    assert case["film"]["name"].startswith("phantom-")
    page.go_back()
    page.wait_for_selector("#choose:not([hidden])")


def test_a_dicom_file_is_accepted_without_a_preview(tablet: Tablet, film_png: bytes) -> None:
    tablet.choose("film.dcm", film_png, "application/dicom")
    assert tablet.page.is_visible("#no-preview")
    tablet.send()
    tablet.wait("document.getElementById('film').naturalWidth === 192")


@pytest.mark.parametrize("size", [(768, 1024), (1180, 820), (360, 740), (1440, 900)])
def test_everything_can_be_touched_and_nothing_sticks_out(
    tablet: Tablet, size: tuple[int, int]
) -> None:
    page = tablet.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    assert_fits(page, size[0])
    page.click("#thumbs li:nth-child(1) button")
    page.wait_for_selector("#ask:not([hidden])")
    assert_fits(page, size[0])
    tablet.send()
    assert_fits(page, size[0])


def test_the_keyboard_reaches_the_answer(tablet: Tablet) -> None:
    page = tablet.page
    page.focus("#thumbs li:nth-child(3) button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#ask:not([hidden])")
    page.focus("#opinions input")
    page.keyboard.press("Space")
    assert page.is_checked("#opinions input >> nth=0")
    page.focus("#send")
    page.keyboard.press("Enter")
    page.wait_for_selector("#result:not([hidden])")
    assert page.evaluate("document.activeElement.id") == "verdict-text"
    assert tablet.text("#live") or page.text_content("#live")


def test_a_film_over_the_limit_is_not_even_sent(
    browser: Any, plain: Settings, serve: Serve
) -> None:
    with serve(replace(plain, max_upload_bytes=10_000)) as box:
        context = browser.new_context(viewport=TABLET, locale="en-GB")
        found = Tablet(context.new_page())
        watch(found)
        found.page.goto(box.url)
        found.page.wait_for_selector("#thumbs img")
        file = {"name": "big.png", "mimeType": "image/png", "buffer": bytes(20_000)}
        found.page.set_input_files("#file-input", file)
        found.page.wait_for_selector("#error:not([hidden])")
        assert found.text("#error-title") == "The file is too large"
        assert found.complaints == []
        context.close()


def test_a_tablet_with_the_token_stays_in(browser: Any, plain: Settings, serve: Serve) -> None:
    token = "0123456789abcdef"
    with serve(replace(plain, token=token)) as box:
        context = browser.new_context(viewport=TABLET, locale="vi-VN")
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(box.url)
        page.fill("#token", token)
        page.click("button[type=submit]")
        page.wait_for_selector("#thumbs img")
        assert token not in page.url
        assert page.get_attribute("html", "lang") == "vi"
        page.click("#thumbs li:nth-child(1) button")
        page.wait_for_selector("#ask:not([hidden])")
        page.click("#send")
        page.wait_for_selector("#result:not([hidden])")
        context.close()


def test_the_page_names_no_other_place() -> None:
    from clinicedge import edge_server

    web = Path(str(edge_server.__file__)).parent / "web"
    for file in sorted(web.iterdir()):
        text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, file.name
        assert "style=" not in text, file.name
        assert "onclick" not in text, file.name


def test_both_languages_have_every_text() -> None:
    import json
    import re

    from clinicedge import edge_server

    web = Path(str(edge_server.__file__)).parent / "web"
    texts = {n: json.loads((web / f"{n}.json").read_text(encoding="utf-8")) for n in ("en", "vi")}
    assert set(texts["en"]) == set(texts["vi"])
    for key, english in texts["en"].items():
        named = set(re.findall(r"\{(\w+)\}", english))
        assert {n.lower() for n in re.findall(r"\{(\w+)\}", texts["vi"][key])} == {
            n.lower() for n in named
        }, key
    used = set(re.findall(r'data-i18n(?:-label)?="([^"]+)"', (web / "index.html").read_text()))
    assert used <= set(texts["en"])
    missing = [k for k, _ in phantom.gallery() if f"phantom.{k}" not in texts["en"]]
    assert missing == []
