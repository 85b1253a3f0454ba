"""Medians of decoding, resizing and scaling; the targets of the project stand beside them.

Films are phantoms, so it runs everywhere. --json prints the numbers alone.
"""

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image

from clinicedge.runtime import phantom
from clinicedge.runtime.film import Film
from clinicedge.runtime.images import decode_film, prepare, resize, scale
from clinicedge.runtime.spec import DicomRules, InputSpec, Scaling


def make_spec(side: int, distinct: bool = False) -> InputSpec:
    scaling = Scaling((0.5,) * 3, (0.5,) * 3)
    if distinct:
        scaling = Scaling((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    return InputSpec(
        "film", side, side, 3, "stretch", "bilinear", None, scaling, DicomRules("file")
    )


def encoded(image: Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


def as_dicom(film: Film) -> bytes | None:
    """Uncompressed 16-bit DICOM with a window; None where pydicom is not installed."""
    try:
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian
    except ImportError:
        return None
    stored = film.pixels.astype(np.uint16) * 16
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", "1.2.3"
    data.Rows, data.Columns = stored.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 12, 11
    data.PixelRepresentation, data.WindowCenter, data.WindowWidth = 0, 2000, 4000
    data.PixelData = stored.tobytes()
    stream = io.BytesIO()
    data.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def jobs() -> dict[str, tuple[Callable[[], object], float | None]]:
    """What is timed, and the target in milliseconds where there is one."""
    film = phantom.draw(phantom.Phantom(seed=3, height=1024, width=1024))
    image = Image.fromarray(film.pixels)
    spec, distinct = make_spec(224), make_spec(224, distinct=True)
    small = resize(film.pixels, spec)
    jpeg = encoded(image, "JPEG")

    def decode_and_resize(data: bytes) -> object:
        return resize(decode_film(data, "film").pixels, spec)

    made: dict[str, tuple[Callable[[], object], float | None]] = {
        "scale 3x224x224, one mean": (partial(scale, small, spec), 0.060),
        "scale 3x224x224, three means": (partial(scale, small, distinct), 0.060),
        "resize 1024x1024 to 224": (partial(resize, film.pixels, spec), None),
        "resize + scale": (partial(prepare, film, spec), None),
        "decode + resize JPEG grey 1024": (partial(decode_and_resize, jpeg), 8.0),
        "decode + resize JPEG RGB 1024": (
            partial(decode_and_resize, encoded(image.convert("RGB"), "JPEG")),
            None,
        ),
        "decode JPEG grey 1024": (partial(decode_film, jpeg, "film"), None),
        "decode PNG grey 1024": (partial(decode_film, encoded(image, "PNG"), "film"), None),
        "draw a phantom 288x384": (partial(phantom.draw, phantom.Phantom()), None),
    }
    if dicom := as_dicom(film):
        made["decode DICOM 12 bit 1024"] = (partial(decode_film, dicom, "film"), None)
    return made


def median_ms(job: Callable[[], object], seconds: float) -> float:
    """Median of runs for about `seconds`, at least 5."""
    job()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        job()
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each row")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = [
        {"what": name, "median_ms": round(median_ms(job, options.seconds), 4), "target_ms": target}
        for name, (job, target) in jobs().items()
    ]
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'what':<34}{'median ms':>10}{'target':>9}")
    for row in rows:
        print(f"{row['what']:<34}{row['median_ms']:>10}{row['target_ms'] or '':>9}")


if __name__ == "__main__":
    main()
