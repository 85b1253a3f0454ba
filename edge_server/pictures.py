"""What is drawn of a case when somebody asks: the film, its heat map, its mask."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..runtime import heat_maps as drawing
from ..runtime.drawing import outline_overlay
from ..runtime.errors import ArtifactError, StoreError
from ..runtime.film import Film, FilmSource
from ..runtime.images import decode_film
from ..runtime.lungs import Box
from ..runtime.predictions import Explanation, RunReport, Segmentation
from ..runtime.records import from_json, to_json
from . import raw_masks
from .models_registry import Registry, Served
from .records import NO_SCORE, Case
from .store import Store

Form = Literal["alpha", "overlay", "json"]
MaskForm = Literal["json", "mask", "raw", "alpha", "overlay"]
# A heat map has a few dozen values; a layer of this many pixels a side shows every one.
_LAYER_SIDE = 512
# Above so many values three digits are plenty, and the file stays small.
_MANY_VALUES = 4096
_MASK_COLOUR = (64, 224, 208)


class Pictures:
    """Draws what was answered. Any thread may call any method."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self._store = store
        self._registry = registry

    def image(self, case: Case) -> bytes:
        """The film as read, PNG, 8 bit grey."""
        return self._remembered(case, "film.png", lambda: png(self._film(case).pixels))

    def explanation(self, case: Case, form: Form) -> bytes:
        """The map of the case's first prediction.

        Args:
            form: "alpha" a PNG layer with transparency, of the film's proportions and at most
                512 pixels a side; "overlay" the film with the layer on it; "json" the map itself.

        Raises:
            ArtifactError: the model gives none, or the artifact that answered is not served.
        """
        if form == "json":
            return self._map(case)
        name = f"explanation-{_artifact(case)[:16]}-{form}.png"
        return self._remembered(case, name, lambda: self._draw(case, form))

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
            return self._remembered(case, _mask_name(case, form), lambda: self._layer(case))
        return self._remembered(case, _mask_name(case, form), lambda: self._masks(case)[form])

    def _draw(self, case: Case, form: Form) -> bytes:
        found = _explanation(json.loads(self._map(case)))
        spec = self._answered(case).predictor.input
        if form == "overlay":
            film = self._film(case)
            return png(drawing.overlay(film, drawing.on_film(found, film, spec)))
        size = _layer_size(case)
        if found.crop is not None:
            found = replace(found, crop=_scaled(found.crop, case, size))
        small = Film(np.zeros(size, np.uint8), None, FilmSource("array", "layer"))
        return png(drawing.heat_rgba(drawing.on_film(found, small, spec)))

    def _map(self, case: Case) -> bytes:
        """The explanation as JSON; the pictures are drawn from it."""
        if case.answer["kind"] == NO_SCORE:
            raise ArtifactError(
                f"case {case.number} has no score, so there is no heat map: {case.answer['reason']}"
            )

        def make() -> bytes:
            found = self._answered(case).explain(self._film(case))
            return json.dumps(_explanation_json(found), ensure_ascii=False).encode("utf-8")

        return self._remembered(case, f"explanation-{_artifact(case)[:16]}.json", make)

    def _masks(self, case: Case) -> dict[MaskForm, bytes]:
        """One more run of the network gives all of them, so all are kept."""
        film = self._film(case)
        found = self._answered(case).predict(film)
        if not isinstance(found, Segmentation):
            raise ArtifactError(f"'{found.report.model}' gives no mask any more; serve its bundle.")
        drawn: dict[MaskForm, bytes] = {
            "mask": png(found.mask.astype(np.uint8) * 255),
            "raw": png(found.raw.astype(np.uint8) * 255),
            "overlay": png(outline_overlay(film, found)),
        }
        for form, data in drawn.items():
            self._store.keep_derived(case, _mask_name(case, form), data)
        return drawn

    def _layer(self, case: Case) -> bytes:
        """The mask as a layer of one colour."""
        from PIL import Image

        height, width = _layer_size(case)
        mask = Image.open(io.BytesIO(self.segmentation(case, "mask")))
        alpha = np.asarray(mask.resize((width, height), Image.Resampling.BOX))
        colour = np.broadcast_to(np.array(_MASK_COLOUR, np.uint8), (height, width, 3))
        return png(np.dstack([colour, alpha]))

    def _answered(self, case: Case) -> Served:
        """The model that gave the case's first prediction, with the same artifact."""
        report = case.answer["report"]
        model = self._registry.answered(report)
        if model is None:
            raise ArtifactError(
                f"case {case.number} was answered by {report['artifact']} of "
                f"'{report['model']}' (sha256 {report['artifact_sha256'][:12]}…), which this "
                "server has not open. Serve that bundle and artifact to see its pictures."
            )
        return model

    def _film(self, case: Case) -> Film:
        return decode_film(self._store.source(case), case.film.name, case.film.voi)

    def _remembered(self, case: Case, name: str, make: Callable[[], bytes]) -> bytes:
        known = self._store.derived(case, name)
        if known is None:
            known = make()
            self._store.keep_derived(case, name, known)
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


def _layer_size(case: Case) -> tuple[int, int]:
    height, width = case.film.height, case.film.width
    ratio = min(1.0, _LAYER_SIDE / max(height, width))
    return max(1, round(height * ratio)), max(1, round(width * ratio))


def _scaled(box: Box, case: Case, size: tuple[int, int]) -> Box:
    """A box of the film on a layer of `size` (height, width)."""
    up, across = size[0] / case.film.height, size[1] / case.film.width
    x0, y0 = int(box.x0 * across), int(box.y0 * up)
    x1, y1 = round(box.x1 * across), round(box.y1 * up)
    return Box(x0, y0, min(size[1], max(x0 + 1, x1)), min(size[0], max(y0 + 1, y1)))


def _explanation_json(found: Explanation) -> dict[str, Any]:
    digits = 6 if found.map.size <= _MANY_VALUES else 3
    return {
        "method": found.method,
        "label": found.label,
        "sign": found.sign,
        "note": found.note,
        "crop": to_json(found.crop),
        "map": [[round(float(v), digits) for v in row] for row in found.map],
        "report": to_json(found.report),
    }


def _explanation(told: dict[str, Any]) -> Explanation:
    crop = told.get("crop")
    try:
        return Explanation(
            map=np.asarray(told["map"], np.float32),
            method=str(told["method"]),
            label=str(told["label"]),
            sign=int(told["sign"]),
            note=str(told["note"]),
            report=from_json(RunReport, told["report"], "explanation"),
            crop=None if crop is None else from_json(Box, crop, "explanation"),
        )
    except (KeyError, TypeError, ValueError) as err:
        raise StoreError(f"a kept heat map is damaged ({err}); delete the folder derived.") from err
