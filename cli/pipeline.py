"""`clinicedge pipeline`: bundles put together."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ..convert.pipeline_bundles import Written
    from ..runtime.manifest import Threshold

KINDS = {"on-lungs": 2, "cascade": 2, "lesions": 2}


def run(
    kind: Annotated[str, typer.Argument(help="on-lungs, cascade, lesions or ensemble.")],
    bundles: Annotated[
        list[Path],
        typer.Argument(
            help="Folders of bundles: LUNGS CLASSIFIER, FIRST SECOND, DETECTOR SEGMENTER, or two "
            "members and more."
        ),
    ],
    name: Annotated[str, typer.Option(help="The pipeline becomes OUT/NAME.")],
    out: Annotated[Path, typer.Option(help="Folder of bundles.")] = Path("bundles"),
    data: Annotated[
        Path | None,
        typer.Option(
            help="Of an ensemble: data folder whose select part sets its threshold; a bare name "
            "is also looked for in CLINICEDGE_DATA. Without it 0.5, and it says so."
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Folder with lungs-128.safetensors, where members take lung crops."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Put bundles together: lungs before a classifier, a cascade, lesions, or an ensemble.

    The members' whole bundles go into OUT/NAME/members; nothing is converted. A cascade asks its
    second member only where the first says positive; lesions are what a promptable segmenter
    outlines in a detector's boxes. An ensemble means the probabilities of its members, of three
    folds for instance; its thresholds are set on select, which trained none of them. Exit code 0:
    done; 2: refused.

    \b
    Examples:
        clinicedge pipeline cascade bundles/resnet50-224-on-lungs bundles/mine --name my-cascade
        clinicedge pipeline lesions bundles/finder bundles/outliner --name lesion-segmenter
        clinicedge pipeline ensemble bundles/a-fold-1 bundles/a-fold-2 --name a --data films/
    """
    from ..convert import pipeline_bundles as plans
    from ..convert.data_choice import data_folders
    from ..convert.ensembles import EnsembleWish, write_ensemble
    from .printing import print_json

    if kind not in (*KINDS, "ensemble"):
        raise typer.BadParameter(f"kind {kind!r}; expected on-lungs, cascade, lesions or ensemble")
    if len(bundles) != KINDS.get(kind, len(bundles)):
        raise typer.BadParameter(f"{len(bundles)} bundles; {kind} takes {KINDS[kind]}")
    if kind == "ensemble":
        folder = data_folders((data,), None)[0] if data is not None else None
        wish = EnsembleWish(name, tuple(bundles), folder, (weights,) if weights else ())
        written = write_ensemble(wish, out)
    else:
        makers = {"on-lungs": plans.on_lungs, "cascade": plans.cascade, "lesions": plans.lesions}
        make = makers[kind]
        written = plans.write_pipeline(make(name, bundles[0], bundles[1]), out)
    if as_json:
        print_json(_document(written))
        return
    for member in written.manifest.members:
        print(f"{member.role}: {member.name} ({member.bundle_id[:12]}…)")
    for threshold in written.thresholds:
        print(_threshold_words(threshold))
    for note in written.notes:
        print(f"note: {note}")
    print(f"{written.folder}: {'unchanged' if written.unchanged else 'written'}")


def _threshold_words(threshold: "Threshold") -> str:
    t = threshold
    words = f"threshold of {t.label}: {t.value:.4f}"
    if not t.n_films:
        return f"{words}, not set on data; --data DIR sets it on the select part"
    if t.rule.startswith("not set"):
        return f"{words}, not set on data: it needs films of {t.data} with and without {t.label}"
    return f"{words}, {t.rule}; {t.n_films} films of {t.data}, part {t.part}"


def _document(written: "Written") -> dict[str, object]:
    return {
        "bundle": str(written.folder),
        "unchanged": written.unchanged,
        "members": written.manifest.members,
        "rules": written.manifest.pipeline,
        "thresholds": written.thresholds,
        "notes": written.notes,
    }
