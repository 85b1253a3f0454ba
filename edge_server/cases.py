"""From an upload to a kept case."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from ..runtime.errors import OutputError
from ..runtime.images import decode_film
from .answers import answer
from .latest_films import LatestFilms
from .models_registry import Registry
from .readings import Said, read
from .records import Case, film_record
from .store import NewCase, Store

_BEGINNINGS = {b"\x89PNG": "png", b"\xff\xd8\xff": "jpg"}
_MAX_NAME = 120


@dataclass(frozen=True)
class Upload:
    """A film as it arrived, and what the clinician said before the answer."""

    name: str
    data: bytes
    said: Said
    model: str | None = None


class Desk:
    """Receives films. Any thread may call any method."""

    def __init__(self, store: Store, registry: Registry, films: LatestFilms) -> None:
        self.store = store
        self.registry = registry
        self._films = films
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="disk")

    def receive(self, upload: Upload) -> Case:
        """Read, score and keep a film; when this returns it is safe.

        A film on which a chest model finds no lungs is kept, with the reason in place of a score.

        Raises:
            FilmError: it is none, or not what the model was made for; nothing is kept.
            OpinionError, UnknownCaseError: the request does not fit the models here.
            OutputError: the disk refused it; nothing is kept.
        """
        model = self.registry.get(upload.model)
        reading = read(upload.said, model.questions, model.name)
        case_id, now = uuid.uuid4().hex, datetime.now(UTC)
        file = f"films/{now:%Y-%m}/{case_id}.{_suffix(upload.data)}"
        # Syncing takes about as long as decoding, so both run at once.
        staging = self._disk.submit(self.store.stage, case_id, file, upload.data)
        try:
            film = decode_film(upload.data, clean_name(upload.name), model.voi)
            answered = answer(model, film, reading)
        except BaseException:
            with suppress(OutputError):
                self.store.discard(staging.result())
            raise
        new = NewCase(
            created=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            film=film_record(film, file, len(upload.data), model.voi),
            reading=reading,
            predictions=(answered.prediction,),
            discrepancy=answered.discrepancy,
        )
        case = self.store.add(staging.result(), new)
        self._films.keep(case.id, film)
        return case

    def close(self) -> None:
        """Finish what is being written."""
        self._disk.shutdown(wait=True)
        self.store.close()


def clean_name(name: str) -> str:
    """The file's own name, without folders and control characters, at most 120 long."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in last if c.isprintable())[:_MAX_NAME] or "film"


def _suffix(data: bytes) -> str:
    """The suffix that fits the first bytes; whatever is no picture can only be DICOM."""
    return next((s for begin, s in _BEGINNINGS.items() if data.startswith(begin)), "dcm")
