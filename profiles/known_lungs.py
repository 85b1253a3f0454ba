"""The lungs of films that were searched before, for evaluations of one pipeline after the other.

Every chest pipeline of a zoo looks for lungs with the same few artifacts, and looking costs more
than most classifiers.
"""

import hashlib
import json
from pathlib import Path

from ..runtime.errors import NoLungsError, OutputError
from ..runtime.files import write_atomic
from ..runtime.film import Film
from ..runtime.lungs import SEARCH_REVISION, Box, CropRule, Lungs, crop
from ..runtime.on_lungs import Finder, OnLungs
from ..runtime.predictions import Timing
from ..runtime.predictor import Predictor
from ..runtime.records import to_json
from ..runtime.segmenter import Segmenter
from .machine import this_machine

# By the film's SHA-256: the box, or why there are no lungs.
Found = dict[str, list[int] | str]


class LungMemory:
    """A folder of what was found, one file for each artifact as it runs on this machine."""

    def __init__(self, folder: Path, fresh: bool = False) -> None:
        """With `fresh` what was found before is forgotten, file by file as it is asked for."""
        self._folder, self._fresh = folder, fresh
        self._begun: set[Path] = set()

    def attach(self, predictor: Predictor) -> "tuple[KnownLungs, ...]":
        """Let every search for lungs in a predictor remember; () where it has none.

        Evaluate, then `keep` each of them, also where evaluating broke off.

        Raises:
            OutputError: with `fresh`, an older file cannot be removed.
        """
        inner = tuple(k for part in predictor.parts for k in self.attach(part.predictor))
        if not isinstance(predictor, OnLungs):
            return inner
        known = KnownLungs(predictor.finder, self._file(predictor.finder))
        predictor.finder = known
        return (*inner, known)

    def _file(self, finder: Finder) -> Path:
        file = self._folder / f"{_key(finder)}.json"
        if self._fresh and file not in self._begun:
            try:
                file.unlink(missing_ok=True)
            except OSError as err:
                raise OutputError(
                    f"cannot remove {file}: {err.strerror or err}; expected a folder to write in. "
                    "Check who owns it."
                ) from err
        self._begun.add(file)
        return file


class KnownLungs:
    """A finder that searches no film twice, even where the film is another object."""

    def __init__(self, finder: Finder, file: Path) -> None:
        self.segmenter: Segmenter = finder.segmenter
        self.rule: CropRule = finder.rule
        self._finder, self._file = finder, file
        self._found = _read(file)
        self._fresh = False

    def find(self, film: Film) -> tuple[Lungs, Timing]:
        """As `LungFinder.find`: only boxes are remembered."""
        return self._finder.find(film)

    def cut(self, film: Film) -> tuple[Film, Box, Timing]:
        """As `LungFinder.cut`; a remembered search took no time.

        Raises:
            NoLungsError: there are none.
        """
        key = _film_key(film)
        known = self._found.get(key)
        if known is None:
            return self._search(film, key)
        if isinstance(known, str):
            raise NoLungsError(known)
        box = Box(*known)
        return crop(film, box), box, Timing(0.0, 0.0)

    def keep(self) -> None:
        """Write what was found since.

        Raises:
            OutputError: the folder cannot be written.
        """
        if self._fresh:
            # Another evaluation may have written meanwhile.
            self._found = {**_read(self._file), **self._found}
            write_atomic(self._file, json.dumps(self._found, sort_keys=True).encode())
            self._fresh = False

    def _search(self, film: Film, key: str) -> tuple[Film, Box, Timing]:
        self._fresh = True
        try:
            cut = self._finder.cut(film)
        except NoLungsError as err:
            self._found[key] = str(err)
            raise
        box = cut[1]
        self._found[key] = [box.x0, box.y0, box.x1, box.y1]
        return cut


def _film_key(film: Film) -> str:
    digest = hashlib.sha256(repr(film.pixels.shape).encode())
    digest.update(film.pixels.data)
    return digest.hexdigest()


def _key(finder: Finder) -> str:
    """All that the answer of a search hangs on, beside the film."""
    report = finder.segmenter.report
    session = report.session
    parts = (
        report.artifact_sha256,
        session.engine,
        session.engine_version,
        session.compute,
        session.threads,
        this_machine().id,
        to_json(finder.rule),
        to_json(finder.segmenter.input),
        SEARCH_REVISION,
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _read(file: Path) -> Found:
    """{} where there is nothing, or nothing whole: the films are searched again."""
    try:
        told = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    if not isinstance(told, dict):
        return {}
    return {str(key): value for key, value in told.items() if _is_found(value)}


def _is_found(value: object) -> bool:
    if isinstance(value, str):
        return True
    return isinstance(value, list) and len(value) == 4 and all(type(n) is int for n in value)
