"""What is measured is kept: film by film while it runs, and the whole beside the bundle."""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...runtime.errors import OutputError, SchemaError
from ...runtime.files import write_atomic
from ...runtime.records import dump_bytes, from_json, to_json
from .records import SCHEMA, ArtifactQuality, FilmFigures, QualityRecord

KIND = "explanations"


@dataclass(frozen=True)
class Started:
    """Films measured so far, in a file of lines that a later run goes on with.

    A file that another question left behind is begun anew.
    """

    path: Path
    key: str

    def read(self) -> dict[str, FilmFigures]:
        """Films by name; what is damaged or of another question counts as none."""
        found: dict[str, FilmFigures] = {}
        with suppress(OSError, ValueError, SchemaError):
            first, *lines = self.path.read_text(encoding="utf-8").splitlines()
            if json.loads(first) != {"key": self.key}:
                return {}
            for line in lines:
                film = from_json(FilmFigures, json.loads(line), self.path.name)
                found[film.film] = film
        return found

    def add(self, film: FilmFigures, first: bool) -> None:
        """Write a film down; a folder that cannot be written only means no going on later."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("w" if first else "a", encoding="utf-8") as stream:
                if first:
                    stream.write(json.dumps({"key": self.key}) + "\n")
                stream.write(json.dumps(to_json(film), ensure_ascii=False) + "\n")

    def done(self) -> None:
        """The whole is kept elsewhere now."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def started(folder: Path, artifact_sha256: str, question: Any) -> Started:
    """The lines of a question about an artifact, in the bundle's measurements."""
    key = hashlib.sha256(repr((SCHEMA, artifact_sha256, question)).encode("utf-8")).hexdigest()
    name = f"{artifact_sha256}-{KIND}.{key[:12]}.started"
    return Started(folder / "measurements" / name, key)


def keep(folder: Path, found: ArtifactQuality) -> Path:
    """Store an artifact's figures; those of other data and parts stay.

    Raises:
        OutputError: the folder cannot be written.
    """
    sha256 = found.ran.artifact_sha256
    path = folder / "measurements" / f"{sha256}-{KIND}.json"
    others = tuple(e for e in read(path) if (e.data, e.part) != (found.data, found.part))
    record = QualityRecord(SCHEMA, found.ran.artifact, sha256, (*others, found))
    write_atomic(path, dump_bytes(record))
    return path


def keep_if_possible(folder: Path, found: ArtifactQuality) -> str:
    """As `keep`; why it could not be stored, "" where it was."""
    try:
        keep(folder, found)
    except OutputError as err:
        return str(err)
    return ""


def read(path: Path) -> tuple[ArtifactQuality, ...]:
    """What is kept already; a damaged file counts as none, its figures can be measured again."""
    with suppress(OSError, ValueError, SchemaError):
        return from_json(QualityRecord, json.loads(path.read_bytes()), path.name).entries
    return ()
