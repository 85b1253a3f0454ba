"""`clinicedge models`"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ..models.layers import Cost
    from ..runtime.spec import ModelSpec

NOTE = (
    "Published multiply-adds and parameters are of the 1000-class network; published parameters "
    "count three of the four normalization vectors, at most 0.7 % off."
)
PLAIN, ON_LUNGS = "plain", "on-lungs"
FORMS = (
    "NAME-on-lungs, the default form of a chest classifier, is a pipeline: lungs-128 finds the "
    "lungs, NAME-lung-crop sees them alone. pneumonia-cascade is resnet50-224-on-lungs, then "
    "pneumonia-type-224-on-lungs. lesion-segmenter is yolo-nas-s-256, then medsam2-256 on "
    "what it finds; lesion-segmenter-lungs is yolo-nas-s-256-lungs, then medsam2-mini-192-lungs."
)
WEIGHTS = "Weights: here, - not here, yours: bring your own checkpoint."
ANSWERS = {
    "classification": "one label",
    "findings": "findings",
    "segmentation": "mask",
    "detection": "boxes",
    "promptable-segmentation": "box mask",
}


@dataclass(frozen=True)
class Row:
    """A model of the zoo. `forms`: where the weights of each form are, None where nowhere."""

    spec: "ModelSpec"
    cost: "Cost"
    forms: dict[str, str | None]
    own_weights: bool


def run(
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    weights: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder with weights; may be given more than once.",
        ),
    ] = None,
    published: Annotated[
        bool,
        typer.Option(
            "--published", help="The MobileNets' published figures, and where those are wrong."
        ),
    ] = False,
) -> None:
    """List the zoo: task, input, parameters, multiply-adds, and which weights are here."""
    from ..models.zoo import names

    rows = [_row(name, weights or []) for name in names()]
    if json:
        _print_json(rows)
    elif published:
        _print_published()
    else:
        _print_table(rows)


def _row(name: str, folders: list[Path]) -> Row:
    from ..models import lungs, zoo
    from ..models.chest import LUNG_CROP

    forms = {PLAIN: _weights(name, folders)}
    if name in zoo.chest_names():
        crop, finder = (_weights(n, folders) for n in (name + LUNG_CROP, lungs.NAME))
        forms[ON_LUNGS] = crop if finder else None
    return Row(zoo.spec(name), zoo.cost(name), forms, zoo.needs_user_weights(name))


def _weights(name: str, folders: list[Path]) -> str | None:
    from ..models.weights import find
    from ..models.zoo import spec
    from ..runtime.errors import WeightsMissingError

    try:
        return str(find(spec(name), folders))
    except WeightsMissingError:
        return None


def _print_json(rows: list[Row]) -> None:
    import json

    found = {"models": [_as_json(row) for row in rows], "forms": FORMS, "note": NOTE}
    print(json.dumps(found, indent=1))


def _as_json(row: Row) -> dict[str, Any]:
    from ..models import mobilenets
    from ..runtime.records import to_json

    model = row.spec
    told = {
        "name": model.name,
        "task": model.task,
        "labels": list(model.outputs[0].labels),
        "input": {
            "channels": model.input.channels,
            "height": model.input.height,
            "width": model.input.width,
            "resize": model.input.resize,
        },
        "cost": to_json(row.cost),
        "own_weights": row.own_weights,
        "forms": {form: {"weights": path} for form, path in row.forms.items()},
    }
    if model.name in mobilenets.VARIANTS:
        entry = mobilenets.entry(model.name)
        told["cost_1000"] = to_json(entry.cost_1000)
        told["published"] = {**to_json(entry.published), "note": entry.published_note}
    return told


def _print_table(rows: list[Row]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    table.add_column("name", no_wrap=True)
    table.add_column("answer", no_wrap=True)
    for column, width in (("input", 8), ("M\nparams", 6), ("M\nmult-adds", 9)):
        table.add_column(column, justify="right", min_width=width)
    for form in (PLAIN, ON_LUNGS):
        table.add_column(form, no_wrap=True)
    for row in rows:
        took = row.spec.input
        table.add_row(
            row.spec.name,
            ANSWERS.get(row.spec.task, row.spec.task),
            f"{took.channels} x {took.width}",
            f"{row.cost.params_total / 1e6:.2f}",
            f"{row.cost.mult_adds / 1e6:.1f}",
            _told(row, PLAIN),
            _told(row, ON_LUNGS),
        )
    console = Console()
    console.print(table)
    console.print(f"{WEIGHTS} {FORMS}")


def _told(row: Row, form: str) -> str:
    """Whether the weights of a form are here; "" where the model has no such form."""
    if form not in row.forms:
        return ""
    return "here" if row.forms[form] else "yours" if row.own_weights else "-"


def _print_published() -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from ..models.mobilenets import VARIANTS, entry

    table = Table(
        title="MobileNetV1 with 1000 classes, millions", box=box.SIMPLE_HEAD, show_edge=False
    )
    table.add_column("name", no_wrap=True)
    for column in ("parameters", "published", "mult-adds", "published"):
        table.add_column(column, justify="right", no_wrap=True)
    notes: dict[str, list[str]] = {}
    for e in map(entry, VARIANTS):
        if e.published_note:
            notes.setdefault(e.published_note, []).append(e.name)
        table.add_row(
            e.name,
            f"{e.cost_1000.params_total / 1e6:.2f}",
            f"{e.published.params_millions:.2f}",
            f"{e.cost_1000.mult_adds / 1e6:.2f}",
            f"{e.published.mult_adds_millions}{'*' if e.published_note else ' '}",
        )
    console = Console()
    console.print(table)
    for note, found in notes.items():
        console.print(f"* {', '.join(found)}: {note}.")
    console.print(NOTE)
