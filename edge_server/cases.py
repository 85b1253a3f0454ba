"""From an upload to a kept case, and from a case to its pictures."""

import io
import json
import re
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..runtime import explain as drawing
from ..runtime.errors import ArtifactError, OpinionError, OutputError, StoreError
from ..runtime.film import Film, FilmSource
from ..runtime.images import decode_film
from ..runtime.predictions import Explanation, RunReport
from ..runtime.records import from_json, to_json
from .models_registry import Registry, Served
from .records import UNSURE, Case, film_record, prediction_json
from .store import NewCase, Store

Form = Literal["alpha", "overlay", "json"]
_BEGINNINGS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg"}
_MAX_NAME = 120
# The map has a few dozen values; a layer of this many pixels a side shows every one.
_LAYER_SIDE = 512


@dataclass(frozen=True)
class Upload:
    """A film as it arrived, and what the clinician said before the answer."""

    name: str
    data: bytes
    first_opinion: str | None = None
    model: str | None = None


class Desk:
    """Receives films and draws their pictures. Any thread may call any method."""

    def __init__(self, store: Store, registry: Registry) -> None:
        self.store = store
        self.registry = registry
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="disk")

    def receive(self, upload: Upload) -> Case:
        """Read, score and keep a film; when this returns it is safe.

        Raises:
            FilmError: it is none; nothing is kept.
            OpinionError, UnknownCaseError: the request does not fit the models here.
            OutputError: the disk refused it; nothing is kept.
        """
        model = self.registry.get(upload.model)
        opinion = _opinion(upload.first_opinion, model)
        case_id, now = uuid.uuid4().hex, datetime.now(UTC)
        file = f"films/{now:%Y-%m}/{case_id}.{_suffix(upload.data)}"
        # Syncing takes about as long as decoding, so both run at once.
        staging = self._disk.submit(self.store.stage, case_id, file, upload.data)
        try:
            film = decode_film(upload.data, clean_name(upload.name), model.voi)
            answer = prediction_json(model.predict(film))
        except BaseException:
            with suppress(OutputError):
                self.store.discard(staging.result())
            raise
        record = film_record(film, file, len(upload.data), model.voi)
        created = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return self.store.add(staging.result(), NewCase(created, record, opinion, (answer,)))

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

    def _draw(self, case: Case, form: Form) -> bytes:
        found = _explanation(json.loads(self._map(case)))
        spec = self._answered(case).predictor.input
        if form == "overlay":
            film = self._film(case)
            return png(drawing.overlay(film, drawing.on_film(found, film, spec)))
        small = Film(np.zeros(_layer_size(case), np.uint8), None, FilmSource("array", "layer"))
        return png(drawing.heat_rgba(drawing.on_film(found, small, spec)))

    def _map(self, case: Case) -> bytes:
        """The explanation as JSON; the pictures are drawn from it."""

        def make() -> bytes:
            found = self._answered(case).explain(self._film(case))
            return json.dumps(_explanation_json(found), ensure_ascii=False).encode("utf-8")

        return self._remembered(case, f"explanation-{_artifact(case)[:16]}.json", make)

    def _answered(self, case: Case) -> Served:
        """The model that gave the case's first prediction, with the same artifact."""
        report = case.predictions[0]["report"]
        model = self.registry.by_artifact(_artifact(case))
        if model is None:
            raise ArtifactError(
                f"case {case.number} was answered by {report['artifact']} of "
                f"'{report['model']}' (sha256 {report['artifact_sha256'][:12]}…), which this "
                "server has not open. Serve that bundle and artifact to see its heat map."
            )
        return model

    def _film(self, case: Case) -> Film:
        return decode_film(self.store.source(case), case.film.name, case.film.voi)

    def _remembered(self, case: Case, name: str, make: Callable[[], bytes]) -> bytes:
        known = self.store.derived(case, name)
        if known is None:
            known = make()
            self.store.keep_derived(case, name, known)
        return known

    def close(self) -> None:
        """Finish what is being written."""
        self._disk.shutdown(wait=True)
        self.store.close()


def _artifact(case: Case) -> str:
    """SHA-256 of the artifact behind the case's first prediction."""
    return str(case.predictions[0]["report"]["artifact_sha256"])


def clean_name(name: str) -> str:
    """The file's own name, without folders and control characters, at most 120 long."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in last if c.isprintable())[:_MAX_NAME] or "film"


def _suffix(data: bytes) -> str:
    """The suffix that fits the first bytes; whatever is no picture can only be DICOM."""
    return next((s for begin, s in _BEGINNINGS.items() if data.startswith(begin)), "dcm")


def _opinion(given: str | None, model: Served) -> str | None:
    """The label as the model spells it; None where nothing was said."""
    if given is None or not given.strip():
        return None
    known = {label.casefold(): label for label in (*model.labels, UNSURE)}
    try:
        return known[given.strip().casefold()]
    except KeyError as err:
        raise OpinionError(
            f"first_opinion is '{given[:40]}'; expected one of {', '.join(known.values())}, or "
            "leave it away."
        ) from err


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


def _explanation_json(found: Explanation) -> dict[str, Any]:
    return {
        "method": found.method,
        "label": found.label,
        "sign": found.sign,
        "note": found.note,
        "map": [[round(float(v), 6) for v in row] for row in found.map],
        "report": to_json(found.report),
    }


def _explanation(told: dict[str, Any]) -> Explanation:
    try:
        return Explanation(
            map=np.asarray(told["map"], np.float32),
            method=str(told["method"]),
            label=str(told["label"]),
            sign=int(told["sign"]),
            note=str(told["note"]),
            report=from_json(RunReport, told["report"], "explanation"),
        )
    except (KeyError, TypeError, ValueError) as err:
        raise StoreError(f"a kept heat map is damaged ({err}); delete the folder derived.") from err
