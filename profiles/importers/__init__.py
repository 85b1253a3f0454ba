"""Public data sets, as they are downloaded, become data folders with our manifest.csv.

A set is a file of this folder with an `IMPORTER`, and a line below.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from ...runtime.errors import DataError
from ..measure import Progress
from . import btxrd, kaggle_chest, nih, vindr_pcxr
from .found import Importer, Readers, Split
from .strata import missing_kinds, with_parts
from .writing import ImportReport as ImportReport
from .writing import refuse_bad, refuse_place, write

IMPORTERS: dict[str, Importer] = {
    i.name: i for i in (kaggle_chest.IMPORTER, vindr_pcxr.IMPORTER, btxrd.IMPORTER, nih.IMPORTER)
}


@dataclass(frozen=True)
class ImportOptions:
    """How to import.

    Attributes:
        copy: copy the films into the new folder, which then needs the download no more.
        replace: write over an earlier import.
        skip_bad: leave out files that cannot be taken; they are named in the report.
        readers: of several readings of a film, what "majority" or "any" of the readers says.
        split: of a set without patients; "stratified" by the kinds of its films, or by the "hash"
            of the block as everywhere else. Other sets are split by the hash of the patient.
    """

    copy: bool = False
    replace: bool = False
    skip_bad: bool = False
    readers: Readers = "majority"
    split: Split = "stratified"


def import_data(
    kind: str, source: Path, out: Path, options: ImportOptions, progress: Progress
) -> ImportReport:
    """Write manifest.csv for a public set; nothing is written before all was read.

    Args:
        kind: one of IMPORTERS.
        source: the folder as it was unpacked.
        out: the folder of the manifest; without `copy` it must hold the films.

    Raises:
        DataError: an unknown set, a folder of another kind, or files that cannot be taken.
        OutputError: `out` does not fit or cannot be written.
    """
    if kind not in IMPORTERS:
        raise DataError(f"no importer {kind!r}; expected one of {', '.join(IMPORTERS)}.")
    if not source.is_dir():
        raise DataError(
            f"{source} is no folder; expected {IMPORTERS[kind].layout}. Unpack the download first."
        )
    importer = IMPORTERS[kind]
    found = importer.read(source, options.readers, progress)
    if not options.skip_bad:
        refuse_bad(found)
    if not found.rows:
        raise DataError(
            f"{found.root} has no film that can be taken; expected {IMPORTERS[kind].layout}."
        )
    if importer.stratified:
        found = with_parts(found) if options.split == "stratified" else found
        found = replace(found, notes=(*found.notes, *missing_kinds(found)))
    refuse_place(found, out, options.copy, options.replace)
    return write(kind, found, out, options.copy, progress)
