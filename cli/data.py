"""`clinicedge data import`: public data sets, as downloaded, become data folders."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..profiles.importers import ImportReport


class Action(StrEnum):
    """What to do."""

    IMPORT = "import"


class Kind(StrEnum):
    """The sets that are known."""

    KAGGLE_CHEST = "kaggle-chest"
    VINDR_PCXR = "vindr-pcxr"
    BTXRD = "btxrd"
    NIH = "nih"


class Reading(StrEnum):
    """What counts where several radiologists read a film."""

    MAJORITY = "majority"
    ANY = "any"


class Split(StrEnum):
    """How a set without patient numbers is divided."""

    STRATIFIED = "stratified"
    HASH = "hash"


def run(
    action: Annotated[Action, typer.Argument(help="import")],
    kind: Annotated[Kind, typer.Argument(help="Which public set the folder holds.")],
    source: Annotated[Path, typer.Argument(help="The folder as it was unpacked.")],
    out: Annotated[
        Path | None,
        typer.Argument(help="Folder of manifest.csv; without it, the folder of the films."),
    ] = None,
    copy: Annotated[bool, typer.Option("--copy", help="Copy the films into OUT.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over an earlier manifest.csv.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out files that cannot be taken.")
    ] = False,
    readers: Annotated[
        Reading, typer.Option(help="Of several readings of a film: what they agree on.")
    ] = Reading.MAJORITY,
    split: Annotated[
        Split,
        typer.Option(
            help="Of btxrd, which names no patients: parts stratified by tumour type, or by the "
            "fixed hash of neighbouring films, which our weights were trained by."
        ),
    ] = Split.STRATIFIED,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write manifest.csv for a public data set, in its folder as it was downloaded.

    `train`, `evaluate` and `convert` then take that folder. Films stay where they are unless
    --copy is given. Nothing is written where a file cannot be taken. Exit code 0: done; 2:
    refused.

    \b
    Examples:
        clinicedge data import kaggle-chest chest_xray/
        clinicedge data import vindr-pcxr vindr-pcxr/ --readers any
        clinicedge data import btxrd BTXRD/ bone/ --copy
        clinicedge data import nih CXR8/
    """
    from ..profiles.importers import ImportOptions, import_data
    from .printing import print_json, progress_bar

    options = ImportOptions(
        copy=copy,
        replace=replace,
        skip_bad=skip_bad,
        readers="any" if readers == "any" else "majority",
        split="hash" if split == "hash" else "stratified",
    )
    with progress_bar() as progress:
        report = import_data(kind.value, source, out or source, options, progress)
    if as_json:
        print_json(report)
    else:
        _print(report)


def _print(report: "ImportReport") -> None:
    from ..profiles.datasets import PARTS
    from .printing import print_table

    groups = tuple(dict.fromkeys(g.group for g in report.groups))
    counts = {(g.group, g.part): g.n_films for g in report.groups}
    print_table(
        f"{report.manifest}: {report.n_films} films of {report.n_patients} patients or blocks",
        ("films with", *(f">{part}" for part in PARTS)),
        [(group, *(str(counts.get((group, p), 0)) for p in PARTS)) for group in groups],
    )
    for note in report.notes:
        print(f"note: {note}")
    for bad in report.left_out:
        print(f"left out: {bad.file}: {bad.reason}")
