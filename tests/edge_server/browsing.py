"""A tablet's browser for the tests of the page."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# A busy machine is slow, not wrong.
TIMEOUT_MS = 60_000
TABLET = {"width": 768, "height": 1024}


@dataclass(frozen=True, eq=False)
class Tablet:
    """A page, and what it asked for and complained about."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def text(self, selector: str) -> str:
        return str(self.page.inner_text(selector))

    def choose(self, name: str, data: bytes, media_type: str = "image/png") -> None:
        file = {"name": name, "mimeType": media_type, "buffer": data}
        self.page.set_input_files("#file-input", file)
        self.page.wait_for_selector("#ask:not([hidden])")

    def wait(self, expression: str) -> None:
        """Poll from outside; the page's policy lets nobody evaluate a string inside."""
        for _ in range(TIMEOUT_MS // 50):
            if self.page.evaluate(expression):
                return
            self.page.wait_for_timeout(50)
        pytest.fail(f"never true: {expression}")

    def send(self) -> None:
        self.page.click("#send")
        self.page.wait_for_selector("#result:not([hidden])")

    def check(self, url: str) -> None:
        """The page complained about nothing and asked the box at `url` alone."""
        assert self.complaints == []
        assert self.requests
        own = (f"{url}/", f"blob:{url}/")
        assert [u for u in self.requests if not u.startswith(own)] == []


def watch(tablet: Tablet) -> None:
    tablet.page.set_default_timeout(TIMEOUT_MS)
    tablet.page.on("request", lambda r: tablet.requests.append(r.url))
    tablet.page.on("pageerror", lambda e: tablet.complaints.append(str(e)))
    tablet.page.on(
        "console",
        lambda m: tablet.complaints.append(m.text) if m.type in ("error", "warning") else None,
    )


def share(text: str) -> float:
    """ "83.1%" as 0.831."""
    return float(text.rstrip("% \u00a0").replace(",", ".")) / 100


def assert_fits(page: Any, width: int) -> None:
    for language in ("vi", "en"):
        page.click(f"[data-lang={language}]")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, a, summary, label.button, .chip')]
              .filter((n) => n.offsetParent && n.getBoundingClientRect().height < 44)
              .map((n) => n.outerHTML)"""
        )
        assert small == []
        hidden = page.evaluate(
            """() => [...document.querySelectorAll('.stage *')]
              .filter((n) => n.offsetParent && !n.closest('.visually-hidden'))
              .filter((n) => n.getBoundingClientRect().right >
                document.querySelector('.stage').getBoundingClientRect().right + 1)
              .map((n) => n.outerHTML)"""
        )
        assert hidden == []


@contextmanager
def visiting(browser: Any, url: str, locale: str) -> Iterator[Tablet]:
    """A tablet in portrait on the page at `url`, asked afterwards what it complained about."""
    context = browser.new_context(viewport=TABLET, locale=locale, has_touch=True)
    found = Tablet(context.new_page())
    watch(found)
    found.page.goto(url)
    found.page.wait_for_selector("#thumbs img")
    yield found
    context.close()
    found.check(url)
