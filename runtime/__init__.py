"""The device side: a bundle and a film in, a prediction out.

    from clinicedge.runtime import load, read_film
    predictor = load("bundles/mobilenet-0.5-160-on-lungs").predictor()
    print(predictor.predict(read_film(Path("film.png"))))

Needs numpy, Pillow and one engine; never torch or tensorflow.
"""

from .bundle import Bundle, load
from .engines import open_session
from .film import Film, FilmSource
from .images import decode_film, read_film
from .predictions import (
    CAUTION,
    CascadeResult,
    Classification,
    Detections,
    Explanation,
    Findings,
    Prediction,
    Segmentation,
)
from .predictor import Predictor
from .session import Session, SessionOptions

__all__ = [
    "CAUTION",
    "Bundle",
    "CascadeResult",
    "Classification",
    "Detections",
    "Explanation",
    "Film",
    "FilmSource",
    "Findings",
    "Prediction",
    "Predictor",
    "Segmentation",
    "Session",
    "SessionOptions",
    "decode_film",
    "load",
    "open_session",
    "read_film",
]
