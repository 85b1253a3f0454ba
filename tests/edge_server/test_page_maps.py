"""Two heat maps beside each other on the page, and what the clinician thinks of one."""

from collections.abc import Iterator
from typing import Any

import pytest

from .browsing import TABLET, Tablet, assert_fits, visiting
from .conftest import Box


@pytest.fixture
def tablet(browser: Any, box: Box) -> Iterator[Tablet]:
    """A Vietnamese tablet in portrait."""
    with visiting(browser, box.url, "vi-VN") as found:
        yield found


def test_two_maps_a_sentence_each_and_a_rating(tablet: Tablet, box: Box, film_png: bytes) -> None:
    page = tablet.page
    tablet.choose("child.png", film_png)
    tablet.send()
    assert not any("explanation" in url for url in tablet.requests)
    page.click("#maps summary")
    page.wait_for_selector(".map-column:nth-of-type(2) .rating button")
    tablet.wait("[...document.querySelectorAll('.map-column img')].every((i) => i.naturalWidth)")
    chosen = page.eval_on_selector_all(".map-column select", "(all) => all.map((s) => s.value)")
    assert chosen == ["grad-cam", "eigen-cam"], "the demo's own method comes first"
    sentences = page.locator(".map-sentence").all_inner_texts()
    assert all(sentences)
    assert any(word in sentences[0] for word in ("phổi", "phẳng"))
    assert "Saporta" in tablet.text("#maps-caution")
    page.select_option(".map-column:nth-of-type(2) select", "grad-cam++")
    page.wait_for_selector(".map-column:nth-of-type(2) .rating button")
    page.click(".map-column:nth-of-type(2) .rating button:nth-of-type(3)")
    page.wait_for_selector(".map-column:nth-of-type(2) .rating button[aria-pressed=true]")
    told = box.client.get("/api/v1/ratings").json()
    assert told["counts"] == {"grad-cam++": {"helpful": 0, "misleading": 0, "wrong-place": 1}}
    assert_fits(page, TABLET["width"])
    page.click("[data-lang=en]")
    assert "zone" in tablet.text("#map-pair") or "flat" in tablet.text("#map-pair")
