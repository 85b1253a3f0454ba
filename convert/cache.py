"""Finished work, kept by what it was made of: a second run reuses what has not changed."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..runtime.errors import SchemaError
from ..runtime.files import folder_atomic, sha256_bytes
from ..runtime.manifest import FloatLayer, TensorBinding
from ..runtime.records import dump_bytes, from_json, to_json
from .recipes import Export

T = TypeVar("T")
RECORD = "record.json"


@dataclass(frozen=True)
class _ExportRecord:
    names: tuple[str, ...]
    sha256: tuple[str, ...]
    binding: tuple[TensorBinding, ...]
    float_layers: tuple[FloatLayer, ...]


def key_of(*parts: object) -> str:
    """SHA-256 over the parts as JSON."""
    text = json.dumps([to_json(p) for p in parts], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


class WorkCache:
    """A folder of finished steps. `reused` and `made` name the steps of this run, each once."""

    def __init__(self, folder: Path, force: bool) -> None:
        """With `force` nothing is read back, everything is written anew."""
        self._folder = folder
        self._force = force
        self._told: set[Path] = set()
        self.reused: list[str] = []
        self.made: list[str] = []

    def export(self, step: str, key: str, make: Callable[[], Export]) -> Export:
        """The files of a step, from the cache or made and kept."""
        place = self._place(key)
        found = None if self._anew(place) else _read_export(place)
        if found is not None:
            self._tell(place, step, self.reused)
            return found
        made = make()
        record = _ExportRecord(
            tuple(name for name, _ in made.files),
            tuple(sha256_bytes(data) for _, data in made.files),
            made.binding,
            made.float_layers,
        )
        self._keep(place, (*made.files, (RECORD, dump_bytes(record))))
        self._tell(place, step, self.made)
        return made

    def record(self, step: str, key: str, kind: type[T], make: Callable[[], T]) -> T:
        """The record of a step, from the cache or made and kept."""
        place = self._place(key)
        found = None if self._anew(place) else _read_record(place, kind)
        if found is not None:
            self._tell(place, step, self.reused)
            return found
        made = make()
        self._keep(place, ((RECORD, dump_bytes(made)),))
        self._tell(place, step, self.made)
        return made

    def _anew(self, place: Path) -> bool:
        return self._force and place not in self._told

    def _tell(self, place: Path, step: str, steps: list[str]) -> None:
        if place not in self._told:
            self._told.add(place)
            steps.append(step)

    def _place(self, key: str) -> Path:
        return self._folder / key[:32]

    def _keep(self, place: Path, files: tuple[tuple[str, bytes], ...]) -> None:
        with folder_atomic(place) as work:
            for name, data in files:
                (work / name).write_bytes(data)


def _read_record(place: Path, kind: type[T]) -> T | None:
    """None where there is none or it is damaged: the step is done again."""
    try:
        return from_json(kind, json.loads((place / RECORD).read_bytes()), str(place))
    except (OSError, ValueError, SchemaError):
        return None


def _read_export(place: Path) -> Export | None:
    record = _read_record(place, _ExportRecord)
    if record is None or len(record.names) != len(record.sha256):
        return None
    files = []
    for name, sha256 in zip(record.names, record.sha256, strict=True):
        try:
            data = (place / name).read_bytes()
        except OSError:
            return None
        if sha256_bytes(data) != sha256:
            return None
        files.append((name, data))
    return Export(tuple(files), record.binding, record.float_layers)
