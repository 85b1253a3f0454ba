"""Whether two data folders hold the very same films, under whatever name and patient number, and
whether a folder is as it was.

A patient's key tells films of one origin apart. A folder that was copied under another name has
other keys and the same files; their bytes give it away.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..runtime.errors import DamagedFilmError, OverlapError
from .datasets import MANIFEST
from .divided import manifest_rows

_DIGITS = 10
# Columns that name a film or its mask.
_FILES = ("file", "image", "mask")
_SHOWN = 5
# A handful of films that a set holds twice are told; more are a copy of the folder.
_A_HANDFUL, _A_COPY = 2, 0.01


def film_hash(path: Path) -> str:
    """10 hex digits of the SHA-256 of the file.

    Raises:
        DamagedFilmError: it cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()[:_DIGITS]
    except OSError as err:
        raise DamagedFilmError(f"cannot read {path}: {err.strerror or err}.") from err


def film_hashes(paths: Iterable[Path]) -> tuple[str, ...]:
    """Of each file, in order; raises as `film_hash`."""
    return tuple(film_hash(path) for path in paths)


def folder_sha256(root: Path) -> str:
    """Of a data folder's manifest (labels, patients, parts, boxes) and each film and mask in it.

    A file that is missing counts as empty.

    Raises:
        DataManifestError: the manifest cannot be read or lists no films.
        DamagedFilmError: a film cannot be read.
    """
    told = root / MANIFEST
    paths = [root / row[c] for row in manifest_rows(told, "file") for c in _FILES if row.get(c)]
    hashes = [film_hash(path) if path.is_file() else "-" for path in (told, *paths)]
    return hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def refuse_copies(
    films: Sequence[Path], seen: frozenset[str], names: tuple[str, str]
) -> tuple[str, ...]:
    """Stop where the films are those that were used before; cautions where a few are.

    Args:
        films: the files that are going to be read.
        seen: hashes of those used before.
        names: what the two sets are.

    Raises:
        OverlapError: more than 1 % of the films, and more than 2, are files used before.
        DamagedFilmError: a film cannot be read.
    """
    if not seen:
        return ()
    shared = [path for path in films if film_hash(path) in seen]
    if not shared:
        return ()
    told = (
        f"{len(shared)} of {len(films)} films of {names[0]} are the very files of {names[1]}, "
        f"under other patients: {', '.join(path.name for path in shared[:_SHOWN])}"
        f"{' …' if len(shared) > _SHOWN else ''}"
    )
    if len(shared) > max(_A_HANDFUL, _A_COPY * len(films)):
        raise OverlapError(
            f"{told}. Figures on them would be inflated; expected other films. Is the folder a "
            "copy? Give it the column origin that it was made with, or use other data."
        )
    return (told,)
