"""The page in a real browser with every kind of model: what a clinician sees of each answer."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .browsing import TABLET, Tablet, assert_fits, share, watch
from .conftest import Box, every_kind, running


@pytest.fixture(scope="module")
def kinds_box(zoo: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with running(every_kind(zoo, tmp_path_factory.mktemp("kinds") / "cases")) as found:
        yield found


@pytest.fixture
def tablet(browser: Any, kinds_box: Box) -> Iterator[Tablet]:
    """An English tablet; it complains about nothing and asks this machine alone."""
    context = browser.new_context(viewport=TABLET, locale="en-GB", has_touch=True)
    found = Tablet(context.new_page())
    watch(found)
    found.page.goto(kinds_box.url)
    found.page.wait_for_selector("#thumbs img")
    yield found
    context.close()
    found.check(kinds_box.url)


def latest(box: Box) -> dict[str, Any]:
    case: dict[str, Any] = box.client.get("/api/v1/cases?limit=1").json()["cases"][0]
    return case


def ask(tablet: Tablet, film: bytes, model: str) -> None:
    tablet.choose("film.png", film)
    tablet.page.select_option("#model", model)


def test_a_cascade_and_a_reading_that_differs(
    tablet: Tablet, kinds_box: Box, film_png: bytes
) -> None:
    page = tablet.page
    tablet.choose("film.png", film_png)
    assert page.input_value("#model") == "tiny-cascade"
    assert "chest" in tablet.text("#model option:checked")
    page.click("#opinions label:nth-of-type(1)")
    page.click("#findings-seen label:nth-of-type(2)")
    page.click("#findings-seen label:nth-of-type(1)")
    assert tablet.text("#findings-main") == "Main finding: viral pneumonia"
    page.click("#symptoms label:nth-of-type(1)")
    page.click("#symptoms label:nth-of-type(3)")
    page.click("[data-lang=vi]")
    assert "khó thở" in tablet.text("#symptoms").lower()
    assert page.is_checked("#symptoms input >> nth=2"), "another language forgets nothing"
    page.click("[data-lang=en]")
    tablet.send()

    case = latest(kinds_box)
    assert case["first_opinion"] == "NORMAL"
    assert case["first_findings"] == ["VIRUS", "BACTERIA"]
    assert case["symptoms"] == ["fever", "shortness-of-breath"]
    first, second = (case["predictions"][0][k] for k in ("first", "second"))
    assert tablet.text("#verdict-text") == "Pneumonia suspected"
    assert share(tablet.text("#score-value")) == pytest.approx(first["score"], abs=6e-4)
    assert "clearly" in tablet.text("#discrepancy-title")
    assert "You say normal, the model pneumonia" in tablet.text("#discrepancy-reasons")
    assert not page.is_visible("#opinion"), "said once is enough"
    assert tablet.text("#leading") == "Leading suspicion: bacterial pneumonia"
    told = [share(t) for t in page.locator("#probability-list dd").all_inner_texts()]
    assert told == pytest.approx(list(first["probabilities"].values()), abs=6e-4)
    top = page.locator("#top-findings li").all_inner_texts()
    assert len(top) == sum(f["positive"] for f in second["findings"]) == 1
    assert top[0].startswith("Bacterial pneumonia")
    page.click("#all-findings summary")
    every = page.locator("#finding-list li").all_inner_texts()
    assert [e.split("\n")[0] for e in every] == ["Bacterial pneumonia", "Viral pneumonia"]
    assert all("threshold 50.0%" in e for e in every)
    page.click("#details summary")
    facts = tablet.text("#facts")
    for told_there in ("fever, shortness of breath", "viral pneumonia", "second/classifier"):
        assert told_there in facts


def test_below_the_threshold_the_second_model_is_not_asked(tablet: Tablet, dark_png: bytes) -> None:
    tablet.choose("dark.png", dark_png)
    tablet.send()
    assert tablet.text("#verdict-text") == "Pneumonia not suspected"
    assert "was not asked" in tablet.text("#no-findings")
    assert not tablet.page.is_visible("#all-findings")
    assert not tablet.page.is_visible("#discrepancy")


def test_the_frame_of_what_was_looked_at(tablet: Tablet, kinds_box: Box, film_png: bytes) -> None:
    page = tablet.page
    ask(tablet, film_png, "tiny-on-lungs")
    assert not page.is_visible("#ask-symptoms")
    tablet.send()
    assert not page.is_visible("#mark-crop rect")
    page.click("#crop-switch")
    assert "outside the dashed frame" in tablet.text("#heat-note")
    frame = page.locator("#mark-crop rect").bounding_box()
    film = page.locator("#film").bounding_box()
    box = latest(kinds_box)["predictions"][0]["crop"]
    scale = film["width"] / 192
    assert frame["x"] - film["x"] == pytest.approx(box["x0"] * scale, abs=3)
    assert frame["width"] == pytest.approx((box["x1"] - box["x0"]) * scale, abs=6)
    assert frame["height"] == pytest.approx((box["y1"] - box["y0"]) * scale, abs=6)
    page.click("#heat-switch")
    tablet.wait("document.getElementById('heat').naturalWidth > 0")
    page.click("#crop-switch")
    assert not page.is_visible("#mark-crop rect")
    assert page.is_visible("#heat")


def test_outlines_probability_and_lesions(tablet: Tablet, kinds_box: Box, bone_png: bytes) -> None:
    page = tablet.page
    ask(tablet, bone_png, "tiny-bones")
    assert "limbs, outlines" in tablet.text("#model option:checked")
    page.click("#opinions label:nth-of-type(1)")
    tablet.send()
    assert tablet.text("#verdict-text") == "Marked: bone tumour"
    score = latest(kinds_box)["predictions"][0]["score"]
    assert share(tablet.text("#score-value")) == pytest.approx(score, abs=6e-4)
    tablet.wait("document.querySelectorAll('#mark-clean path').length === 2")
    assert page.get_attribute("#clean-switch", "aria-checked") == "true"
    assert not page.is_visible("#mark-raw path >> nth=0")
    lesions = page.locator("#lesion-list li").all_inner_texts()
    assert lesions[0].startswith("Lower right of the picture")
    assert lesions[1].startswith("Upper left of the picture")
    assert all("pixels, the film tells no scale" in text for text in lesions)

    drawn = page.locator("#mark-clean path").first.bounding_box()
    film = page.locator("#film").bounding_box()
    scale = film["width"] / 300
    assert drawn["x"] - film["x"] == pytest.approx(210 * scale, abs=12)
    assert drawn["y"] - film["y"] == pytest.approx(120 * scale, abs=12)

    page.click("#raw-switch")
    assert page.locator("#mark-raw path").count() == 3
    assert page.is_visible("#mark-raw path >> nth=0")
    page.click("#heat-switch")
    tablet.wait("document.getElementById('heat').naturalWidth > 0")
    assert tablet.text("#heat-name") == "Probability"
    page.fill("#heat-fade", "0")
    for node in ("heat", "mark-raw", "mark-clean"):
        shown = f"getComputedStyle(document.getElementById('{node}')).opacity"
        assert page.evaluate(shown) == "0"
    page.click("[data-lang=vi]")
    assert tablet.text("#heat-name") == "Xác suất"
    assert "Phía dưới bên phải" in tablet.text("#lesion-list")
    assert_fits(page, TABLET["width"])


def test_findings_alone_and_an_ensemble(tablet: Tablet, film_png: bytes) -> None:
    page = tablet.page
    ask(tablet, film_png, "tiny-findings")
    assert not page.is_visible("#ask-opinion")
    page.click("#findings-seen label:nth-of-type(4)")
    page.click("#findings-seen label:nth-of-type(1)")
    assert not page.is_checked("#findings-seen input >> nth=3"), "none of these stands alone"
    tablet.send()
    assert tablet.text("#verdict-text") == "Pneumonia suspected"
    assert not page.is_visible("#score")
    assert page.locator("#finding-list li").count() == 3
    page.click("#result [data-new]")
    ask(tablet, film_png, "tiny-ensemble")
    tablet.send()
    assert page.is_visible("#score")
    assert not page.is_visible("#findings")
    assert tablet.text("#answered-by") == "tiny-ensemble"
    page.click("#details summary")
    assert "tiny-b 1.0.0" in tablet.text("#facts")


def test_no_lungs_no_score_and_the_reason(tablet: Tablet, kinds_box: Box, black_png: bytes) -> None:
    page = tablet.page
    tablet.choose("black.png", black_png)
    tablet.send()
    assert tablet.text("#verdict-text") == "No score for this film"
    assert "No lungs were found" in tablet.text("#verdict-sub")
    for part in ("#score", "#near", "#controls", "#findings", "#probabilities", "#discrepancy"):
        assert not page.is_visible(part), part
    assert page.is_visible("#film")
    page.click("[data-lang=vi]")
    assert "Không tìm thấy phổi" in tablet.text("#verdict-sub")
    assert "ý kiến thứ hai" in tablet.text("#result .caution").lower()
    page.click("#details summary")
    reason = latest(kinds_box)["predictions"][0]["reason"]
    assert reason in tablet.text("#facts")
    pills = page.locator("#cases .pill").all_inner_texts()
    assert pills[0] == "\u2013"


@pytest.mark.parametrize("size", [(360, 740), (1180, 820)])
def test_every_kind_fits_the_screen(
    tablet: Tablet, film_png: bytes, bone_png: bytes, size: tuple[int, int]
) -> None:
    page = tablet.page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for model, film in (("tiny-cascade", film_png), ("tiny-bones", bone_png)):
        ask(tablet, film, model)
        assert_fits(page, size[0])
        tablet.send()
        for name in ("crop", "raw"):
            if page.is_visible(f"#{name}-switch"):
                page.click(f"#{name}-switch")
        assert_fits(page, size[0])
        page.click("#result [data-new]")


def test_every_label_and_place_has_its_words() -> None:
    import json

    from clinicedge import edge_server
    from clinicedge.edge_server.readings import SYMPTOMS

    web = Path(str(edge_server.__file__)).parent / "web"
    texts = json.loads((web / "en.json").read_text(encoding="utf-8"))
    places = [f"place.{v}-{h}" for v in ("upper", "middle", "lower")
              for h in ("left", "centre", "right")]  # fmt: skip
    kinds = [f"model.{k}" for k in ("classification", "findings", "segmentation", "cascade")]
    labels = ["BACTERIA", "VIRUS", "TUMOUR", "LUNG", "Bronchitis", "Broncho-pneumonia",
              "Other disease", "Bronchiolitis", "Pneumonia", "none", "unsure"]  # fmt: skip
    wanted = [*places, *kinds, *(f"label.{n}" for n in labels), *(f"symptom.{s}" for s in SYMPTOMS)]
    assert [w for w in wanted if w not in texts] == []
    codes = ("contrary-opinion", "different-main-finding", "findings-disagree", "warning", "notice")
    assert [c for c in codes if f"discrepancy.{c}" not in texts] == []
