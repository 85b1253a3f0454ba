"""The heat maps of a case: any method and class that its model offers, in words and pictures."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..runtime import heat_maps as drawing
from ..runtime.errors import ArtifactError, StoreError
from ..runtime.explanations import METHODS, MapRequest, check_request, offers, usual_method
from ..runtime.explanations.registry import deciding
from ..runtime.explanations.words import Named, in_words
from ..runtime.explanations.zones import locate
from ..runtime.film import Film, FilmSource
from ..runtime.lungs import Box
from ..runtime.predictions import Explanation, RunReport
from ..runtime.records import from_json, to_json
from ..runtime.regions import enlarge_nearest
from ..runtime.spec import InputSpec
from .pictures import Pictures, layer_size, palette_png, png
from .records import NO_SCORE, Case
from .served import Served
from .web_files import web_file

Form = Literal["alpha", "overlay", "raw", "json"]
# Above so many values three digits are plenty, and the file stays small.
_MANY_VALUES = 4096
# Zones are thirds of a lung; the map and the lungs are known on coarser grids than this.
_PLACE_SIDE = 256
# Of methods that run the network again and again.
_MOST_PASSES = 64


@dataclass(frozen=True)
class Asked:
    """Which map. None: the bundle's own method, and what the answer is about."""

    method: str | None = None
    label: str | None = None


class HeatMaps:
    """Makes and remembers maps. Any thread may call any method."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def offered(self, case: Case) -> dict[str, Any]:
        """The methods and classes that can be asked of the model behind the case's answer.

        Raises:
            ArtifactError: there is no score, or the artifact that answered is not served.
        """
        predictor = self._served(case).predictor
        told = [
            {"method": o.method, "source": o.source, "available": o.available, "why": o.why}
            | {"passes": o.passes}
            for o in offers(predictor)
        ]
        second = [p.predictor.labels for p in predictor.parts if p.role == "second"]
        labels = dict.fromkeys((*predictor.labels, *(name for row in second for name in row)))
        usual = usual_method(deciding(predictor).bundle.manifest)
        return {"method": usual, "methods": told, "classes": list(labels)}

    def explanation(self, case: Case, form: Form, asked: Asked) -> bytes:
        """A map of the case's first prediction.

        Args:
            form: "alpha" a PNG layer with transparency, of the film's proportions and at most
                512 pixels a side; "overlay" the film with the layer on it; "raw" the map as 8-bit
                grey of the film's size; "json" the map itself, with what it says in words.

        Raises:
            ArtifactError: no such method or class, the model gives none, or the artifact that
                answered is not served.
        """
        model = self._served(case)
        check_request(model.predictor, _request(asked))
        name = _name(case, model, asked)
        if form == "json":
            return self._map(case, model, asked, name)
        return self._pictures.remembered(
            case, f"{name}-{form}.png", lambda: self._draw(case, model, asked, (name, form))
        )

    def rateable(self, case: Case, asked: Asked) -> str:
        """The name of the model, where such a map can be made.

        Raises:
            ArtifactError: as `explanation`.
        """
        model = self._served(case)
        check_request(model.predictor, _request(asked))
        return model.name

    def _served(self, case: Case) -> Served:
        if case.answer["kind"] == NO_SCORE:
            raise ArtifactError(
                f"case {case.number} has no score, so there is no heat map: {case.answer['reason']}"
            )
        return self._pictures.answered(case)

    def _draw(self, case: Case, model: Served, asked: Asked, named: tuple[str, Form]) -> bytes:
        name, form = named
        found = _explanation(json.loads(self._map(case, model, asked, name)))
        spec = deciding(model.predictor, asked.label).input
        if form == "alpha":
            values = _on_layer(found, case, layer_size(case), spec)
            return palette_png(drawing.heat_index(values), drawing.heat_table())
        film = self._pictures.film(case)
        values = drawing.on_film(found, film, spec)
        if form == "raw":
            return png(np.rint(values * 255).astype(np.uint8))
        return png(drawing.overlay(film, values))

    def _map(self, case: Case, model: Served, asked: Asked, name: str) -> bytes:
        """The explanation as JSON; the pictures are drawn from it."""

        def make() -> bytes:
            film = self._pictures.film(case)
            found, lungs = model.explain(film, _request(asked))
            spec = deciding(model.predictor, asked.label).input
            size = layer_size(case, _PLACE_SIDE)
            if lungs is not None:
                lungs = enlarge_nearest(lungs, size)
            located = locate(_on_layer(found, case, size, spec), lungs)
            words = in_words(located, _named(case, found.label))
            told = {**_explanation_json(found), "place": to_json(located), "words": to_json(words)}
            return json.dumps(told, ensure_ascii=False).encode("utf-8")

        return self._pictures.remembered(case, f"{name}.json", make)


def many_runs(asked: Asked) -> bool:
    """Whether the method that is named runs the network again and again."""
    method = METHODS.get(asked.method or "")
    return method is not None and method.passes > 0


def _request(asked: Asked) -> MapRequest:
    method = METHODS.get(asked.method or "")
    passes = min(method.passes, _MOST_PASSES) if method is not None else 0
    return MapRequest(asked.method, asked.label, passes)


def _name(case: Case, model: Served, asked: Asked) -> str:
    """What a map is remembered by: the artifact, the method, the class."""
    sha256 = str(case.answer["report"]["artifact_sha256"])
    manifest = deciding(model.predictor, asked.label).bundle.manifest
    method = (asked.method or usual_method(manifest)).replace("+", "p")
    about = "" if asked.label is None else hashlib.sha256(asked.label.encode()).hexdigest()[:8]
    return "-".join(filter(None, ("explanation", sha256[:16], method, about)))


def _named(case: Case, label: str) -> Named:
    """The finding in both languages, and whether the case's answer says it is there."""
    words = [_texts(language).get(f"label.{label}", label) for language in ("en", "vi")]
    return Named(words[0], words[1], _is_positive(case.answer, label))


def _is_positive(answer: Any, label: str) -> bool:
    second = answer.get("second") or answer
    for finding in second.get("findings", ()):
        if finding["label"] == label:
            return bool(finding["positive"])
    if "lesions" in answer:
        return any(lesion["label"] == label for lesion in answer["lesions"])
    first = answer.get("first") or answer
    if "positive_label" in first:
        return bool(first["label"] == label)
    return bool(first.get("positive", True))


@cache
def _texts(language: str) -> dict[str, str]:
    """The page's own words."""
    found = web_file(f"{language}.json")
    return {} if found is None else json.loads(found.data)


def _on_layer(
    found: Explanation, case: Case, size: tuple[int, int], spec: InputSpec
) -> NDArray[np.float32]:
    """The map over the whole film, float32 of `size` (height, width)."""
    if found.crop is not None:
        found = replace(found, crop=_scaled(found.crop, case, size))
    layer = Film(np.zeros(size, np.uint8), None, FilmSource("array", "layer"))
    return drawing.on_film(found, layer, spec)


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
