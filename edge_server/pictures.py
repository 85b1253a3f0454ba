"""What is drawn of a case when somebody asks: the film and its mask; heat maps stand in `heat`."""

import io
import json
from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..runtime.drawing import outline_overlay
from ..runtime.errors import ArtifactError
from ..runtime.film import Film
from ..runtime.images import decode_film
from ..runtime.predictions import Segmentation
from . import raw_masks
from .latest_films import LatestFilms
from .models_registry import Registry
from .records import Case
from .served import Served
from .store import Store

MaskForm = Literal["json", "mask", "raw", "alpha", "overlay"]
# A heat map has a few dozen values; a layer of this many pixels a side shows every one.
_LAYER_SIDE = 512
_MASK_COLOUR = (64, 224, 208)


class Pictures:
    """Draws what was answered. Any thread may call any method."""

    def __init__(self, store: Store, registry: Registry, films: LatestFilms) -> None:
        self._store = store
        self._registry = registry
        self._films = films

    def image(self, case: Case) -> bytes:
        """The film as read, PNG, 8 bit grey."""
        return self.remembered(case, "film.png", lambda: png(self.film(case).pixels))

    def segmentation(self, case: Case, form: MaskForm) -> bytes:
        """The mask of the case's first prediction.

        Args:
            form: "json" the prediction as it was answered, with its outlines; "mask" and "raw" a
                PNG of the film's size, 255 inside, cleaned and as the network drew it; "alpha" a
                PNG layer as of an explanation; "overlay" the film with the outlines on it.

        Raises:
            ArtifactError: there is no mask, or the artifact that answered is not served.
        """
        if case.answer["kind"] != "segmentation":
            raise ArtifactError(
                f"case {case.number} was answered with a {case.answer['kind']}, which has no "
                "outlines. Send the film to a model that segments."
            )
        if form == "json":
            return json.dumps(raw_masks.told(case.answer), ensure_ascii=False).encode("utf-8")
        if form == "alpha":
            return self.remembered(case, _mask_name(case, form), lambda: self._layer(case))
        return self.remembered(case, _mask_name(case, form), lambda: self._masks(case)[form])

    def _masks(self, case: Case) -> dict[MaskForm, bytes]:
        """One more run of the network gives all of them, so all are kept."""
        film = self.film(case)
        found = self.answered(case).predict(film)
        if not isinstance(found, Segmentation):
            raise ArtifactError(f"'{found.report.model}' gives no mask any more; serve its bundle.")
        drawn: dict[MaskForm, bytes] = {
            "mask": png(found.mask.astype(np.uint8) * 255),
            "raw": png(found.raw.astype(np.uint8) * 255),
            "overlay": png(outline_overlay(film, found)),
        }
        for form, data in drawn.items():
            self._store.derived.keep(case.id, _mask_name(case, form), data)
        return drawn

    def _layer(self, case: Case) -> bytes:
        """The mask as a layer of one colour."""
        from PIL import Image

        height, width = layer_size(case)
        mask = Image.open(io.BytesIO(self.segmentation(case, "mask")))
        alpha = np.asarray(mask.resize((width, height), Image.Resampling.BOX))
        colour = np.broadcast_to(np.array(_MASK_COLOUR, np.uint8), (height, width, 3))
        return png(np.dstack([colour, alpha]))

    def answered(self, case: Case) -> Served:
        """The model that gave the case's first prediction, with the same artifact.

        Raises:
            ArtifactError: it is not served.
        """
        report = case.answer["report"]
        model = self._registry.answered(report)
        if model is None:
            raise ArtifactError(
                f"case {case.number} was answered by {report['artifact']} of "
                f"'{report['model']}' (sha256 {report['artifact_sha256'][:12]}…), which this "
                "server has not open. Serve that bundle and artifact to see its pictures."
            )
        return model

    def film(self, case: Case) -> Film:
        """The film as it was sent; read again where it was not among the last."""
        film = self._films.get(case.id)
        if film is None:
            film = decode_film(self._store.source(case), case.film.name, case.film.voi)
            self._films.keep(case.id, film)
        return film

    def remembered(self, case: Case, name: str, make: Callable[[], bytes]) -> bytes:
        """What was made before under that name, else made now and kept."""
        known = self._store.derived.get(case.id, name)
        if known is None:
            known = make()
            self._store.derived.keep(case.id, name, known)
        return known


def _artifact(case: Case) -> str:
    """SHA-256 of the artifact behind the case's first prediction."""
    return str(case.answer["report"]["artifact_sha256"])


def _mask_name(case: Case, form: MaskForm) -> str:
    return f"segmentation-{_artifact(case)[:16]}-{form}.png"


def png(pixels: NDArray[np.uint8]) -> bytes:
    """uint8 (H, W), (H, W, 3) or (H, W, 4) as PNG, packed quickly rather than tightly."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def palette_png(index: NDArray[np.uint8], table: NDArray[np.uint8]) -> bytes:
    """As `png`, uint8 (H, W) rows of a table (256, 4) of RGBA: a quarter of the bytes to pack."""
    from PIL import Image

    image = Image.fromarray(index, "L")
    image.putpalette(table[:, :3].tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=1, transparency=table[:, 3].tobytes())
    return stream.getvalue()


def layer_size(case: Case, side: int = _LAYER_SIDE) -> tuple[int, int]:
    """(height, width) of a layer over the film, at most `side` long."""
    height, width = case.film.height, case.film.width
    ratio = min(1.0, side / max(height, width))
    return max(1, round(height * ratio)), max(1, round(width * ratio))
