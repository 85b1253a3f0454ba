"""What the page offers to somebody without a film at hand: phantoms, and the film of --film."""

import io
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..runtime import phantom
from ..runtime.errors import UnknownCaseError
from ..runtime.film import Film
from ..runtime.images import decode_film, read_bytes
from ..runtime.spec import Voi

_PREVIEW_SIDE = 480


@dataclass(frozen=True)
class OwnFilm:
    """The film that the server was started with: its bytes, and a small PNG to show."""

    name: str
    data: bytes
    preview: bytes


def read_own(path: Path, voi: Voi) -> OwnFilm:
    """Read the film of --film; `voi` is the grey range that the model's DICOM rules name.

    Raises:
        FilmError: it is none, or cannot be read.
    """
    data = read_bytes(path)
    return OwnFilm(path.name, data, _small(decode_film(data, path.name, voi)))


def _small(film: Film) -> bytes:
    from PIL import Image

    image = Image.fromarray(film.pixels)
    image.thumbnail((_PREVIEW_SIDE, _PREVIEW_SIDE))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


class Phantoms:
    """The gallery; each film is drawn when it is first asked for."""

    def __init__(self) -> None:
        self._drawn: dict[str, bytes] = {}
        self._turn = threading.Lock()

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """In the gallery's order."""
        return tuple(key for key, _ in phantom.gallery())

    def png(self, key: str) -> bytes:
        """One phantom as PNG.

        Raises:
            UnknownCaseError: no such phantom.
        """
        if key not in self.keys:
            raise UnknownCaseError(
                f"no phantom film '{key[:40]}'; there are {', '.join(self.keys)}."
            )
        with self._turn:
            if key not in self._drawn:
                drawn = phantom.draw(dict(phantom.gallery())[key])
                self._drawn[key] = phantom.encode_png(drawn)
            return self._drawn[key]
