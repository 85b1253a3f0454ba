"""Take the README's picture of the page: a tablet in landscape, a phantom film, the heat map.

Where the bundle looks at the lungs alone, with the frame of what it looked at.

    python docs/screenshot.py [BUNDLE]

Needs Debian's package chromium. The film is drawn by the project; no patient's film gets here.
"""

import io
import sys
import tempfile
from pathlib import Path
from subprocess import PIPE, Popen

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from clinicedge.runtime import CAUTION
from clinicedge.runtime.files import write_atomic

TARGET = Path(__file__).parent / "images" / "page.png"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
MAX_BYTES = 300_000
# Of the gallery; opened with its heat map.
LAST = 4


def visit(page: Page, address: str) -> bytes:
    """Three phantoms answered, the last one open with its heat map; PNG."""
    page.goto(address)
    for number, opinion in ((1, 1), (2, 2), (LAST, 2)):
        page.click(f"#thumbs li:nth-child({number}) button")
        page.wait_for_selector("#ask:not([hidden])")
        page.click(f"#opinions label:nth-of-type({opinion})")
        page.click("#send")
        page.wait_for_selector("#result:not([hidden])")
        if number != LAST:
            page.click("#result [data-new]")
    for layer in ("crop", "heat"):
        if page.is_visible(f"#{layer}-switch"):
            page.click(f"#{layer}-switch")
    page.wait_for_selector("#heat:not([hidden])")
    page.fill("#heat-fade", "45")
    page.wait_for_load_state("networkidle")
    return page.screenshot()


def smaller(data: bytes) -> bytes:
    """In full colour where that fits, else with 256 dithered colours."""
    image = Image.open(io.BytesIO(data)).convert("RGB")
    for tried in (image, image.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)):
        stream = io.BytesIO()
        tried.save(stream, "PNG", optimize=True)
        if stream.tell() <= MAX_BYTES:
            break
    return stream.getvalue()


def main() -> None:
    demo = next(Path("demo").glob("*/bundle.json")).parent
    bundle = sys.argv[1] if len(sys.argv) > 1 else str(demo)
    code = "from clinicedge.cli import main; main()"
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-c", code, "serve", bundle, "--port", "0", "--data", folder]
        with Popen(words, stdout=PIPE, text=True) as server:
            try:
                lines = iter(server.stdout or ())
                address = next(lines).split()[1]
                next(line for line in lines if CAUTION in line)
                with sync_playwright() as playwright:
                    browser = playwright.chromium.launch(
                        executable_path=CHROMIUM, args=[*ARGUMENTS]
                    )
                    size = {"width": 1180, "height": 820}
                    shown = browser.new_context(viewport=size, locale="en-GB").new_page()  # type: ignore[arg-type]
                    picture = smaller(visit(shown, address))
                    browser.close()
            finally:
                server.terminate()
    if len(picture) > MAX_BYTES:
        sys.exit(f"the picture has {len(picture)} bytes, more than {MAX_BYTES}")
    write_atomic(TARGET, picture)
    print(f"{TARGET}: {len(picture)} bytes")


if __name__ == "__main__":
    main()
